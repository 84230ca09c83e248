"""The part of a frame below the legend: axes, curves, marks, references and the cursor."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from rich.cells import cell_len
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import Axis, AxisLimits, GrowingLimit, PlotArea, Tick, nice_step, seconds_step, ticks
from torchtty.tui.charts.canvas import BLANK, Canvas, Cells, dots
from torchtty.tui.charts.decimation import LARGEST
from torchtty.tui.charts.series import STEP, Point
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import Line, colour
from torchtty.tui.format import count_label, decimal_label, seconds_label

NULL = Style.null()
SMALLEST_WITH_AXES = (16, 5)  # width and height from which a frame has axes
SMALLEST_ON_LOG = 1e-100  # the smallest number that a logarithmic axis shows


class ChartLimits:
    """The axis limits of one chart and the width of its labels, from frame to frame."""

    def __init__(self) -> None:
        self._y: dict[bool, AxisLimits] = {log: AxisLimits(log) for log in (False, True)}
        self._x: dict[str, GrowingLimit] = {}
        self._gutter = 4

    def x_axis(self, spec: ChartSpec) -> Axis | None:
        """Return the axis that shows every point, or None without points."""
        name = spec.coordinate
        bounds = [bound for series in spec.series if (bound := series.bounds(name))]
        if not bounds:
            return None
        low, high = min(0.0, *(first for first, _ in bounds)), max(last for _, last in bounds)
        if name == STEP and spec.x_max and spec.x_max >= high:
            high = spec.x_max
        else:
            high = self._x.setdefault(name, GrowingLimit()).include(high)
        return Axis(low, high) if high > low else None

    def y_axis(self, low: float, high: float, log: bool) -> Axis:
        """Return an axis that shows values from low to high, the present one if it still fits."""
        return self._y[log].include(low, high)

    def gutter(self, labels: list[str]) -> int:
        """Return the width of the y axis's labels in cells, which never decreases."""
        self._gutter = max(self._gutter, *(len(label) for label in labels), 0) if labels else self._gutter
        return self._gutter


@dataclass
class Curve:
    """A curve as it is drawn: its points, and beneath a smoothed one those that it smooths."""

    index: int
    colour: str
    points: list[Point]
    raw: list[Point]


@dataclass
class Drawing:
    """The part of a frame below the legend."""

    spec: ChartSpec
    curves: list[Curve]
    area: PlotArea
    gutter: int
    y_ticks: tuple[Tick, ...]

    @classmethod
    def of(cls, limits: ChartLimits, spec: ChartSpec, x: Axis) -> "Drawing | None":
        """Choose the axes for a specification; None if there is nothing to draw or no room."""
        height = spec.height - 1
        axes = spec.width >= SMALLEST_WITH_AXES[0] and spec.height >= SMALLEST_WITH_AXES[1]
        gutter = limits.gutter([]) if axes else 0
        while True:
            left = gutter + 1 if axes else 0
            inner = spec.width - left
            curves = curves_of(spec, x, inner)
            bounds = bounds_of(spec, curves)
            if bounds is None or inner < 2:
                return None
            y = limits.y_axis(*bounds, spec.log_y)
            rows = height - 2 if axes else height
            y_ticks = ticks(y, max(2, min(10, rows // 3)), decimal_label)
            needed = limits.gutter([tick.label for tick in y_ticks]) if axes else 0
            if needed <= gutter:
                return cls(spec, curves, PlotArea(left, 1, inner, rows, x, y), gutter, y_ticks)
            gutter = needed

    def lines(self, *, labels_cursor: bool) -> list[Line]:
        """Draw everything below the legend; `labels_cursor` writes the cursor's step beneath it, on the x axis."""
        spec, area, style = self.spec, self.area, self.spec.style
        styles = [style.axis, style.reference, style.mark, style.cursor]
        canvas = Canvas(spec.width, spec.height - 1)
        if area.left:
            y_ticks = [(area.y.fraction(tick.position), tick.label) for tick in self.y_ticks]
            canvas.draw_axes(_x_ticks(spec.coordinate, area), y_ticks, self.gutter, 0)
        beneath = Canvas(area.width, area.height) if any(curve.raw for curve in self.curves) else None
        for curve in self.curves:
            marker = style.marker(curve.index)
            styles.extend((style.curve(curve.colour), style.raw(curve.colour)))
            if beneath and curve.raw:
                columns = area.width * dots(marker)[0]
                beneath.curve(_scattered(curve.raw, area, columns), marker if style.unicode else ".", len(styles) - 1)
            canvas.curve(_fractions(curve.points, area), marker, len(styles) - 2)
        cells = canvas.cells()
        if beneath:
            cells.underlay(beneath.cells(), 0, area.left)
        self._draw_annotations(cells)
        if labels_cursor and spec.cursor is not None and area.left:
            self._label_cursor(cells, spec.cursor)
        return [_line(*row, styles) for row in zip(cells.characters, cells.styles, strict=True)]

    def _draw_annotations(self, cells: Cells) -> None:
        """Draw references, marks and the cursor where no curve is.

        Labels are placed before any line is drawn, so that the cursor and the marks displace none of them.
        """
        spec, area = self.spec, self.area
        rows = {
            reference: area.row(area.y.fraction(reference.value))
            for reference in spec.references
            if area.y.low <= reference.value <= area.y.high
        }
        labels = [label for reference, row in rows.items() if (label := self._label(cells, row, reference.title))]
        for row, column, text in labels:
            cells.write(row, column, text, 1)
        places = [(mark, spec.x_fraction(mark.step, area)) for mark in spec.marks]
        marks = [(mark, area.column(at)) for mark, at in places if 0 <= at <= 1]
        for _, column in marks:
            cells.line_down(column, 0, area.height, "┊", 2)
        for mark, column in marks:
            title = printable_line(mark.title)
            if title and _is_free(cells, 0, column + 1, title):
                cells.write(0, column + 1, title, 2)
        if spec.cursor is not None:
            cells.line_down(self._cursor_column(spec.cursor), 0, area.height, "│", 3)
        for row in rows.values():
            cells.line_across(row, area.left, area.width, "┈", 1)
        for row, column, text in labels:  # again, for the blanks beside them, through which lines were drawn
            cells.write(row, column, text, 1)

    def _label(self, cells: Cells, row: int, title: str) -> tuple[int, int, str] | None:
        """Return (row, column, text) for a reference's label, at the right or else the left end; None without room."""
        text = f" {printable_line(title)}"
        right, left = self.area.left + self.area.width - cell_len(text), self.area.left + 1
        if _is_free(cells, row, right, text):
            return row, right, text
        return (row, left, f"{text[1:]} ") if _is_free(cells, row, left, text) else None

    def _cursor_column(self, step: float) -> int:
        return self.area.column(self.spec.x_fraction(step, self.area))

    def _label_cursor(self, cells: Cells, step: float) -> None:
        """Write the cursor's step on the x axis, in place of the tick labels there."""
        row, text = len(cells.characters) - 1, f" step {step:,.0f} "
        characters = cells.characters[row]
        start = min(self._cursor_column(step) - len(text) // 2, len(characters) - len(text))
        if (start := max(start, 0)) + len(text) > len(characters):
            return
        left, right = start, start + len(text)
        while left > 0 and characters[left - 1] != BLANK:
            left -= 1
        while right < len(characters) and characters[right] != BLANK:
            right += 1
        cells.write(row, left, BLANK * (start - left) + text + BLANK * (right - start - len(text)), 3)


def _is_free(cells: Cells, row: int, column: int, text: str) -> bool:
    """Return whether there is room for text; text with wide characters appears in the legend only."""
    return cell_len(text) == len(text) and cells.free(row, column, len(text))


def curves_of(spec: ChartSpec, x: Axis, width: int) -> list[Curve]:
    """Return the curves of a specification, at most two points a dot of `width` cells."""
    curves = []
    for index, series in enumerate(spec.series):
        edges = x.edges(width * dots(spec.style.marker(index))[0])
        raw = series.decimate(edges, spec.coordinate)
        smooth = series.smooth and spec.smoothing > 0
        points = series.decimate(edges, spec.coordinate, spec.smoothing) if smooth else raw
        if spec.log_y:
            raw, points = _positive(raw), _positive(points)
        curves.append(Curve(index, series.colour or colour(index), points, raw if smooth else []))
    return curves


def _positive(points: list[Point]) -> list[Point]:
    """Leave out the points that a logarithmic axis cannot show, and break the line there."""
    shown: list[Point] = []
    broken = False
    for point in points:
        if point.y >= SMALLEST_ON_LOG:
            shown.append(point._replace(connected=False) if broken else point)
        broken = point.y < SMALLEST_ON_LOG
    return shown


def bounds_of(spec: ChartSpec, curves: list[Curve]) -> tuple[float, float] | None:
    """Return the least and the largest of the values and references of a chart; None without values."""
    low, high = inf, -inf
    for curve in curves:
        values = [point.y for point in curve.raw or curve.points]
        low, high = min(low, min(values, default=inf)), max(high, max(values, default=-inf))
    if low > high:
        return None
    smallest = SMALLEST_ON_LOG if spec.log_y else -LARGEST
    references = [r.value for r in spec.references if smallest <= r.value <= LARGEST]
    return min(low, *references, high), max(high, *references, low)


def _fractions(points: list[Point], area: PlotArea) -> list[tuple[float, float, bool]]:
    x, y = area.x, area.y
    if y.log:
        return [(x.fraction(point.x), y.fraction(point.y), point.connected) for point in points]
    x_low, x_scale, y_low, y_scale = x.low, 1 / (x.high - x.low), y.low, 1 / (y.high - y.low)
    return [((px - x_low) * x_scale, (py - y_low) * y_scale, connected) for px, py, connected in points]


def _scattered(points: list[Point], area: PlotArea, columns: int) -> list[tuple[float, float, bool]]:
    """Connect only the minimum and the maximum of a column: many points then look like a band, and few like points."""
    placed, before = [], -1
    for x, y, connected in _fractions(points, area):
        column = int(x * columns)
        placed.append((x, y, connected and column == before))
        before = column
    return placed


def _x_ticks(coordinate: str, area: PlotArea) -> list[tuple[float, str]]:
    seconds = coordinate == "seconds"
    label: Callable[[float, float], str] = seconds_label if seconds else count_label
    most = max(1, min(12, area.width // 10))
    found = ticks(area.x, most, label, seconds_step if seconds else nice_step)
    return [(area.x.fraction(tick.position), tick.label) for tick in found]


def _line(characters: list[str], numbers: list[int], styles: list[Style]) -> Line:
    """Join neighbouring cells of one style into runs; a blank takes the style of the run before it."""
    runs: list[tuple[str, Style]] = []
    start, style = 0, -1
    for i, (character, number) in enumerate(zip(characters, numbers, strict=True)):
        if number != style and character != BLANK:
            if style < 0 and number >= 0 and "".join(characters[start:i]).isspace():
                # Leading blanks take the style of the first run: a run of their own would cost bytes.
                style = number
                continue
            if i > start:
                runs.append(("".join(characters[start:i]), styles[style] if style >= 0 else NULL))
            start, style = i, number
    runs.append(("".join(characters[start:]), styles[style] if style >= 0 else NULL))
    return tuple(runs)
