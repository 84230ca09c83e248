"""What `torchtty bench` measures, in the order in which it is done, and what a measured figure is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Bar:
    """What a figure must not exceed, or with `least` not fall below."""

    limit: float
    least: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was measured under which name, in which unit, and how far the repetitions lie apart."""

    name: str  # of the measurement that `--only` takes
    what: str
    value: float
    unit: str
    bar: Bar | None = None  # None: it only explains another figure
    spread: tuple[float, float] | None = None  # the lowest and the highest of the repetitions
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        return None if self.bar is None else self.bar.met_by(self.value)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


@dataclass(frozen=True)
class Failure:
    """A measurement that could not be made, and why."""

    name: str
    reason: str


def span(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


NAMES = ("start", "train", "speed", "seeds", "chart", "bytes", "open", "runs", "idle", "sample", "memory", "launches")
"""What `--only` takes, in the order in which the figures are listed."""


class Measurement(NamedTuple):
    """A function of a module of this package, `function(wanted, quick=…)`, and the names it yields figures for."""

    module: str
    function: str
    doing: str
    names: frozenset[str]


MEASUREMENTS = (
    Measurement("opening", "measure_start", "opening the app", frozenset({"start"})),
    Measurement(
        "training", "measure_app", "training an MLP in the app", frozenset({"train", "bytes", "idle", "speed"})
    ),
    Measurement("training", "measure_prompts", "training and prompting a GPT", frozenset({"sample", "speed"})),
    Measurement("headless", "measure_plain_loop", "training headless and in a plain loop", frozenset({"speed"})),
    Measurement("headless", "measure_seeds", "training ten seeds at once and one by itself", frozenset({"seeds"})),
    Measurement("charts", "measure", "drawing a chart of millions of points", frozenset({"chart"})),
    Measurement("written_runs", "measure_opening", "opening a long run", frozenset({"open"})),
    Measurement("many_runs", "measure", "listing a thousand runs", frozenset({"runs"})),
    Measurement("written_runs", "measure_growth", "watching a day's worth of updates", frozenset({"idle"})),
    Measurement("idle_models", "measure", "training short runs one after the other", frozenset({"memory"})),
    Measurement("launches", "measure", "counting what steps ask of a GPU", frozenset({"launches"})),
)


def measured(
    wanted: Iterable[str], *, quick: bool, doing: Callable[[str], Any] = lambda _: None
) -> Iterator[Figure | Failure]:
    """Make the wanted measurements one after the other; `doing` is called with each one's description.

    A measurement that fails yields a `Failure`, and the others go on.
    """
    names = frozenset(wanted)
    for measurement in MEASUREMENTS:
        if own := names & measurement.names:
            doing(measurement.doing)
            try:
                module = import_module(f"torchtty.tui.bench.{measurement.module}")
                figures: list[Figure] = getattr(module, measurement.function)(names, quick=quick)
                yield from (figure for figure in figures if figure.name in own)
            except Exception as error:  # whatever it was, the other rows are worth having
                yield Failure(", ".join(sorted(own)), f"{type(error).__name__}: {error}")
