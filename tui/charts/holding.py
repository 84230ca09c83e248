"""Ranges that hold still: they grow in nice steps and shrink only when most of them is empty."""

from math import ceil, floor, log10

from torchtty.tui.charts.axes import Axis, nice_step

EMPTY_SHARE = 0.6
"""A range is drawn closer only when at least this share of it has become empty."""


ROOM = 0.4
"""The room left for values on their way, as a part of their spread."""


class HeldRange:
    """The range of the values on an axis, snapped to nice numbers and changed as seldom as possible."""

    def __init__(self, log: bool = False) -> None:
        self.log = log
        self._axis: Axis | None = None

    def hold(self, low: float, high: float) -> Axis:
        """Return an axis that shows everything from low to high (both above zero for a logarithmic one)."""
        assert low <= high
        axis = self._axis
        if axis is None or low < axis.low or high > axis.high or self._used(axis, low, high) < 1 - EMPTY_SHARE:
            axis = self._axis = _decades(low, high) if self.log else _snapped(*_with_room(axis, low, high))
        return axis

    def _used(self, axis: Axis, low: float, high: float) -> float:
        return axis.fraction(high) - axis.fraction(low)


class GrowingRange:
    """The range along x where the end is not known: from zero to 1, 2 or 5 times a power of ten, which only grows."""

    def __init__(self) -> None:
        self._high = 0.0

    def hold(self, high: float) -> float:
        """Return the end of an axis that shows everything up to `high`."""
        if high > self._high:
            self._high = nice_step(high, 1)
        return self._high or 1.0


def _with_room(axis: Axis | None, low: float, high: float) -> tuple[float, float]:
    """Leave room on the side where the values have just left the axis: they are on their way, and will be back soon."""
    if axis is None:
        return low, high
    room = ROOM * (high - low)
    lower = low - room if low < axis.low else low
    # Losses, norms and speeds do not fall below zero, so neither does their axis.
    return max(lower, min(low, 0.0)), high + room if high > axis.high else high


def _snapped(low: float, high: float) -> Axis:
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1e-100):
        # One value: it lies in the middle, with room for what may come.
        reach = size / 2 if size > 1e-99 else 1.0
        low, high = low - reach, high + reach
    step = nice_step(high - low, 5)
    return Axis(floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step)


def _decades(low: float, high: float) -> Axis:
    """Snap to 1, 2 or 5 times a power of ten on both sides."""
    below = max(m * 10.0 ** floor(log10(low)) for m in (1, 2, 5) if m * 10.0 ** floor(log10(low)) <= low * (1 + 1e-9))
    above = nice_step(high, 1)
    return Axis(below, above if above > below * (1 + 1e-9) else below * 2, log=True)
