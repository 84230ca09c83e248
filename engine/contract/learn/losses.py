"""Six losses on a few numbers: value, gradient, what goes wrong and what torch does then; in plain Python."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.learn.example import read_asset
from torchtty.engine.contract.printable import printable_line, shortened

LARGEST_LOG = 100.0  # torch's binary cross-entropy takes no logarithm below -100
SMALLEST_SPREAD = 1e-12  # and divides by p (1 - p), but by no less than this
FLOAT32_OVERFLOW = math.log(3.4028234663852886e38)  # 88.72: e to a higher power is infinity in float32
MOST_ROWS, MOST_COLUMNS = 4, 6
LARGEST = 1e6

Number = int | float
Rows = tuple[tuple[Number, ...], ...]
Place = tuple[int, int]


@dataclass(frozen=True)
class Trial:
    """Numbers to try out, and what they show."""

    name: str
    prediction: str
    target: str
    shows: str


@dataclass(frozen=True)
class Loss:
    """A loss: what it computes, where it fits, and where it goes wrong."""

    key: str
    title: str
    formula: str
    about: str
    good: str
    bad: str
    prediction: str  # how its input is called
    target: str
    trials: tuple[Trial, ...]

    @property
    def takes_classes(self) -> bool:
        """Whether a row has one target, the number of a class."""
        return self.key in ("cross-entropy", "nll")


@dataclass(frozen=True)
class Outcome:
    """A loss of some numbers: its value, its gradient by each prediction, and what is worth a warning."""

    value: float
    gradient: tuple[tuple[float, ...], ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exponentials:
    """A softmax of one row as it is computed in float32, with and without shifting the logits by the largest."""

    logits: tuple[float, ...]
    naive: tuple[float, ...]  # e^z, infinite where float32 overflows
    naive_shares: tuple[float, ...]  # NaN where infinity was divided by infinity
    shifted: tuple[float, ...]  # e^(z - max)
    shares: tuple[float, ...] = field(default=())


@cache
def losses() -> tuple[Loss, ...]:
    """Return the losses in the order in which they are shown."""
    return tuple(_loss(entry) for entry in read_asset("losses")["losses"])


def _loss(entry: dict[str, Any]) -> Loss:
    return Loss(**{**entry, "trials": tuple(Trial(**trial) for trial in entry["trials"])})


# -- reading numbers --------------------------------------------------------------------------------------------------


def read_rows(text: str) -> Rows:
    """Read numbers, rows parted by semicolons; raise `UserError` that says what is wrong. `1` is whole, `1.0` is not."""
    rows = tuple(tuple(map(_number, row.replace(",", " ").split())) for row in text.strip(" ;").split(";"))
    if not all(rows):
        raise UserError("Write at least one number in each row; rows are parted by semicolons.")
    if len({len(row) for row in rows}) > 1:
        raise UserError("All rows must have as many numbers.")
    if len(rows) > MOST_ROWS or len(rows[0]) > MOST_COLUMNS:
        raise UserError(f"At most {MOST_ROWS} rows of {MOST_COLUMNS} numbers, so that they can be read.")
    return rows


def _number(text: str) -> Number:
    if re.fullmatch(r"[+-]?\d{1,7}", text):
        return int(text)
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"'{printable_line(shortened(text, 12))}' is not a number.") from None
    if not abs(value) <= LARGEST:
        raise UserError(f"Numbers go from {-LARGEST:.0f} to {LARGEST:.0f} here.")
    return value


# -- computing --------------------------------------------------------------------------------------------------------


def evaluate(key: str, prediction: Rows, target: Rows) -> Outcome:
    """Return value and gradient of a loss, averaged over all numbers, or over rows where the target is a class.

    Raises `UserError` where torch would refuse the numbers too.
    """
    if key in ("cross-entropy", "nll"):
        classes = _classes(prediction, target)
        return (_cross_entropy if key == "cross-entropy" else _nll)(prediction, classes)
    if (len(prediction), len(prediction[0])) != (len(target), len(target[0])):
        raise UserError(
            f"The prediction is {len(prediction)}×{len(prediction[0])} and the target {len(target)}×{len(target[0])}: "
            "each number needs its target."
        )
    return _ELEMENTWISE[key](prediction, target)


def _averaged(
    prediction: Rows, target: Rows, term: Callable[[float, float], tuple[float, float]], *warnings: str
) -> Outcome:
    """Average terms that each return (value, derivative)."""
    pairs = [list(zip(row, wanted, strict=True)) for row, wanted in zip(prediction, target, strict=True)]
    found = [[term(x, y) for x, y in row] for row in pairs]
    count = sum(map(len, found))
    gradient = tuple(tuple(slope / count for _, slope in row) for row in found)
    return Outcome(sum(value for row in found for value, _ in row) / count, gradient, warnings)


def _mse(prediction: Rows, target: Rows) -> Outcome:
    return _averaged(prediction, target, lambda x, y: ((x - y) ** 2, 2 * (x - y)))


def _l1(prediction: Rows, target: Rows) -> Outcome:
    return _averaged(prediction, target, lambda x, y: (abs(x - y), float((x > y) - (x < y))))


def _bce(prediction: Rows, target: Rows) -> Outcome:
    if outside := [x for row in prediction for x in row if not 0 <= x <= 1]:
        raise UserError(
            f"{outside[0]:g} is no probability. torch says: all elements of input should be between 0 and 1. Squash scores "
            "with a sigmoid first, or better give them to BCE with logits."
        )
    _check_shares(target)

    def log(x: float) -> float:
        return max(math.log(x), -LARGEST_LOG) if x > 0 else -LARGEST_LOG

    def term(x: float, y: float) -> tuple[float, float]:
        return -(y * log(x) + (1 - y) * log(1 - x)), (x - y) / max(x * (1 - x), SMALLEST_SPREAD)

    pairs = [pair for rows in zip(prediction, target, strict=True) for pair in zip(*rows, strict=True)]
    sure = any(x in (0, 1) and x != y for x, y in pairs)
    warning = (
        "A prediction of exactly 0 or 1 that is wrong costs −log 0 = ∞. torch stops at 100 instead, and the gradient explodes "
        "to about 10¹². From logits neither happens."
    )
    return _averaged(prediction, target, term, *([warning] if sure else []))


def _bce_with_logits(prediction: Rows, target: Rows) -> Outcome:
    _check_shares(target)

    def term(z: float, y: float) -> tuple[float, float]:
        value = max(z, 0.0) - z * y + math.log1p(math.exp(-abs(z)))
        return value, _sigmoid(z) - y

    squashed = all(0 <= z <= 1 for row in prediction for z in row) and len({z for row in prediction for z in row}) > 1
    warning = (
        "All between 0 and 1: if these are probabilities, they are squashed twice, and the loss can never fall below "
        "0.31. This loss wants the scores before the sigmoid."
    )
    return _averaged(prediction, target, term, *([warning] if squashed else []))


def _sigmoid(z: float) -> float:
    if z >= 0:
        return 1 / (1 + math.exp(-z))
    return math.exp(z) / (1 + math.exp(z))


_ELEMENTWISE: dict[str, Callable[[Rows, Rows], Outcome]] = {
    "mse": _mse,
    "l1": _l1,
    "bce": _bce,
    "bce-logits": _bce_with_logits,
}


def _check_shares(target: Rows) -> None:
    if outside := [y for row in target for y in row if not 0 <= y <= 1]:
        raise UserError(f"The target {outside[0]:g} must lie between 0 and 1: it is how likely yes is.")


def _classes(prediction: Rows, target: Rows) -> list[int]:
    """Return the class of each row; they are written one behind the other or one a row."""
    flat = [value for row in target for value in row]
    if floats := [value for value in flat if isinstance(value, float)]:
        raise UserError(
            f"{floats[0]} is a float, and a class is a whole number. torch says: expected scalar type Long but found Float. "
            "Write the number of the class without a point."
        )
    if len(flat) != len(prediction):
        raise UserError(
            f"There are {len(prediction)} rows and {len(flat)} targets: each row needs the number of its class."
        )
    classes = [int(value) for value in flat]
    if wrong := [value for value in classes if not 0 <= value < len(prediction[0])]:
        raise UserError(
            f"There is no class {wrong[0]}: {len(prediction[0])} columns are classes 0 to {len(prediction[0]) - 1}. "
            "torch says: target out of bounds."
        )
    return classes


def log_softmax(row: Sequence[float]) -> list[float]:
    """Return the logarithms of the softmax of a row, computed behind a shift by its largest number."""
    top = max(row)
    total = top + math.log(sum(math.exp(z - top) for z in row))
    return [z - total for z in row]


def _cross_entropy(prediction: Rows, classes: list[int]) -> Outcome:
    logs = [log_softmax(row) for row in prediction]
    count = len(prediction)
    value = sum(-row[chosen] for row, chosen in zip(logs, classes, strict=True)) / count
    gradient = tuple(
        tuple((math.exp(log) - (column == chosen)) / count for column, log in enumerate(row))
        for row, chosen in zip(logs, classes, strict=True)
    )
    warnings = []
    if all(abs(sum(row) - 1) < 0.01 and min(row) >= 0 for row in prediction) and len(prediction[0]) > 1:
        warnings.append(
            "Each row sums to 1: if these are probabilities, the softmax is taken twice and the loss can never come near 0. "
            "This loss wants the scores before the softmax."
        )
    if max(map(max, prediction)) > FLOAT32_OVERFLOW:
        warnings.append(
            "Above 88.7 e^z overflows in float32: ∞ / ∞ is NaN. Subtracting the largest score from all changes no share and "
            "mends it."
        )
    return Outcome(value, gradient, tuple(warnings))


def _nll(prediction: Rows, classes: list[int]) -> Outcome:
    count = len(prediction)
    value = sum(-row[chosen] for row, chosen in zip(prediction, classes, strict=True)) / count
    gradient = tuple(
        tuple(-1 / count if column == chosen else 0.0 for column in range(len(row)))
        for row, chosen in zip(prediction, classes, strict=True)
    )
    warnings = []
    if any(abs(sum(map(math.exp, row)) - 1) > 0.01 for row in (tuple(min(x, 50) for x in row) for row in prediction)):
        warnings.append(
            "A row of log-probabilities has e^x that sum to 1, and none is above 0. These are something else, so the value "
            "means nothing: it can even be negative. Take log-softmax first, or give scores to cross-entropy."
        )
    return Outcome(value, gradient, tuple(warnings))


def exponentials(row: Sequence[float]) -> Exponentials:
    """Compute a softmax as float32 would, naively and behind a shift by the largest logit."""
    naive = tuple(math.inf if z > FLOAT32_OVERFLOW else math.exp(z) for z in row)
    total = sum(naive)
    total = math.inf if total > 3.4028234663852886e38 else total
    naive_shares = tuple(
        math.nan if total == math.inf and n == math.inf else n / total if total else math.nan for n in naive
    )
    top = max(row)
    shifted = tuple(math.exp(z - top) for z in row)
    return Exponentials(tuple(row), naive, naive_shares, shifted, tuple(s / sum(shifted) for s in shifted))


# -- the curve --------------------------------------------------------------------------------------------------------


def domain(key: str, prediction: Rows, target: Rows, place: Place) -> tuple[float, float]:
    """Return the range of one prediction over which its curve is worth drawing."""
    x = prediction[place[0]][place[1]]
    if key == "bce":
        return 0.0, 1.0
    if key == "nll":
        return min(-6.0, x - 1), max(0.0, x + 1) if x > 0 else 0.0
    if key in ("mse", "l1"):
        wanted = target[place[0]][place[1]]
        reach = max(2.0, 1.25 * abs(x - wanted))
        return wanted - reach, wanted + reach
    others = [value for value in prediction[place[0]] if value != x]
    return min(-6.0, x - 2, *[z - 6 for z in others]), max(6.0, x + 2, *[z + 6 for z in others])


def curve(key: str, prediction: Rows, target: Rows, place: Place, count: int = 201) -> list[tuple[float, float]]:
    """Return the loss at `count` values of one prediction, all others as they are."""
    low, high = domain(key, prediction, target, place)
    points = []
    for i in range(count):
        x = low + (high - low) * i / (count - 1)
        points.append((x, evaluate(key, with_value(prediction, place, x), target).value))
    return points


def with_value(rows: Rows, place: Place, value: float) -> Rows:
    """Return rows with one number replaced."""
    return tuple(tuple(value if (i, j) == place else old for j, old in enumerate(row)) for i, row in enumerate(rows))
