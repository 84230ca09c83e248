"""The part of a frame below the legend: axes, curves, marks, references and the cursor."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from rich.cells import cell_len
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import Axis, AxisLimits, PlotArea, Tick, nice_step, seconds_step, ticks
from torchtty.tui.charts.canvas import BLANK, Canvas, Cells, dots
from torchtty.tui.charts.decimation import LARGEST
from torchtty.tui.charts.series import STEP, Point
from torchtty.tui.charts.spec import ChartSpec, Mark
from torchtty.tui.charts.style import Line, colour
from torchtty.tui.format import count_label, decimal_label, seconds_label

NULL = Style.null()
SMALLEST_WITH_AXES = (16, 5)  # width and height from which a frame has axes
MARK_ROWS = 3  # the upper rows in which marks are labelled
SMALLEST_ON_LOG = 1e-100  # the smallest number that a logarithmic axis shows


class ChartLimits:
    """The axis limits of one chart and the width of its labels, from frame to frame."""

    def __init__(self) -> None:
        self.y = {log: AxisLimits(log) for log in (False, True)}
        self._x: dict[str, float] = {}  # the upper limits of x axes whose end is unknown, which only grow
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
            if high > self._x.get(name, 0.0):
                self._x[name] = nice_step(high, 1)
            high = self._x.get(name, 1.0)
        return Axis(low, high) if high > low else None

    def gutter(self, labels: list[str]) -> int:
        """Return the width of the y axis's labels in cells, which never decreases."""
        self._gutter = max(self._gutter, *map(len, labels), 0)
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
            y = limits.y[spec.log_y].include(*bounds)
            rows = height - 2 if axes else height
            y_ticks = ticks(y, max(2, min(10, rows // 3)), decimal_label)
            needed = limits.gutter([tick.label for tick in y_ticks]) if axes else 0
            if needed <= gutter:
                return cls(spec, curves, PlotArea(left, 1, inner, rows, x, y), gutter, y_ticks)
            gutter = needed

    def lines(self, *, labels_cursor: bool) -> list[Line]:
        """Draw everything below the legend; `labels_cursor` writes the cursor's step beneath it, on the x axis."""
        spec, area, style = self.spec, self.area, self.spec.style
        styles = [style.axis, style.reference, style.mark, style.cursor, style.finding]
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
        mark_labels = []
        for mark, column in marks:
            if label := self._mark_label(cells, column, mark):
                cells.write(*label, 2)
                mark_labels.append(label)
        for _, column in marks:
            cells.line(range(area.height), (column,), "┊", 2)
        self._draw_bands(cells)
        if spec.cursor is not None:
            cells.line(range(area.height), (self._cursor_column(spec.cursor),), "│", 3)
        for row in rows.values():
            cells.line((row,), range(area.left, area.left + area.width), "┈", 1)
        for label in mark_labels:  # again, for the blanks in them, through which lines were drawn
            cells.write(*label, 2)
        for row, column, text in labels:  # again, for the blanks beside them
            cells.write(row, column, text, 1)

    def _mark_label(self, cells: Cells, column: int, mark: Mark) -> tuple[int, int, str] | None:
        """Return (row, column, text) for what a mark says, at its right or left, or in short; None without room."""
        for title in map(printable_line, (mark.title, mark.short)):
            for row in range(min(MARK_ROWS, self.area.height)) if title else ():
                for start in (column + 1, column - len(title)):
                    if start >= self.area.left and _is_free(cells, row, start, title):
                        return row, start, title
        return None

    def _draw_bands(self, cells: Cells) -> None:
        """Draw where something is wrong: a line down at its first step, and a bar along the bottom up to its last."""
        area = self.area
        for band in self.spec.bands:
            first, last = (self.spec.x_fraction(step, area) for step in (band.first, band.last))
            if not 0 <= first <= 1:
                continue
            begin = area.column(first)
            title = printable_line(band.title)
            for row in (0, 1):  # the second one where the title of a mark stands in the first
                if title and _is_free(cells, row, begin + 1, title):
                    cells.write(row, begin + 1, title, 4)
                    break
            end = max(begin + 1, area.column(min(max(last, first), 1.0)))
            cells.line((area.height - 1,), range(begin, end), "▁", 4)
            cells.line(range(area.height), (begin,), "╎", 4)

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
