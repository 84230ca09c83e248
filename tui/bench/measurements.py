"""What there is to measure, in the order in which it is done."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torchtty.tui.bench.figure import Failure, Figure

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
    """A module of this package with `measure(wanted, quick=…)`, and the names that it yields figures for."""

    module: str
    doing: str
    names: frozenset[str]

    def figures(self, wanted: frozenset[str], *, quick: bool) -> list[Figure]:
        measure: Callable[..., list[Figure]] = import_module(f"torchtty.tui.bench.{self.module}").measure
        return measure(wanted, quick=quick)


def _of(module: str, doing: str, *names: str) -> Measurement:
    return Measurement(module, doing, frozenset(names))


MEASUREMENTS = (
    _of("startup", "opening the app", "start"),
    _of("live", "training an MLP in the app", "train", "bytes", "idle", "speed"),
    _of("prompting", "training and prompting a GPT", "sample", "speed"),
    _of("plain", "training headless and in a plain loop", "speed"),
    _of("charts", "drawing a chart of millions of points", "chart"),
    _of("opening", "opening a long run", "open"),
    _of("growth", "watching a day's worth of updates", "idle"),
)


def measured(
    wanted: Iterable[str], *, quick: bool, doing: Callable[[str], Any] = lambda _: None
) -> Iterator[Figure | Failure]:
    """Make the wanted measurements one after the other; `doing` hears what is being done.

    One that fails says so and leaves the others alone.
    """
    names = frozenset(wanted)
    for measurement in MEASUREMENTS:
        if own := names & measurement.names:
            doing(measurement.doing)
            try:
                yield from (figure for figure in measurement.figures(names, quick=quick) if figure.name in own)
            except Exception as error:  # whatever it was, the other rows are worth having
                yield Failure(", ".join(sorted(own)), f"{type(error).__name__}: {error}")
