"""The part of a frame under the legend: axes, curves, marks and references."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from rich.cells import cell_len
from rich.style import Style

from torchtty.tui.charts.axes import (
    Axis,
    Tick,
    count_label,
    decimal_label,
    nice_step,
    seconds_label,
    seconds_step,
    ticks,
)
from torchtty.tui.charts.canvas import BLANK, Canvas, Cells, Grid
from torchtty.tui.charts.extremes import LARGEST
from torchtty.tui.charts.holding import GrowingRange, HeldRange
from torchtty.tui.charts.legend import Line, printable
from torchtty.tui.charts.palette import colour
from torchtty.tui.charts.picture import Field, Picture
from torchtty.tui.charts.series import STEP, Point

NULL = Style.null()
SMALLEST_WITH_AXES = (16, 5)
"""Width and height from which a frame has axes."""

SMALLEST_ON_LOG = 1e-100
"""The smallest number that a logarithmic axis shows."""


class HeldAxes:
    """The axes of one chart from frame to frame."""

    def __init__(self) -> None:
        self._y: dict[bool, HeldRange] = {log: HeldRange(log) for log in (False, True)}
        self._x: dict[str, GrowingRange] = {}
        self._gutter = 4

    def x_axis(self, picture: Picture) -> Axis | None:
        """Return the axis that shows every point, or None without points."""
        name = picture.coordinate
        bounds = [bound for series in picture.series if (bound := series.bounds(name))]
        if not bounds:
            return None
        low, high = min(0.0, *(first for first, _ in bounds)), max(last for _, last in bounds)
        if name == STEP and picture.x_max and picture.x_max >= high:
            high = picture.x_max
        else:
            high = self._x.setdefault(name, GrowingRange()).hold(high)
        if picture.log_x:
            starts = [start for series in picture.series if (start := series.least_positive(name))]
            if starts and min(starts) < high:
                return Axis(min(starts), high, log=True)
        return Axis(low, high) if high > low else None

    def y_axis(self, low: float, high: float, log: bool) -> Axis:
        """Return the held axis for values from low to high."""
        return self._y[log].hold(low, high)

    def gutter(self, labels: list[str]) -> int:
        """Return the room for the labels of the y axis, which never becomes less."""
        self._gutter = max(self._gutter, *(len(label) for label in labels), 0) if labels else self._gutter
        return self._gutter


@dataclass
class _Curve:
    index: int
    colour: str
    points: list[Point]
    raw: list[Point]


@dataclass
class Drawing:
    """The part of a frame under the legend."""

    picture: Picture
    curves: list[_Curve]
    field: Field
    gutter: int
    y_ticks: tuple[Tick, ...]

    @classmethod
    def of(cls, builder: HeldAxes, picture: Picture, x: Axis) -> "Drawing | None":
        height = picture.height - 1
        axes = picture.width >= SMALLEST_WITH_AXES[0] and picture.height >= SMALLEST_WITH_AXES[1]
        gutter = builder.gutter([]) if axes else 0
        while True:
            left = gutter + 1 if axes else 0
            inner = picture.width - left
            curves = _curves(picture, x, inner)
            bounds = _bounds(picture, curves)
            if bounds is None or inner < 2:
                return None
            y = builder.y_axis(*bounds, picture.log_y)
            rows = height - 2 if axes else height
            marked = ticks(y, max(2, min(10, rows // 3)), decimal_label)
            needed = builder.gutter([tick.label for tick in marked]) if axes else 0
            if needed <= gutter:
                return cls(picture, curves, Field(left, 1, inner, rows, x, y), gutter, marked)
            gutter = needed

    def lines(self) -> list[Line]:
        """Draw everything; the first line of the result is the second of the frame."""
        picture, field, look = self.picture, self.field, self.picture.look
        styles = [look.axis, look.reference, look.mark, look.cursor]
        canvas = Canvas(picture.width, picture.height - 1)
        if field.left:
            y_ticks = [(field.y.fraction(tick.position), tick.label) for tick in self.y_ticks]
            canvas.frame(_x_ticks(picture.coordinate, field), y_ticks, self.gutter, 0)
        beneath = Canvas(field.width, field.height) if any(curve.raw for curve in self.curves) else None
        for curve in self.curves:
            marker = look.marker(curve.index)
            styles.extend((look.curve(curve.colour), look.raw(curve.colour)))
            if beneath and curve.raw:
                columns = field.width * Grid.of(marker).columns
                beneath.curve(_scattered(curve.raw, field, columns), marker if look.unicode else ".", len(styles) - 1)
            canvas.curve(_placed(curve.points, field), marker, len(styles) - 2)
        cells = canvas.cells()
        if beneath:
            cells.underlay(beneath.cells(), 0, field.left)
        self._draw_lines(cells)
        return [_line(*row, styles) for row in zip(cells.characters, cells.styles, strict=True)]

    def _draw_lines(self, cells: Cells) -> None:
        """Draw the cursor, the marks and the references, in this order, wherever there is room, and name them."""
        picture, field = self.picture, self.field
        if picture.cursor is not None:
            column = field.column(place(picture, field, picture.cursor))
            cells.line_down(column, 0, field.height, "│", 3)
        places = [(mark, place(picture, field, mark.step)) for mark in picture.marks]
        marks = [(mark, field.column(at)) for mark, at in places if 0 <= at <= 1]
        for _, column in marks:
            cells.line_down(column, 0, field.height, "┊", 2)
        for mark, column in marks:
            title = printable(mark.title)
            if title and _free(cells, 0, column + 1, title):
                cells.write(0, column + 1, title, 2)
        for reference in picture.references:
            if field.y.low <= reference.value <= field.y.high:
                row = field.row(field.y.fraction(reference.value))
                text = f" {printable(reference.title)}"
                right, left = field.left + field.width - cell_len(text), field.left + 1
                at = next((c for c in (right, left) if _free(cells, row, c, text)), None)
                cells.line_across(row, field.left, field.width, "┈", 1)
                if at is not None:
                    cells.write(row, at, text if at == right else f"{text[1:]} ", 1)


def _free(cells: Cells, row: int, column: int, text: str) -> bool:
    """Say whether there is room for text; text with wide characters is left to the legend."""
    return cell_len(text) == len(text) and cells.free(row, column, len(text))


def _curves(picture: Picture, x: Axis, width: int) -> list[_Curve]:
    curves = []
    for index, series in enumerate(picture.series):
        edges = x.edges(width * Grid.of(picture.look.marker(index)).columns)
        raw = series.thin(edges, picture.coordinate)
        smooth = series.smooth and picture.smoothing > 0
        points = series.thin(edges, picture.coordinate, picture.smoothing) if smooth else raw
        if picture.log_y:
            raw, points = _positive(raw), _positive(points)
        curves.append(_Curve(index, series.colour or colour(index), points, raw if smooth else []))
    return curves


def _positive(points: list[Point]) -> list[Point]:
    """Leave out what a logarithmic axis cannot show, and break the line there."""
    kept: list[Point] = []
    broken = False
    for point in points:
        if point.y >= SMALLEST_ON_LOG:
            kept.append(point._replace(connected=False) if broken else point)
        broken = point.y < SMALLEST_ON_LOG
    return kept


def _bounds(picture: Picture, curves: list[_Curve]) -> tuple[float, float] | None:
    low, high = inf, -inf
    for curve in curves:
        values = [point.y for point in curve.raw or curve.points]
        low, high = min(low, min(values, default=inf)), max(high, max(values, default=-inf))
    if low > high:
        return None
    smallest = SMALLEST_ON_LOG if picture.log_y else -LARGEST
    references = [r.value for r in picture.references if smallest <= r.value <= LARGEST]
    return min(low, *references, high), max(high, *references, low)


def _placed(points: list[Point], field: Field) -> list[tuple[float, float, bool]]:
    x, y = field.x, field.y
    if x.log or y.log:
        return [(x.fraction(point.x), y.fraction(point.y), point.connected) for point in points]
    x_low, x_scale, y_low, y_scale = x.low, 1 / (x.high - x.low), y.low, 1 / (y.high - y.low)
    return [((px - x_low) * x_scale, (py - y_low) * y_scale, connected) for px, py, connected in points]


def _scattered(points: list[Point], field: Field, columns: int) -> list[tuple[float, float, bool]]:
    """Join the minimum and the maximum of a column, so that many points look like a band and few like points."""
    placed, before = [], -1
    for x, y, connected in _placed(points, field):
        column = int(x * columns)
        placed.append((x, y, connected and column == before))
        before = column
    return placed


def place(picture: Picture, field: Field, step: float) -> float:
    """Return where on the x axis a step lies, whatever the axis counts."""
    if picture.coordinate == STEP:
        return field.x.fraction(step)
    longest = max(picture.series, key=len)
    index = longest.nearest(step)
    if index is None or picture.coordinate not in longest.coordinates:
        return -1.0
    return field.x.fraction(longest.x(index, picture.coordinate))


def _x_ticks(coordinate: str, field: Field) -> list[tuple[float, str]]:
    seconds = coordinate == "seconds"
    label: Callable[[float, float], str] = seconds_label if seconds else count_label
    most = max(1, min(12, field.width // 10))
    found = ticks(field.x, most, label, seconds_step if seconds else nice_step)
    return [(field.x.fraction(tick.position), tick.label) for tick in found]


def _line(characters: list[str], numbers: list[int], styles: list[Style]) -> Line:
    """Join neighbouring cells of the same style; a blank takes the style of what stands before it."""
    runs: list[tuple[str, Style]] = []
    start, style = 0, -1
    for i, (character, number) in enumerate(zip(characters, numbers, strict=True)):
        if number != style and character != BLANK:
            if style < 0 and number >= 0 and "".join(characters[start:i]).isspace():
                # The blanks a line begins with cost nothing in the style of what follows.
                style = number
                continue
            if i > start:
                runs.append(("".join(characters[start:i]), styles[style] if style >= 0 else NULL))
            start, style = i, number
    runs.append(("".join(characters[start:]), styles[style] if style >= 0 else NULL))
    return tuple(runs)
