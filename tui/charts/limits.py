"""The axes of a chart: what they show, from frame to frame, and what is cut off so that the rest can be seen."""

from dataclasses import dataclass
from math import inf

from torchtty.tui.charts.axes import Axis, AxisLimits, grown
from torchtty.tui.charts.curve import SMALLEST_ON_LOG, Curve
from torchtty.tui.charts.decimation import LARGEST
from torchtty.tui.charts.series import STEP
from torchtty.tui.charts.spec import ChartSpec

EARLY = 0.2  # the share of the data whose values are cut where they would squash the rest
WHOLE = 1.0  # they are shown whole where they reach above the rest by no more than this times its spread
HEADROOM = 0.25  # otherwise by this, so that the curve is seen to come from above
LEAST = 0.01  # the least spread of the rest, as a share of that of everything: a constant is no scale
NOISE = 0.02  # the share of raw points, at either end, that may lie outside
STRETCH = 1.6  # how much longer the axis may become for a reference


@dataclass(frozen=True)
class Extent:
    """What the y axis is to show; above `high` lies, or not, what was cut: `cut` is the largest value."""

    low: float
    high: float
    cut: float | None = None


class ChartLimits:
    """The axis limits of one chart and the width of its labels, from frame to frame."""

    def __init__(self) -> None:
        self._y: dict[tuple[bool, str], AxisLimits] = {}
        self._x: dict[str, float] = {}  # the upper limits of x axes whose end is unknown, which only grow
        self._gutter = 4

    def whole_x(self, spec: ChartSpec) -> Axis | None:
        """Return the axis that shows every point, or None without points."""
        name = spec.counted
        bounds = [bound for _, series in spec.shown if (bound := series.bounds(name))]
        if not bounds:
            return None
        low, high = min(0.0, *(first for first, _ in bounds)), max(last for _, last in bounds)
        if spec.is_over and high > low:
            pass
        elif name == STEP and spec.x_max and spec.x_max >= high:
            high = spec.x_max
        elif high > 0:
            if high > self._x.get(name, 0.0):
                self._x[name] = grown(high)
            high = self._x[name]
        else:
            high = self._x.get(name, 1.0)
        if spec.log_x:
            first = min((x for _, one in spec.shown if (x := one.first_positive(name)) is not None), default=high)
            low = first if first < high else high / 10
            return Axis(low, high, log=True) if high > 0 else None
        return Axis(low, high) if high > low else None

    def x_axis(self, spec: ChartSpec) -> Axis | None:
        """Return the x axis: the window that was zoomed to, or all."""
        whole = self.whole_x(spec)
        if whole is None or spec.window.x is None:
            return whole
        low, high = spec.window.x
        low = max(low, whole.low) if whole.log else low
        return Axis(low, high, whole.log) if low < high else whole

    def y_axis(self, spec: ChartSpec, extent: Extent) -> Axis:
        """Return the y axis for an extent, or the window that was zoomed to."""
        if spec.window.y is not None and (spec.window.y[0] > 0 or not spec.log_y):
            return Axis(*spec.window.y, spec.log_y)
        if spec.window.x is not None:
            return AxisLimits(spec.log_y).include(extent.low, extent.high)
        limits = self._y.setdefault((spec.log_y, spec.unit.name), AxisLimits(spec.log_y))
        return limits.include(extent.low, extent.high, closely=spec.is_over)

    def gutter(self, labels: list[str]) -> int:
        """Return the width of the y axis's labels in cells, which never decreases."""
        self._gutter = max(self._gutter, *map(len, labels), 0)
        return self._gutter


def extent_of(spec: ChartSpec, curves: list[Curve], x: Axis) -> Extent | None:
    """Return what of curves the y axis shows; None without values.

    That is the last four fifths of what is there; what came before only where it does not squash them, and so it is with the
    references. Of raw points beneath a smoothed curve a few may lie outside. A logarithmic axis, or a part that was zoomed to,
    shows everything.
    """
    ends = [bounds for _, series in spec.shown if (bounds := series.bounds(spec.counted))]
    begin, end = min(first for first, _ in ends), max(last for _, last in ends)
    late = begin + EARLY * (end - begin)
    low, high, top = inf, -inf, -inf
    for curve in curves:
        inside = [point for point in curve.points if x.low <= point.x <= x.high] or curve.points
        values = [point.y for point in inside]
        late_values = [point.y for point in inside if point.x >= late]
        raw = sorted(point.y for point in curve.raw if point.x >= late)
        if raw:
            spare = int(len(raw) * NOISE)
            late_values += [raw[spare], raw[-1 - spare]]
        low, top = (
            min(low, min(values, default=inf), min(late_values, default=inf)),
            max(top, max(values, default=-inf)),
        )
        high = max(high, max(late_values, default=-inf))
    if low > top:
        return None
    if high < low or spec.log_y or spec.window:
        high = max(high, top)
    spread = max(high - low, LEAST * (top - low))
    cut = None
    if top > high + WHOLE * spread:
        cut, high = top, low + spread * (1 + HEADROOM)
    else:
        high = max(high, top)
    low, high = _with_references(spec, low, high)
    return Extent(low, high, cut if cut is not None and cut > high else None)


def _with_references(spec: ChartSpec, low: float, high: float) -> tuple[float, float]:
    """Extend a range to the references that do not lie too far away, the nearest first."""
    smallest = SMALLEST_ON_LOG if spec.log_y else -LARGEST
    values = [spec.unit.of(reference.value) for reference in spec.references]
    wanted = [value for value in values if smallest <= value <= LARGEST]
    most = STRETCH * max(high - low, 0.02 * max(abs(low), abs(high)))
    for value in sorted(wanted, key=lambda value: max(low - value, value - high)):
        if max(high, value) - min(low, value) <= most or spec.log_y:
            low, high = min(low, value), max(high, value)
    return low, high
