"""Figures that are read with a cursor, such as heat maps and scatter plots: what they draw, and the widget that shows one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from torchtty.tui.charts.frame import Frame
from torchtty.tui.charts.painting import Painting
from torchtty.tui.charts.style import PLAIN, ChartStyle, Line, style_of

Cursor = tuple[int, int]
"""What the cursor stands at, as the figure counts: row and column of a heat map, say."""


def nothing_at(_x: int, _y: int) -> Cursor | None:
    return None


@dataclass(frozen=True)
class Drawing:
    """Lines of a figure, and what stands at a cell (x, y) of them."""

    lines: tuple[Line, ...]
    at: Callable[[int, int], Cursor | None] = field(default=nothing_at, compare=False)


class Figure(Protocol):
    """What can be drawn, and read with a cursor."""

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        """Draw into so many cells and lines; with no height as many lines as it takes."""

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        """Return where the cursor goes from here, kept inside; one that was not shown yet appears."""

    def reading(self, cursor: Cursor) -> str:
        """Return what stands at the cursor: `q→u 0.74`."""


def fitted(line: Line, width: int) -> Line:
    """Return a line cut, or filled with blanks, to a width. Every character is one cell wide."""
    parts, left = [], width
    for text, style in line:
        if left <= 0:
            break
        parts.append((text[:left], style))
        left -= len(text)
    return (*parts, (" " * left, PLAIN.curve("default"))) if left > 0 else tuple(parts)


def as_text(drawing: Drawing) -> Text:
    """Return a drawing for the command line."""
    text = Text(no_wrap=True, end="")
    for number, line in enumerate(drawing.lines):
        text.append("\n" if number else "")
        for part, style in line:
            text.append(part, style)
    return text


MOVES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
READ = "Move the cursor; the line above the figure reads the value there"
BINDINGS: list[BindingType] = [
    *(
        Binding(key, f"move({right}, {down})", "cursor", show=key == "left", id=f"figure.{key}", tooltip=READ)
        for key, (right, down) in MOVES.items()
    ),
    Binding("pageup", "move(0, -8)", "cursor up", show=False, id="figure.page_up", tooltip="Move the cursor up by 8"),
    Binding("pagedown", "move(0, 8)", "cursor down", show=False, id="figure.page_down", tooltip="Move it down by 8"),
    Binding("home", "move(-9999, 0)", "row's start", show=False, id="figure.home", tooltip="To the first column"),
    Binding("end", "move(9999, 0)", "row's end", show=False, id="figure.end", tooltip="To the last column"),
]


class FigureView(Widget, can_focus=True):
    """Shows a figure with its cursor. Only lines that differ are painted anew."""

    COMPONENT_CLASSES = {
        f"chart--{part}" for part in ("title", "label", "axis", "reference", "mark", "cursor", "finding")
    }
    DEFAULT_CSS = """
    FigureView { width: 1fr; height: 1fr; min-height: 3; }
    FigureView > .chart--title { text-style: bold; color: $foreground; }
    FigureView > .chart--label { color: $foreground 75%; }
    FigureView > .chart--axis { color: $foreground 50%; }
    FigureView > .chart--reference { color: $foreground 45%; }
    FigureView > .chart--mark { color: $foreground 60%; }
    FigureView > .chart--cursor { color: $text-accent; text-style: bold; }
    FigureView > .chart--finding { color: $text-warning; }
    FigureView:focus > .chart--title { color: $accent; }
    """
    BINDING_GROUP_TITLE = "Figure"
    BINDINGS: ClassVar[list[BindingType]] = BINDINGS

    @dataclass
    class CursorMoved(Message):
        """The cursor stands elsewhere."""

        cursor: Cursor | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.figure: Figure | None = None
        self.cursor: Cursor | None = None
        self._painting = Painting()
        self._drawing = Drawing(())

    def show(self, figure: Figure | None) -> None:
        """Show another figure, with the cursor where it was as far as there is such a place."""
        self.figure = figure
        if figure is not None and self.cursor is not None:
            self.cursor = figure.moved(self.cursor, 0, 0)
        self._draw()

    def wanted(self, height: int) -> int:
        """Return how many of `height` lines the figure fills, in the width there is."""
        if self.figure is None or not self.size.width:
            return height
        return min(height, len(self.figure.draw(self.size.width, height, self.cursor, self._style()).lines))

    def forget_cursor(self) -> None:
        """Show no cursor until it is moved."""
        self.cursor = None

    @property
    def reading(self) -> str:
        """What stands at the cursor; empty without one."""
        return self.figure.reading(self.cursor) if self.figure is not None and self.cursor is not None else ""

    def _draw(self) -> None:
        if not self.is_attached or not self.size:
            return
        width, height = self.size
        drawing = self.figure.draw(width, height, self.cursor, self._style()) if self.figure else Drawing(())
        lines = tuple(fitted(line, width) for line in drawing.lines[:height])
        lines += ((),) * (height - len(lines))
        self._drawing = drawing
        regions, _ = self._painting.replace(Frame(width, lines))
        if regions is None:
            self.refresh()
        elif regions:
            self.refresh(*regions)

    def _style(self) -> ChartStyle:
        style = style_of(self)
        shows_shades_of_colour = self.app.console.color_system in ("truecolor", "256")
        return style if shows_shades_of_colour else ChartStyle(colour=False, unicode=style.unicode)

    def render_line(self, y: int) -> Strip:
        line = self._painting.line(y)
        if line is None:
            return Strip.blank(self.size.width, self.rich_style)
        return line.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_resize(self) -> None:
        self._draw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_attached:
            self._draw()

    # keys and mouse

    def action_move(self, right: int, down: int) -> None:
        """Move the cursor."""
        if self.figure is not None:
            self._put(self.figure.moved(self.cursor, right, down))

    def on_click(self, event: events.Click) -> None:
        if (cursor := self._drawing.at(event.x, event.y)) is not None:
            self._put(cursor)

    def _put(self, cursor: Cursor | None) -> None:
        if cursor != self.cursor:
            self.cursor = cursor
            self._draw()
            self.post_message(self.CursorMoved(cursor))
