"""Exponential smoothing with a time constant in steps, so that what is drawn never changes afterwards."""

from collections.abc import Iterable
from math import exp, isfinite, nan


class Smoothing:
    """An exponential moving average over unevenly spaced points.

    A point that lies d steps back weighs exp(-d / time_constant). The sum is divided by the sum of its weights, which
    takes away the pull of the first point (the bias correction of Adam: Kingma and Ba 2015, section 3).
    """

    def __init__(self, time_constant: float) -> None:
        assert time_constant > 0
        self.time_constant = time_constant
        self._last_step = nan
        self._sum = 0.0
        self._weight = 0.0

    def extend(self, steps: Iterable[float], values: Iterable[float]) -> list[float]:
        """Return one smoothed value a point; a value that is not finite gives NaN and teaches nothing."""
        out: list[float] = []
        add = out.append
        last, total, weight = self._last_step, self._sum, self._weight
        distance, keep = nan, 0.0
        for step, value in zip(steps, values, strict=True):
            if not isfinite(value):
                add(nan)
                continue
            if last == last:
                if step - last != distance:
                    distance = step - last
                    keep = exp(-distance / self.time_constant)
                if not weight:
                    # The first point's weight depends on how far points lie apart, known only at the second.
                    weight = 1.0 - keep
                    total *= weight
                total = keep * total + (1.0 - keep) * value
                weight = keep * weight + (1.0 - keep)
                add(total / weight if weight else value)
            else:
                total = value
                add(value)
            last = step
        self._last_step, self._sum, self._weight = last, total, weight
        return out
