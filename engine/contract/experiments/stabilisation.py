"""The epoch of stabilisation: the earliest point of a curve from which on it stays near where it ends.

With the *end* of a curve as the mean of its last tenth, and its *fall* as what lies between its first value and the end, it has
stabilised at the earliest point from which on its smoothed values stay within a tolerance of the end:

    |smoothed - end|  <=  max(5 % of the fall, twice the standard deviation of the last tenth)

Smoothed is the median of a value and its neighbours, a fortieth of the points to each side: a single jump does not show in it,
and a curve that only falls stays as it is. With fewer than 40 points nothing is smoothed. The second tolerance is for curves that
keep jumping at their end, as those of single words a step do.

A curve that gets there only in its last third has not stabilised yet: what follows is too short to tell a plateau from a slope.
So a straight line never stabilises, however long it is. `assets/guide/statistics.md` explains it to the reader of a table.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

FEWEST = 10  # points that a curve needs to have an end and a way there
NEAR = 0.05  # of the fall
END = 0.1  # of the points
TOO_LATE = 2 / 3  # of the steps
SMOOTHED = 40  # points of a curve for each that is averaged over to one side


@dataclass(frozen=True)
class Stabilisation:
    """From which step on a curve has stayed within `tolerance` of `end`; None if it has not by its last third."""

    step: float | None
    end: float
    tolerance: float


def stabilisation(points: Sequence[tuple[float, float]]) -> Stabilisation | None:
    """Return when a curve (step, value), ascending in the step, has stabilised; None if it has fewer than 10 points.

    A curve with a value that is no finite number has not.
    """
    if len(points) < FEWEST:
        return None
    steps, values = [step for step, _ in points], [value for _, value in points]
    if not all(map(math.isfinite, values)):
        return Stabilisation(None, math.nan, math.nan)
    last = values[-max(2, round(len(values) * END)) :]
    end = fmean(last)
    tolerance = max(NEAR * abs(values[0] - end), 2 * stdev(last))
    smooth = smoothed(values, len(values) // SMOOTHED)
    slack = 1e-12 * max(1.0, abs(end))  # a mean of equal values may differ from them in the last digit
    near = len(values)
    while near and abs(smooth[near - 1] - end) <= tolerance + slack:
        near -= 1
    is_early = near < len(values) and steps[near] <= steps[0] + TOO_LATE * (steps[-1] - steps[0])
    return Stabilisation(steps[near] if is_early else None, end, tolerance)


def smoothed(values: Sequence[float], reach: int) -> list[float]:
    """Return the median of every value and up to `reach` neighbours to each side; fewer at the ends, as many to both sides."""
    window: list[float] = []
    first = beyond = 0  # what the window holds
    found = []
    for at in range(len(values)):
        width = min(reach, at, len(values) - 1 - at)
        while beyond <= at + width:
            insort(window, values[beyond])
            beyond += 1
        while first < at - width:
            del window[bisect_left(window, values[first])]
            first += 1
        found.append(window[width])
    return found
