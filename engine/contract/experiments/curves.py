"""The curves of many runs: every metric's points as they grow, and what several of them have in common."""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from torchtty.engine.contract.experiments.stabilisation import Stabilisation, stabilisation
from torchtty.engine.contract.run.metrics import Batch


class Curve:
    """One metric of one run: finite values, ascending in the step. `broken` is the step of the first that is not finite."""

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        return len(self.steps)

    def clear(self) -> None:
        """Forget every point."""
        self.steps, self.values = array("d"), array("d")
        self.broken: float | None = None
        self._stabilised: dict[float | None, tuple[int, Stabilisation | None]] = {}

    def extend(self, batch: Batch) -> None:
        """Add points. A run that went on from a checkpoint repeats steps: what came after that checkpoint before never was."""
        for step, value in zip(batch.steps, batch.values, strict=True):
            if self.steps and self.steps[-1] >= step:
                place = bisect_left(self.steps, step)
                del self.steps[place:], self.values[place:]
                self._stabilised.clear()
            if self.broken is not None and self.broken >= step:
                self.broken = None
            if math.isfinite(value):
                self.steps.append(step)
                self.values.append(value)
            elif self.broken is None:
                self.broken = step

    def until(self, step: float | None) -> list[tuple[float, float]]:
        """Return the points (step, value) up to a step, or all."""
        stop = len(self.steps) if step is None else bisect_right(self.steps, step)
        return list(zip(self.steps[:stop], self.values[:stop], strict=True))

    def scaled(self, factor: float) -> "Curve":
        """Return the curve as it is now with its values times a number."""
        found = Curve()
        found.steps, found.values = self.steps[:], array("d", (factor * value for value in self.values))
        found.broken = self.broken
        return found

    def at(self, step: float) -> float | None:
        """Return the value of a step; None where there is none."""
        place = bisect_left(self.steps, step)
        return self.values[place] if place < len(self.steps) and self.steps[place] == step else None

    @property
    def last(self) -> float | None:
        return self.values[-1] if self.values else None

    @property
    def best(self) -> float | None:
        """The lowest value."""
        return min(self.values, default=None)

    def stabilised(self, until: float | None = None) -> Stabilisation | None:
        """Return when the curve, up to a step or as a whole, has stabilised; None where it is too short to say."""
        points = self.until(until)
        known = self._stabilised.get(until)
        if known is None or known[0] != len(points):
            known = self._stabilised[until] = (len(points), stabilisation(points))
        return known[1]

    def between(self, after: float, until: float) -> float | None:
        """Return the mean of the values of steps beyond `after` up to `until`; None where there are none."""
        begin, stop = bisect_right(self.steps, after), bisect_right(self.steps, until)
        return fmean(self.values[begin:stop]) if stop > begin else None

    def thinned(self, points: int, until: float | None = None) -> list[tuple[float, float]]:
        """Return at most `points` places (step, mean of the values up to there) of the curve, or of its part up to a step."""
        stop = len(self.steps) if until is None else bisect_right(self.steps, until)
        if stop <= points:
            return self.until(until)
        low, high = self.steps[0], self.steps[stop - 1]
        found, before = [(low, self.values[0])], low
        for place in range(1, points):
            edge = low + (high - low) * place / (points - 1)
            if (value := self.between(before, edge)) is not None:
                found.append((edge, value))
            before = edge
        return found


@dataclass(frozen=True)
class BandPoint:
    """What several curves come to around a step: their mean, standard deviation (NaN of one) and number."""

    step: float
    mean: float
    sd: float
    n: int


def band(curves: Sequence[Curve], points: int) -> list[BandPoint]:
    """Return mean and standard deviation over curves at up to `points` places along the steps.

    The steps are cut into that many stretches of equal length, and a curve's value in one is its mean there. Curves that end early
    are left out from there on.
    """
    own = sorted({step for curve in curves for step in _few(curve.steps, points)})
    if not own:
        return []
    edges = own if len(own) <= points else [own[0] + (own[-1] - own[0]) * at / (points - 1) for at in range(points)]
    found, before = [], -math.inf
    for edge in edges:
        values = [value for curve in curves if (value := curve.between(before, edge)) is not None]
        if values:
            found.append(BandPoint(edge, fmean(values), stdev(values) if len(values) > 1 else math.nan, len(values)))
        before = edge
    return found


def _few(steps: "array[float]", points: int) -> Sequence[float]:
    """Return the steps, or their ends where there are more than can be told apart."""
    return steps if len(steps) <= points else (steps[0], *steps[:: max(1, len(steps) // points)], steps[-1])
