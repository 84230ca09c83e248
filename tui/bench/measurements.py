"""What `torchtty bench` measures, in the order in which it is done, and what a measured figure is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any


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
        """Return plain values."""
        return asdict(self) | {"met": self.met}


@dataclass(frozen=True)
class Failure:
    """A measurement that could not be made, and why."""

    name: str
    reason: str


def span(values: list[float]) -> tuple[float, float]:
    """Return the lowest and the highest."""
    return min(values), max(values)


NAMES = {
    "start": "from the command to an app that can be used",
    "train": 'from "train" to the first point on the chart',
    "speed": "training with an app, without, and in a plain PyTorch loop",
    "chart": "the UI thread per frame of a chart",
    "bytes": "what is sent to the terminal in steady training",
    "open": "opening a long run",
    "idle": "processor time, memory and growth of an idle app",
    "sample": "from a prompt to the first token in mid-training",
}
"""What `--only` takes."""


@dataclass(frozen=True)
class Measurement:
    """A function of a module of this package, `measure(wanted, quick=…)`, and the names it yields figures for."""

    module: str
    function: str
    doing: str
    names: frozenset[str]

    def figures(self, wanted: frozenset[str], *, quick: bool) -> list[Figure]:
        measure: Callable[..., list[Figure]] = getattr(
            import_module(f"torchtty.tui.bench.{self.module}"), self.function
        )
        return measure(wanted, quick=quick)


def _of(module: str, function: str, doing: str, *names: str) -> Measurement:
    return Measurement(module, function, doing, frozenset(names))


MEASUREMENTS = (
    _of("startup", "measure", "opening the app", "start"),
    _of("training", "measure_app", "training an MLP in the app", "train", "bytes", "idle", "speed"),
    _of("training", "measure_prompts", "training and prompting a GPT", "sample", "speed"),
    _of("training", "measure_plain_loop", "training headless and in a plain loop", "speed"),
    _of("charts", "measure", "drawing a chart of millions of points", "chart"),
    _of("written_runs", "measure_opening", "opening a long run", "open"),
    _of("written_runs", "measure_growth", "watching a day's worth of updates", "idle"),
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
                yield from (figure for figure in measurement.figures(names, quick=quick) if figure.name in own)
            except Exception as error:  # whatever it was, the other rows are worth having
                yield Failure(", ".join(sorted(own)), f"{type(error).__name__}: {error}")
