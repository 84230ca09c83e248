"""The rows of `metrics.jsonl` as columns: every metric's points, in the order in which they came."""

from array import array
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from torchtty.engine.contract.run.trends import Trend

Row = dict[str, Any]
COORDINATES = {"seconds": "time", "tokens": "tokens"}
"""What a metric can be looked at against besides the step, and the column that holds it."""

_NO_METRICS = {"step", *COORDINATES.values()}


class Batch(NamedTuple):
    """Points of one metric; the arrays of steps and coordinates are shared by the metrics of the same lines."""

    steps: "array[float]"
    values: "array[float]"
    coordinates: Mapping[str, "array[float]"]


class MetricColumns:
    """Every metric's points; what is no number is passed over.

    Points are stored as columns, which costs next to nothing, until somebody takes those of a metric.
    """

    def __init__(self) -> None:
        self._batches: dict[str, list[Batch]] = {}
        self.trends: dict[str, Trend] = {}  # of the metrics that are followed
        self.tokens = 0.0  # seen in training, as the latest line has it

    def follow(self, names: Iterable[str]) -> None:
        """Have the trends of metrics taken from now on, whoever takes their points."""
        for name in names:
            self.trends.setdefault(name, Trend())

    @property
    def names(self) -> set[str]:
        """The metrics that have points which nobody has taken."""
        return set(self._batches)

    def clear(self) -> None:
        """Forget every point."""
        self._batches.clear()
        self.tokens = 0.0
        for trend in self.trends.values():
            trend.clear()

    def pop(self, name: str) -> list[Batch]:
        """Take a metric's points out, as few batches as their coordinates allow."""
        return _joined(self._batches.pop(name, []))

    def points(self, name: str) -> list[tuple[float, float]]:
        """Return (step, value) of a metric that nobody has taken, ascending in the step.

        A run that went on from a checkpoint repeats steps: what came after the checkpoint before never was.
        """
        found: list[tuple[float, float]] = []
        for batch in self._batches.get(name, ()):
            for step, value in zip(batch.steps, batch.values, strict=True):
                while found and found[-1][0] >= step:
                    found.pop()
                found.append((step, value))
        return found

    def take(self, rows: Iterable[Row]) -> bool:
        """Add the points of complete lines; say whether there were any."""
        shapes: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            shapes.setdefault(tuple(row), []).append(row)
        shapes = {shape: group for shape, group in shapes.items() if "step" in shape}
        seen = [group[-1].get("tokens") for group in shapes.values()]
        self.tokens = max((float(tokens) for tokens in seen if tokens and is_number(tokens)), default=self.tokens)
        holders: dict[str, list[tuple[str, ...]]] = {}
        for shape in shapes:
            for name in shape:
                if name not in _NO_METRICS:
                    holders.setdefault(name, []).append(shape)
        columns = {shape: _columns(shape, group) for shape, group in shapes.items()}
        for name, having in holders.items():
            batch = _batch(name, columns[having[0]]) if len(having) == 1 else None
            batch = batch or _picked(name, [row for shape in having for row in shapes[shape]])
            if len(batch.steps):
                self._batches.setdefault(name, []).append(batch)
                if name in self.trends:
                    self.trends[name].extend(batch.steps, batch.values)
        return bool(holders)


def _columns(shape: tuple[str, ...], rows: list[Row]) -> dict[str, "array[float] | None"]:
    """Turn lines of one shape into columns; None for a column that holds what is no number, and for steps that are not finite."""
    found: dict[str, array[float] | None] = {}
    for name, values in zip(shape, zip(*(row.values() for row in rows), strict=True), strict=True):
        try:
            found[name] = array("d", values)
        except (TypeError, OverflowError):
            found[name] = None
    steps = found["step"]
    if steps is not None and not all(map(isfinite, steps)):
        found["step"] = None
    return found


def _batch(name: str, columns: Mapping[str, "array[float] | None"]) -> Batch | None:
    """Return the points of a metric whose columns hold numbers only."""
    steps, values = columns["step"], columns[name]
    if steps is None or values is None:
        return None
    given = {called: columns[key] for called, key in COORDINATES.items() if key in columns}
    coordinates = {called: column for called, column in given.items() if column is not None}
    return Batch(steps, values, coordinates) if len(coordinates) == len(given) else None


def _picked(name: str, rows: list[Row]) -> Batch:
    """Return the points of a metric from lines of several shapes, or with values that are no numbers."""
    kept = [row for row in rows if is_number(row[name]) and is_number(row["step"]) and isfinite(row["step"])]
    kept.sort(key=lambda row: row["step"])
    coordinates = {
        called: array("d", [row[key] for row in kept])
        for called, key in COORDINATES.items()
        if all(is_number(row.get(key)) for row in kept)
    }
    return Batch(array("d", [row["step"] for row in kept]), array("d", [row[name] for row in kept]), coordinates)


def _joined(batches: list[Batch]) -> list[Batch]:
    """Join batches that are given with the same coordinates: one long batch is drawn much faster than many short ones."""
    joined: list[Batch] = []
    for batch in batches:
        if not joined or joined[-1].coordinates.keys() != batch.coordinates.keys():
            own = {called: array("d") for called in batch.coordinates}  # the batch's arrays are shared: copy
            joined.append(Batch(array("d"), array("d"), own))
        last = joined[-1]
        last.steps.extend(batch.steps)
        last.values.extend(batch.values)
        for called, xs in batch.coordinates.items():
            last.coordinates[called].extend(xs)
    return joined


def is_number(value: object) -> bool:
    """Whether a JSON value is a number that fits a float; NaN and infinities are."""
    return type(value) is float or (type(value) is int and abs(value) < 10**300)
