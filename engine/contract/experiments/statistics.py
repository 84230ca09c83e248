"""Statistics of runs that differ in their seed: how far they scatter, and whether a difference is more than that.

Everything is plain Python, gives the same answer every time, and says nothing where there is too little to say something from.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev

CONFIDENCE = 0.95
RESAMPLES = 2000
FEWEST_TO_RESAMPLE = 5  # of four values a resample is mostly the values themselves: the interval would be their range
LEVEL = 0.05  # of a test: how often it may take the noise of the seeds for a difference


@dataclass(frozen=True)
class Spread:
    """What values come to: their number, mean, standard deviation (n - 1 in the denominator), lowest and highest.

    `sd` is NaN for a single value. `diverged` and `failed` count the runs that gave no value.
    """

    values: tuple[float, ...]
    diverged: int = 0
    failed: int = 0

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def runs(self) -> int:
        """How many runs there are, those without a value included."""
        return self.n + self.diverged + self.failed

    @property
    def mean(self) -> float:
        return fmean(self.values) if self.values else math.nan

    @property
    def sd(self) -> float:
        return stdev(self.values) if self.n > 1 else math.nan

    @property
    def low(self) -> float:
        return min(self.values, default=math.nan)

    @property
    def high(self) -> float:
        return max(self.values, default=math.nan)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The bootstrap interval of the mean; None for too few values."""
        return bootstrap_interval(self.values)


@lru_cache(maxsize=4096)
def bootstrap_interval(values: tuple[float, ...], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of the mean (Efron & Tibshirani 1993, chapter 13); None for fewer than 5 values.

    The means of `RESAMPLES` samples drawn with replacement, by a generator that starts the same every time; of them the
    middle `confidence`.
    """
    if len(values) < FEWEST_TO_RESAMPLE:
        return None
    draw, n = random.Random(0), len(values)
    means = sorted(fmean(draw.choices(values, k=n)) for _ in range(RESAMPLES))
    tail = (1 - confidence) / 2
    return quantile(means, tail), quantile(means, 1 - tail)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ascending values, between neighbours in proportion (Hyndman & Fan 1996, type 7)."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass(frozen=True)
class Difference:
    """The mean of one setting minus that of another, with Welch's test of it.

    `low` and `high` bound it with 95 % confidence, and `p` is how often seeds alone would give so large a difference. All are
    NaN where a setting has a single run, whose noise nobody knows.
    """

    mean: float
    low: float
    high: float
    p: float

    @property
    def is_known(self) -> bool:
        """Whether the noise is known, so that something can be said."""
        return not math.isnan(self.p)

    @property
    def exceeds_noise(self) -> bool:
        """Whether seeds alone would give such a difference less than once in twenty times."""
        return self.is_known and self.p < LEVEL


def difference(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Compare two settings by Welch's t-test, which lets each have a noise of its own (Welch 1947, Biometrika 34).

    Both need a value at least.
    """
    gap = fmean(one) - fmean(other)
    if len(one) < 2 or len(other) < 2:
        return Difference(gap, math.nan, math.nan, math.nan)
    first, second = stdev(one) ** 2 / len(one), stdev(other) ** 2 / len(other)
    error = math.sqrt(first + second)
    if error == 0.0:  # no noise at all: any difference is one
        return Difference(gap, gap, gap, 1.0 if gap == 0.0 else 0.0)
    freedom = (first + second) ** 2 / (first**2 / (len(one) - 1) + second**2 / (len(other) - 1))
    reach = _inverse(lambda t: two_sided_p(t, freedom), 1 - CONFIDENCE) * error
    return Difference(gap, gap - reach, gap + reach, two_sided_p(gap / error, freedom))


def two_sided_p(t: float, freedom: float) -> float:
    """Return how often a value of Student's distribution lies at least as far from 0 as `t`."""
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _inverse(falling: Callable[[float], float], value: float) -> float:
    """Return where a function that falls from 1 to 0 has a value, by halving."""
    low, high = 0.0, 1.0
    while falling(high) > value:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > value else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22)."""
    if x <= 0.0 or x >= 1.0:
        return min(1.0, max(0.0, x))
    if x > (a + 1) / (a + b + 2):  # where the fraction of the mirror image is quicker
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(scale) / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Evaluate 1 / (1 + d1 / (1 + d2 / (1 + …))) by Lentz's method, which keeps 1 more than that from being 0."""
    tiny = 1e-300
    numerator, denominator, value = 1.0, 0.0, 1.0
    for step in range(400):
        m = step // 2
        if step == 0:
            d = 1.0
        elif step % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1.0 / ((1.0 + d * denominator) or tiny)
        numerator = (1.0 + d / numerator) or tiny
        value *= numerator * denominator
        if step and abs(numerator * denominator - 1.0) < 1e-14:
            break
    return value - 1.0


def in_a_sentence(
    one: str, other: str, found: Difference, number: Callable[[float], str], *, more_to_come: bool = False
) -> str:
    """Say whether two settings differ by more than the seeds scatter; `number` words a value.

    `more_to_come` says that other seeds of both are still to have a result.
    """
    if number(abs(found.mean)) == number(0.0):
        return f"{one} and {other} are equal{' so far' if more_to_come else ''}, as far as their digits tell."
    direction = "lower" if found.mean < 0 else "higher"
    gap = f"{one} is {direction} than {other} by {number(abs(found.mean))}"
    if not found.is_known and more_to_come:
        return f"{gap} so far. Whether that is more than the noise of the seeds shows once more of them have results."
    if not found.is_known:
        return f"{gap}. Whether that is more than the noise of the seeds, single runs do not tell: train several seeds."
    low, high = sorted((found.low, found.high) if found.mean >= 0 else (-found.low, -found.high))
    evidence = f"95 % interval {number(low)} to {number(high)}, Welch's p {_p(found.p)}"
    noise = "more than the noise of the seeds" if found.exceeds_noise else "within the noise of the seeds"
    return f"{gap}, {noise} ({evidence})."


def _p(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.2g}"
