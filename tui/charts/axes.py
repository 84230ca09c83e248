"""Axes, linear and logarithmic: their ticks at nice numbers, and limits that change as seldom as possible."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, log10

Label = Callable[[float, float], str]  # turns a tick's position and the distance to the next tick into its text


@dataclass(frozen=True)
class Axis:
    """A range of numbers and how it lies on the screen; a logarithmic one has low > 0."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high
        assert self.low > 0 or not self.log

    def fraction(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one; beyond both for values outside."""
        if self.log:
            return log10(value / self.low) / log10(self.high / self.low) if value > 0 else -1.0
        return (value - self.low) / (self.high - self.low)

    def value(self, fraction: float) -> float:
        if self.log:
            return self.low * (self.high / self.low) ** fraction
        return self.low + (self.high - self.low) * fraction

    def edges(self, columns: int) -> list[float]:
        """Return the borders of equal columns, `columns` + 1 of them, the ends exact."""
        inner = (self.value(i / columns) for i in range(1, columns))
        return [self.low, *inner, self.high]


@dataclass(frozen=True)
class PlotArea:
    """Where in a frame the curves lie, in cells, and the axes they are drawn against."""

    left: int
    top: int
    width: int
    height: int
    x: Axis
    y: Axis

    def column(self, fraction: float) -> int:
        """Return the column of the frame at a place on the x axis, the nearest one for places outside."""
        return self.left + min(max(int(fraction * self.width), 0), self.width - 1)

    def row(self, fraction: float) -> int:
        """Return the row of the plot area, counted from its top, at a place on the y axis."""
        return self.height - 1 - min(max(int(fraction * self.height), 0), self.height - 1)


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    position: float
    label: str


def nice_step(span: float, most: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that divides a span into at most `most` parts."""
    assert span > 0
    rough = span / max(1, most)
    power = 10.0 ** floor(log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


SECOND_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def seconds_step(span: float, most: int) -> float:
    """Return the distance between ticks of a time axis: whole parts of minutes, hours and days."""
    rough = span / max(1, most)
    if rough <= 1:
        return nice_step(span, most)
    return float(next((step for step in SECOND_STEPS if step >= rough), None) or 86400 * ceil(rough / 86400))


def ticks(axis: Axis, most: int, label: Label, step_of: Callable[[float, int], float] = nice_step) -> tuple[Tick, ...]:
    """Return at most about `most` + 1 ticks at nice positions within the axis."""
    if axis.log:
        positions, apart = _log_positions(axis, most)
        return tuple(Tick(position, label(position, apart or position)) for position in positions)
    step = step_of(axis.high - axis.low, most)
    slack = 1e-6
    first, last = ceil(axis.low / step - slack), floor(axis.high / step + slack)
    return tuple(Tick(i * step, label(i * step, step)) for i in range(first, last + 1))


def _log_positions(axis: Axis, most: int) -> tuple[list[float], float]:
    """Return where ticks stand, and how far they are apart where that is the same for all, else 0."""
    low, high = floor(log10(axis.low) - 1e-9), ceil(log10(axis.high) + 1e-9)
    decades = list(range(low, high + 1))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        positions = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [p for p in positions if axis.low * (1 - 1e-9) <= p <= axis.high * (1 + 1e-9)]
        if len(inside) <= most + 1:
            break
    if len(inside) > most + 1:
        stride = ceil(len(inside) / (most + 1))
        inside = inside[::stride]
    if len(inside) >= 2:
        return inside, 0.0
    # Less than a decade: nice linear positions are more readable.
    step = nice_step(axis.high - axis.low, max(1, most))
    return [i * step for i in range(ceil(axis.low / step), floor(axis.high / step) + 1)], step


LADDER = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.4, 8, 10)  # about evenly spaced on a logarithmic scale (R10 of ISO 3)
EMPTY_SHARE = 0.6  # limits are narrowed at once only when at least this share of the axis has become empty
WASTED_SHARE = 0.2  # and when this share is empty and the extremes have not moved for PATIENCE frames,
PATIENCE = 60  # 6 seconds
MOVED = 0.02  # of the axis
MARGIN = 0.4  # added where values have left the axis, as a share of their spread; half of it once that was too much
PARTS = 20  # limits are multiples of a nice step, of which at most so many are between the extremes


def grown(high: float) -> float:
    """Return the end of an axis that is to reach `high`, and seldom has to grow: 1, 1.25, 1.6 … times a power of ten."""
    power = 10.0 ** floor(log10(high))
    return next(step * power for step in LADDER if step * power >= high * (1 - 1e-9))


class AxisLimits:
    """The limits of the y axis, at nice numbers and changed as seldom as possible."""

    def __init__(self, log: bool = False) -> None:
        self.log = log
        self._axis: Axis | None = None
        self._extremes, self._held = (0.0, 0.0), 0  # where they were last seen to move, and the frames since then
        self._margin = MARGIN

    def include(self, low: float, high: float, *, closely: bool = False) -> Axis:
        """Return an axis that shows everything from low to high (both above zero for a logarithmic one).

        `closely` leaves no room for values to come.
        """
        assert low <= high
        axis = self._axis
        if axis is None or closely:
            axis = self._fitted(low, high)
        elif low < axis.low or high > axis.high:
            axis = self._fitted(*((low, high) if self.log else _with_margin(axis, low, high, self._margin)))
        else:
            first, last = axis.fraction(low), axis.fraction(high)
            if any(abs(one - other) > MOVED for one, other in zip((first, last), self._extremes, strict=True)):
                self._extremes, self._held = (first, last), 0
            self._held += 1
            empty = 1 - (last - first)
            if empty > EMPTY_SHARE:
                axis = self._fitted(low, high)
            elif empty > WASTED_SHARE and self._held > PATIENCE:
                axis, self._margin = self._fitted(low, high), self._margin / 2
        if axis != self._axis:
            self._axis, self._held = axis, 0
        return axis

    def _fitted(self, low: float, high: float) -> Axis:
        return _decades(low, high) if self.log else _snapped(low, high)


def _with_margin(axis: Axis, low: float, high: float, share: float) -> tuple[float, float]:
    """Add a margin on the side where values have just left the axis: more will follow in that direction."""
    margin = share * (high - low)
    lower = low - margin if low < axis.low else low
    # Losses, norms and speeds do not fall below zero, so neither does their axis.
    return max(lower, min(low, 0.0)), high + margin if high > axis.high else high


def _snapped(low: float, high: float) -> Axis:
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1e-100):
        # A single value lies in the middle, with room on both sides.
        reach = size / 2 if size > 1e-99 else 1.0
        low, high = low - reach, high + reach
    step = nice_step(high - low, PARTS)
    return Axis(floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step)


def _decades(low: float, high: float) -> Axis:
    """Round outwards to the next of LADDER times a power of ten on both sides."""
    power = 10.0 ** floor(log10(low))
    below = max(step * power for step in LADDER if step * power <= low * (1 + 1e-9))
    above = grown(high)
    return Axis(below, above if above > below * (1 + 1e-9) else below * 2, log=True)
