"""A plane: curves and dots over two free axes, with colours behind them if wanted, drawn whole whenever it changes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite

from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from torchtty.tui.charts.axes import Axis, ticks
from torchtty.tui.charts.canvas import BLANK, Canvas, Cells
from torchtty.tui.charts.frame import Frame
from torchtty.tui.charts.painting import RENDER_THREAD, Painting
from torchtty.tui.charts.style import PLAIN, STYLED_PARTS, ChartStyle, Line, Run, as_ascii, style_of
from torchtty.tui.format import decimal_label

Place = tuple[float, float]
NULL = Style.null()
_AXIS, _LABEL = 0, 1  # numbers of styles


@dataclass(frozen=True)
class PlaneCurve:
    """A line through places; what leaves the axes is left out. `marker` numbers the one that tells it apart without colours."""

    places: tuple[Place, ...]
    colour: str
    marker: int = 0


@dataclass(frozen=True)
class Dot:
    """A place with a sign of one cell, and a text beside it where there is room."""

    place: Place
    sign: str
    colour: str
    text: str = ""


@dataclass(frozen=True)
class Plane:
    """What is drawn. `behind` returns the colour (#rrggbb) behind the cells around a place."""

    x: Axis
    y: Axis
    curves: tuple[PlaneCurve, ...] = ()
    dots: tuple[Dot, ...] = ()
    x_title: str = ""
    y_title: str = ""
    behind: Callable[[float, float], str] | None = field(default=None, compare=False)


def draw(plane: Plane, width: int, height: int, style: ChartStyle = PLAIN) -> tuple[Line, ...]:
    """Draw a plane into `height` lines of `width` cells: a line of titles, the plot, and two lines of the x axis."""
    rows = height - 1
    y_ticks = ticks(plane.y, max(2, min(8, (rows - 2) // 3)), decimal_label)
    gutter = max([4, *(len(tick.label) for tick in y_ticks)])
    if width < gutter + 8 or rows < 5:
        return tuple(((BLANK * width, NULL),) for _ in range(height))
    canvas = Canvas(width, rows)
    x_ticks = ticks(plane.x, max(2, min(10, (width - gutter) // 9)), decimal_label)
    canvas.draw_axes(
        [(plane.x.fraction(tick.position), tick.label) for tick in x_ticks],
        [(plane.y.fraction(tick.position), tick.label) for tick in y_ticks],
        gutter,
        _AXIS,
    )
    styles = [style.axis, style.label]
    for curve in plane.curves:
        canvas.curve(_fractions(plane, curve.places), style.marker(curve.marker), len(styles))
        styles.append(style.curve(curve.colour))
    cells = canvas.cells()
    left, inner, plot_rows = gutter + 1, canvas.width, canvas.height
    for dot in plane.dots:
        _put(cells, plane, dot, (left, inner, plot_rows), styles, style)
    behind = _behind(plane, left, inner, plot_rows) if plane.behind is not None and style.colour else {}
    titles = f"{plane.y_title:<{left}}" if len(plane.y_title) <= left else f"{plane.y_title}  "
    head: Line = ((f"{titles}{plane.x_title:>{max(0, width - len(titles))}}"[:width].ljust(width), style.label),)
    lines = [head, *(_line(cells, row, styles, behind) for row in range(len(cells.characters)))]
    if not style.unicode:
        lines = [tuple((as_ascii(text), each) for text, each in line) for line in lines]
    return tuple(lines)


def _fractions(plane: Plane, places: Sequence[Place]) -> list[tuple[float, float, bool]]:
    """Return the places within the axes as fractions; a line is broken where it leaves them."""
    found, connected = [], False
    for x, y in places:
        if isfinite(x) and isfinite(y) and plane.x.low <= x <= plane.x.high and plane.y.low <= y <= plane.y.high:
            found.append((plane.x.fraction(x), plane.y.fraction(y), connected))
            connected = True
        else:
            connected = False
    return found


def _put(
    cells: Cells, plane: Plane, dot: Dot, area: tuple[int, int, int], styles: list[Style], style: ChartStyle
) -> None:
    """Write a dot over what is there, and its text beside it where that is blank."""
    left, inner, rows = area
    at = (plane.x.fraction(dot.place[0]), plane.y.fraction(dot.place[1]))
    if not (0 <= at[0] <= 1 and 0 <= at[1] <= 1):
        return
    column = left + min(int(at[0] * inner), inner - 1)
    row = rows - 1 - min(int(at[1] * rows), rows - 1)
    styles.append(style.curve(dot.colour) + Style(bold=True))
    cells.write(row, column, dot.sign, len(styles) - 1)
    for start in (column + 2, column - 1 - len(dot.text)):
        if dot.text and start >= left and cells.free(row, start, len(dot.text)):
            cells.write(row, start, dot.text, len(styles) - 1)
            return


def _behind(plane: Plane, left: int, inner: int, rows: int) -> dict[tuple[int, int], str]:
    assert plane.behind is not None
    return {
        (row, left + column): plane.behind(plane.x.value((column + 0.5) / inner), plane.y.value(1 - (row + 0.5) / rows))
        for row in range(rows)
        for column in range(inner)
    }


def _line(cells: Cells, row: int, styles: Sequence[Style], behind: dict[tuple[int, int], str]) -> Line:
    """Join neighbouring cells of one style."""
    runs: list[Run] = []
    before: tuple[int, str | None] | None = None
    for column, (character, number) in enumerate(zip(cells.characters[row], cells.styles[row], strict=True)):
        colour = behind.get((row, column))
        look = (-1 if character == BLANK else number, colour)
        if look == before:
            runs[-1] = (runs[-1][0] + character, runs[-1][1])
        else:
            own = styles[number] if look[0] >= 0 else NULL
            runs.append((character, own + Style(bgcolor=colour) if colour else own))
        before = look
    return tuple(runs)


class PlaneView(Widget):
    """Shows a plane. It is drawn on the thread of the charts, and only lines that differ are painted."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {f"chart--{part}" for part in STYLED_PARTS}
    DEFAULT_CSS = """
    PlaneView { width: 1fr; height: 1fr; min-height: 6; }
    PlaneView > .chart--title { text-style: bold; color: $foreground; }
    PlaneView > .chart--label { color: $foreground 70%; }
    PlaneView > .chart--axis { color: $foreground 45%; }
    PlaneView > .chart--reference { color: $foreground 45%; }
    PlaneView > .chart--mark { color: $foreground 60%; }
    PlaneView > .chart--cursor { color: $foreground; text-style: bold; }
    PlaneView > .chart--finding { color: $text-warning; }
    """

    class Drawn(Message):
        """A plane has been drawn."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._plane: Plane | None = None
        self._painting = Painting()

    def show(self, plane: Plane | None) -> None:
        """Show another plane."""
        self._plane = plane
        self._start()

    def _start(self) -> None:
        if self.is_attached and self.size:
            self.run_worker(self._draw(), exclusive=True, group="plane")

    async def _draw(self) -> None:
        plane, size = self._plane, self.size
        style = style_of(self)
        lines = await asyncio.get_running_loop().run_in_executor(RENDER_THREAD, _drawn, plane, size, style)
        if size == self.size:
            regions, _ = self._painting.replace(Frame(size.width, lines))
            self.refresh(*(regions or ()))
            self.post_message(self.Drawn())

    def render_line(self, y: int) -> Strip:
        line = self._painting.line(y)
        if line is None:
            return Strip.blank(self.size.width, self.rich_style)
        return line.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_resize(self) -> None:
        self._start()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._start()


def _drawn(plane: Plane | None, size: Size, style: ChartStyle) -> tuple[Line, ...]:
    if plane is None:
        return tuple(((BLANK * size.width, NULL),) for _ in range(size.height))
    return draw(plane, size.width, size.height, style)
