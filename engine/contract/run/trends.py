"""The trend of a metric over a whole run: its points joined into some hundred stretches, however many there are."""

from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import inf, isfinite, nan
from operator import lt
from statistics import median
from typing import NamedTuple

STRETCHES = 512  # at most; neighbours are joined in pairs when there are more


class Stretch(NamedTuple):
    """Points that follow each other: their first and last step, how many they are, their sum, lowest and highest value."""

    first: float
    last: float
    size: int
    total: float
    low: float
    high: float

    @property
    def mean(self) -> float:
        return self.total / self.size

    def joined(self, other: "Stretch") -> "Stretch":
        """Return this stretch and a later one as one."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Stretch(self.first, other.last, self.size + other.size, self.total + other.total, low, high)


class Trend:
    """A metric's points, joined as they come: the cost of reading it does not depend on how long a run is.

    Numbers that are not finite are no part of a stretch; `broken` is the step of the first of them.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget every point."""
        self.stretches: list[Stretch] = []
        self.broken: float | None = None
        self.start = (nan, nan)  # step and value of the first point
        self._size = 1  # points of a stretch that is complete

    @property
    def count(self) -> int:
        """How many points there are."""
        return sum(stretch.size for stretch in self.stretches)

    @property
    def last(self) -> float:
        """The step of the last point; -1 without one."""
        return self.stretches[-1].last if self.stretches else -1.0

    @property
    def peak(self) -> float:
        """The highest value."""
        return max((stretch.high for stretch in self.stretches), default=nan)

    def extend(self, steps: Sequence[float], values: Sequence[float]) -> None:
        """Add points. A step that is not beyond the last first removes what was there from that step on."""
        if all(map(lt, steps, steps[1:])):
            self._extend(steps, values)
            return
        begin = 0
        for at, (one, other) in enumerate(pairwise(steps), 1):
            if other <= one:
                self._extend(steps[begin:at], values[begin:at])
                begin = at
        self._extend(steps[begin:], values[begin:])

    def _extend(self, steps: Sequence[float], values: Sequence[float]) -> None:
        if not len(steps):
            return
        if steps[0] <= max(self.last, -1.0 if self.broken is None else self.broken):
            self._cut(steps[0])
        if not all(map(isfinite, values)):
            kept = [(step, value) for step, value in zip(steps, values, strict=True) if isfinite(value)]
            if self.broken is None:
                self.broken = next(step for step, value in zip(steps, values, strict=True) if not isfinite(value))
            steps, values = array("d", (step for step, _ in kept)), array("d", (value for _, value in kept))
            if not kept:
                return
        if not self.stretches:
            self.start = (steps[0], values[0])
        self._join(steps, values)

    def _join(self, steps: Sequence[float], values: Sequence[float]) -> None:
        at = 0
        while at < len(steps):
            begun = self.stretches.pop() if self.stretches and self.stretches[-1].size < self._size else None
            stop = min(len(steps), at + self._size - (begun.size if begun else 0))
            part = values[at:stop]
            fresh = Stretch(steps[at], steps[stop - 1], stop - at, sum(part), min(part), max(part))
            self.stretches.append(begun.joined(fresh) if begun else fresh)
            at = stop
            if len(self.stretches) > STRETCHES:
                paired = iter(self.stretches)
                self.stretches = [one.joined(two) if (two := next(paired, None)) else one for one in paired]
                self._size *= 2

    def _cut(self, step: float) -> None:
        while self.stretches and self.stretches[-1].last >= step:
            self.stretches.pop()
        if self.broken is not None and self.broken >= step:
            self.broken = None

    # -- what is asked --------------------------------------------------------------------------------------------

    def between(self, first: float, last: float = inf) -> Stretch | None:
        """Return all that lies between two steps as one stretch; None where nothing does."""
        return _sum([stretch for stretch in self.stretches if first <= stretch.first and stretch.last <= last])

    def recent(self, count: int) -> Stretch | None:
        """Return the last `count` points, or a few more, as one stretch."""
        begin, held = len(self.stretches), 0
        while begin and held < count:
            begin -= 1
            held += self.stretches[begin].size
        return _sum(self.stretches[begin:])

    def lowest(self, count: int) -> Stretch | None:
        """Return the `count` neighbouring points, or a few more, with the lowest mean; None where there are fewer."""
        begin, held, total = 0, 0, 0.0
        best, found = inf, (0, 0)
        for end, newest in enumerate(self.stretches):
            held, total = held + newest.size, total + newest.total
            while held - self.stretches[begin].size >= count:
                held, total = held - self.stretches[begin].size, total - self.stretches[begin].total
                begin += 1
            if held >= count and total / held < best:
                best, found = total / held, (begin, end + 1)
        return _sum(self.stretches[slice(*found)])

    def jitter(self) -> float:
        """Return how far a stretch's mean lies from the line through its neighbours, in the middle: noise without the trend."""
        means = [stretch.mean for stretch in self.stretches]
        bends = [abs(a - 2 * b + c) for a, b, c in zip(means, means[1:], means[2:], strict=False)]
        return median(bends) / 2 if bends else 0.0


def _sum(stretches: Sequence[Stretch]) -> Stretch | None:
    if not stretches:
        return None
    low, high = min(stretch.low for stretch in stretches), max(stretch.high for stretch in stretches)
    count, total = sum(stretch.size for stretch in stretches), sum(stretch.total for stretch in stretches)
    return Stretch(stretches[0].first, stretches[-1].last, count, total, low, high)
