"""Reads groups in a thread: which there are, and of the one that is looked at its results and the figure that shows them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torchtty.engine.contract.experiments.group import RunGroup, list_groups
from torchtty.engine.contract.experiments.race import BITS
from torchtty.engine.contract.experiments.results import Results, ResultsReader
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.tui.charts.figure import Figure
from torchtty.tui.experiments.bars import bars_of
from torchtty.tui.experiments.choices import Choices
from torchtty.tui.experiments.fan import fan_of
from torchtty.tui.experiments.matrix import matrix_of
from torchtty.tui.experiments.panels import panels_of
from torchtty.tui.experiments.race_chart import race_chart_of
from torchtty.tui.experiments.result_tables import result_tables
from torchtty.tui.experiments.settings_scatter import scatter_of
from torchtty.tui.experiments.words import words_of
from torchtty.tui.shell.lookout import Lookout

NO_CHOICE = Choices()
INTERVAL = 1.0  # seconds between two looks
FIGURES: dict[str, Callable[[Results, Choices], Figure | str]] = {
    "fan": fan_of,
    "matrix": matrix_of,
    "panels": panels_of,
    "mattered": bars_of,
    "scatter": scatter_of,
    "table": result_tables,
}
"""What draws a view: a figure, or a sentence that says why there is none."""


@dataclass(frozen=True)
class Listed:
    """A group in the list."""

    group: RunGroup = field(compare=False)
    name: str
    state: RunState
    runs: int


@dataclass(frozen=True)
class Look:
    """What one look has found. `figure` is a sentence where there is nothing to draw."""

    groups: tuple[Listed, ...]
    results: Results | None = None
    choices: Choices = NO_CHOICE
    figure: Figure | str | None = None
    words: tuple[str, ...] = ()  # which setting is best, and what came to nothing


@dataclass(frozen=True)
class _Wish:
    name: str = ""
    choices: Choices = NO_CHOICE


class GroupWatcher(Lookout):
    """Calls `notify` from its thread with what is new of the groups, or of the one that is looked at."""

    def __init__(self, notify: Callable[[Look], object]) -> None:
        super().__init__("reading groups")
        self._notify = notify
        self._wish = _Wish()
        self._reader: ResultsReader | None = None
        self._seen: object = None
        self._results: Results | None = None

    def look_at(self, name: str, choices: Choices) -> None:
        """Look at a group, or at the newest where no name is given."""
        self._wish = _Wish(name, choices)
        self.look_now()

    def look(self) -> float:
        """Read what is looked at."""
        self._look(self._wish)
        return INTERVAL

    def _look(self, wish: _Wish) -> None:
        groups = list_groups()
        listed = tuple(Listed(group, group.name, group.status().state, len(group.planned())) for group in groups)
        group = next((group for group in groups if group.name == wish.name), groups[0] if groups else None)
        if group is None:
            self._reader, self._seen = None, None
            self._notify(Look(()))
            return
        if self._reader is None or self._reader.group.path != group.path:
            self._reader, self._seen = ResultsReader(group), None
        results = self._reader.read(lambda: not self._ended and self._wish.name in (wish.name, group.name))
        seen = (wish, listed, _mark(results))
        if seen == self._seen or self._ended:
            return
        self._seen = seen
        choices = wish.choices.settled(results)
        if not results.metrics:
            self._notify(Look(listed, results, choices, _waits(results)))
            return
        figure = FIGURES[choices.view]
        if results.race and choices.view == "fan" and choices.metric == BITS:
            figure = race_chart_of
        self._notify(Look(listed, results, choices, figure(results, choices), words_of(results, choices)))


def _mark(results: Results) -> object:
    """Return what differs when something new is to be seen."""
    return (
        _still(results.status),
        tuple(
            (
                _still(member.status),
                member.exists,
                tuple((name, len(curve), curve.last) for name, curve in member.curves.items()),
            )
            for member in results.members
        ),
    )


def _still(status: Status) -> Status:
    """Return a status without what changes while nothing happens."""
    return status.model_copy(update={"heartbeat": 0.0, "seconds": 0.0, "steps_per_second": None})


def _waits(results: Results) -> str:
    """Say why a group has no results."""
    if results.status.state is RunState.QUEUED:
        return f"{results.name} waits for the device: its curves appear here once it trains."
    if results.status.state.is_live:
        return f"{results.name} is starting: its curves appear here with the first logged step."
    if not any(member.exists for member in results.members):
        return f"The runs of {results.name} have been deleted. D deletes what is left."
    return f"No run of {results.name} has logged a step. {results.status.message}".strip()
