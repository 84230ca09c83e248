"""The curves of a chart as they are drawn: few enough points, in the unit that is shown, cut to the plot."""

from collections.abc import Iterator
from dataclasses import dataclass

from torchtty.tui.charts.axes import Axis, PlotArea
from torchtty.tui.charts.canvas import dots
from torchtty.tui.charts.series import Point
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import colour

SMALLEST_ON_LOG = 1e-100  # the smallest number that a logarithmic axis shows
Fraction = tuple[float, float, bool]  # x and y as shares of the plot, and whether a line leads there


@dataclass
class Curve:
    """A curve as it is drawn: its points, and beneath a smoothed one those that it smooths."""

    index: int
    colour: str
    points: list[Point]
    raw: list[Point]


def curves_of(spec: ChartSpec, x: Axis, width: int) -> list[Curve]:
    """Return the curves of a specification, about two points a dot of `width` cells at most."""
    curves = []
    for index, series in spec.shown:
        edges = x.edges(width * dots(spec.style.marker(index))[0])
        raw = series.decimate(edges, spec.counted)
        smooth = series.smooth and spec.smoothing > 0
        points = series.decimate(edges, spec.counted, spec.smoothing) if smooth else raw
        raw, points = (_shown(spec, part) for part in (raw, points))
        curves.append(Curve(index, series.colour or colour(index), points, raw if smooth else []))
    return curves


def _shown(spec: ChartSpec, points: list[Point]) -> list[Point]:
    """Return points in the unit that is shown, without those that a logarithmic axis cannot show."""
    if not spec.unit.is_as_logged:
        points = [point._replace(y=spec.unit.of(point.y)) for point in points]
    if spec.log_x:
        points = [point for point in points if point.x > 0]
    return _positive(points) if spec.log_y else points


def _positive(points: list[Point]) -> list[Point]:
    """Leave out the points that a logarithmic axis cannot show, and break the line there."""
    shown: list[Point] = []
    broken = False
    for point in points:
        if point.y >= SMALLEST_ON_LOG:
            shown.append(point._replace(connected=False) if broken else point)
        broken = point.y < SMALLEST_ON_LOG
    return shown


def fractions(points: list[Point], area: PlotArea) -> list[Fraction]:
    """Return where points lie in a plot; a line that leaves it ends at its border."""
    x, y = area.x, area.y
    if y.log or x.log:
        placed = [(x.fraction(point.x), y.fraction(point.y), point.connected) for point in points]
    else:
        x_low, x_scale, y_low, y_scale = x.low, 1 / (x.high - x.low), y.low, 1 / (y.high - y.low)
        placed = [((px - x_low) * x_scale, (py - y_low) * y_scale, connected) for px, py, connected in points]
    if all(0 <= px <= 1 and 0 <= py <= 1 for px, py, _ in placed):
        return placed
    return list(_clipped(placed))


EDGE = 1e-7  # what lies outside by less is a rounding error


def _clipped(points: list[Fraction]) -> Iterator[Fraction]:
    """Cut a line to the unit square (Liang and Barsky 1984)."""
    before: tuple[float, float] | None = None
    drawn_to: tuple[float, float] | None = None
    for x, y, connected in points:
        start = before if connected and before is not None else (x, y)
        part = _inside(start, (x, y))
        if part is not None:
            (x0, y0), (x1, y1) = part
            joined = connected and drawn_to is not None and drawn_to == (x0, y0)
            if not joined and (x0, y0) != (x1, y1):
                yield x0, y0, False
                joined = True
            yield x1, y1, joined
            drawn_to = (x1, y1)
        before = (x, y)


def _inside(
    one: tuple[float, float], other: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the part of a segment that lies in the unit square; None if there is none."""
    (x, y), first, last = one, 0.0, 1.0
    across, up = other[0] - x, other[1] - y
    for direction, room in ((-across, x + EDGE), (across, 1 + EDGE - x), (-up, y + EDGE), (up, 1 + EDGE - y)):
        if direction == 0:
            if room < 0:
                return None
        elif direction < 0:
            first = max(first, room / direction)
        else:
            last = min(last, room / direction)
    if first > last:
        return None
    begin = one if first == 0 else (x + first * across, y + first * up)
    end = other if last == 1 else (x + last * across, y + last * up)
    return begin, end


def scattered(points: list[Point], area: PlotArea, columns: int) -> list[Fraction]:
    """Connect only the minimum and the maximum of a column: many points then look like a band, and few like points."""
    placed, before = [], -1
    for x, y, connected in fractions(points, area):
        column = int(x * columns)
        placed.append((x, y, connected and column == before))
        before = column
    return placed
