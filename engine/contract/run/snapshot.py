"""A run at one moment, immutable: its state, the settings in force, and what can be done with it.

What is possible with a run is decided here and nowhere else: keys, headline, dialogs, command line and the list of runs ask.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LensEntry, lenses_for
from torchtty.engine.contract.run import stopping
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.lineage import Parent, parent_of
from torchtty.engine.contract.run.log import Facts, RunLog
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.families import FAMILIES, family_of
from torchtty.engine.contract.settings.family import Configuration, Family, Metric, Output, Tree


class Action(StrEnum):
    """What a person can do with a run."""

    PAUSE = "pause"
    CONTINUE = "continue"
    STOP = "stop"
    ADVANCE = "go first"
    RESUME = "resume"
    SAMPLE = "sample"
    LENS = "lens"
    EDIT = "edit"
    CHECKPOINT = "checkpoint"
    EXPORT = "export"
    RELEASE = "release"
    DELETE = "delete"
    REPLAY = "replay"
    TEST = "test"
    FORK = "fork"
    PIN = "pin"
    RENAME = "rename"
    EXPORT_METRICS = "export its metrics"
    EXPORT_SAMPLES = "export its samples"
    EXPORT_WEIGHTS = "export its weights"
    EXPORT_ARCHIVE = "export it whole"


@dataclass(frozen=True)
class RunSnapshot:
    """What is known of a run. `configuration` holds the settings in force; None where they cannot be read, for `problem`."""

    run: RunDirectory
    status: Status
    configuration: Configuration | None = None
    facts: Facts = field(default_factory=Facts)
    checkpoints: tuple[int, ...] = ()
    problem: str = ""
    parent: Parent | None = None  # of a fork
    has_metrics: bool = False
    has_samples: bool = False
    group: str = ""  # that it was trained in

    @classmethod
    def of(cls, run: RunDirectory) -> "RunSnapshot":
        """Read a run as it is now."""
        log = RunLog(run, with_metrics=False)
        status = (
            run.status()
        )  # the status comes first: what a worker wrote before it changed its state is then read too
        log.read()
        return cls.from_log(log, status)

    @classmethod
    def from_log(cls, log: RunLog, status: Status) -> "RunSnapshot":
        """Take the moment out of a log that is up to date."""
        try:
            configuration, problem = parse(log.settings()), ""
        except UserError as error:
            configuration, problem = None, str(error)
        return cls(
            log.run,
            status,
            configuration,
            log.facts,
            tuple(log.run.checkpoints()),
            problem,
            parent_of(meta := log.run.meta()),
            group=str(meta.get("group") or ""),
            has_metrics=log.run.has_metrics(),
            has_samples=any(sample.texts for sample in log.samples.values()),
        )

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def state(self) -> RunState:
        return self.status.state

    @property
    def settings(self) -> Tree:
        """The settings in force as plain values; empty where they cannot be read."""
        return self.configuration.tree() if self.configuration else {}

    @property
    def family(self) -> Family | None:
        return family_of(self.configuration.kind) if self.configuration else None

    @property
    def lenses(self) -> tuple[LensEntry, ...]:
        """The lenses that look into its model; none where its configuration cannot be read."""
        if self.configuration is None or self.family is None:
            return ()
        return lenses_for(self.family, self.configuration.model)

    @property
    def dataset(self) -> str:
        """The dataset's name, or the last part of its path."""
        return str(self.settings.get("data", {}).get("dataset", "")).rstrip("/").rsplit("/", 1)[-1]

    @property
    def draws_pictures(self) -> bool:
        return self.family is not None and self.family.output is Output.PICTURES

    @property
    def summarised(self) -> tuple[tuple[Metric, float], ...]:
        """The metrics that the run is summed up by with their latest values, the most important first."""
        return self.family.summarised(self.status.metrics) if self.family else ()

    # -- what can be done -----------------------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether it trains, waits or is paused."""
        return self.state.is_live

    @property
    def is_served(self) -> bool:
        """Whether a process looks after the run, so that what is asked of it is answered."""
        return self.status.serving or self.is_live

    @property
    def can_resume(self) -> bool:
        return self.offers(Action.RESUME)

    def offers(self, action: Action) -> bool:
        """Whether an action is possible now."""
        return not self.refusal(action)

    def refusal(self, action: Action) -> str:
        """Say why an action is not possible now; empty if it is."""
        run, live = f"{self.name} is {self.state.value}", self.is_live
        begins = self.state in (RunState.STARTING, RunState.QUEUED)
        match action:
            case Action.PAUSE if not live:
                return f"{run}: only a run that trains can be paused."
            case Action.PAUSE if self.state is RunState.PAUSED:
                return f"{run} already."
            case Action.PAUSE if self.status.group:
                return f"{self.name} trains in the group {self.status.group}, which goes on together: it can be stopped alone."
            case Action.PAUSE if begins:
                return f"{run}: it can be paused once it trains."
            case Action.CONTINUE if self.state is not RunState.PAUSED:
                return f"{run}, not paused."
            case Action.STOP if not live:
                return f"{run}: there is nothing to stop."
            case Action.ADVANCE if self.state is not RunState.QUEUED:
                return f"{run}: it does not wait for a device."
            case Action.ADVANCE if self.status.place == 1:
                return f"{self.name} is the first in the queue already."
            case Action.EDIT if not live:
                return f"{run}: resume it first."
            case Action.EDIT if begins:
                return f"{run}: its settings can be changed once it trains."
            case Action.RESUME:
                return self._why_not_resume()
            case Action.EXPORT if self.family is not None and not self.family.exports:
                return f"{self.name} cannot be exported: only {_exporting()} has a form that other programs read."
            case Action.EXPORT if begins:
                return f"{run} and has no model yet: try again once it trains."
            case Action.LENS if self.family is not None and not self.lenses:
                return f"There is no lens that looks into {self.family.title}."
            case Action.SAMPLE | Action.LENS if self.state is RunState.QUEUED:
                return f"{run} and has no model in memory: try again once it trains."
            case Action.TEST if why := self._why_not_test():
                return why
            case Action.TEST if begins:
                return f"{run} and has no model yet: try again once it trains."
            case Action.SAMPLE | Action.LENS | Action.EXPORT | Action.TEST if (
                not self.is_served and not self.checkpoints
            ):
                return f"{self.name} has no checkpoint, so there is no model to load."
            case Action.CHECKPOINT if begins:
                return f"{run} and has no model yet: there is nothing to save."
            case Action.CHECKPOINT if not live:
                return f"{run}: its latest checkpoint stands."
            case Action.RELEASE if live:
                return f"{run} and needs its model: stop it first."
            case Action.RELEASE if not self.status.serving:
                return f"{run}, and its model is not in memory."
            case Action.DELETE if live:
                return f"{run}: stop it before you delete it."
            case Action.REPLAY if self.configuration is None:
                return f"The configuration of {self.name} cannot be read: {self.problem}"
            case Action.REPLAY if self.group:
                return (
                    f"{self.name} was trained in the group {self.group}, whose sums differ in the last digit from those of a run "
                    "by itself: a replay would not be bit for bit."
                )
            case Action.REPLAY if live and self.state is not RunState.PAUSED:
                return f"{run}: it can be replayed once it is paused or over, for a replay needs the device."
            case Action.FORK:
                return self._why_not_fork()
            case Action.PIN if not self.checkpoints:
                return f"{self.name} has no checkpoint to pin."
            case Action.RENAME if live:
                return f"{run}, and its worker writes into its folder: stop it before you rename it."
            case Action.EXPORT_METRICS if not self.has_metrics:
                return f"{self.name} has no metrics{' yet' if live else ''}: it has not trained a step."
            case Action.EXPORT_SAMPLES if self.draws_pictures:
                return (
                    f"{self.name} draws pictures and writes no text: its grids are the PNG files in {self.run.media}."
                )
            case Action.EXPORT_SAMPLES if not self.has_samples:
                return f"{self.name} has no samples yet: 'torchtty sample {self.name}' draws some."
            case Action.EXPORT_WEIGHTS if not self.checkpoints:
                advice = (
                    "it is written at a checkpoint, and when the run stops" if live else "it ended before its first one"
                )
                return f"{self.name} has no checkpoint{' yet' if live else ''}, so there are no weights on the disk: {advice}."
            case Action.EXPORT_ARCHIVE if self.configuration is None:
                return f"The configuration of {self.name} cannot be read, and a run without one cannot be imported: {self.problem}"
        return ""

    def lens_refusal(self, lens: LensEntry) -> str:
        """Say why the run cannot be looked into with a lens now; empty if it can."""
        if self.configuration is None or self.family is None:
            return self.refusal(Action.LENS)
        return lens.refusal(self.family, self.configuration.model) or self.refusal(Action.LENS)

    def _why_not_resume(self) -> str:
        if self.is_live:
            return f"{self.name} is {self.state.value} already."
        if self.configuration is None:
            return f"The configuration of {self.name} cannot be read: {self.problem}"
        if self.family is not None and not self.family.trains_by_steps:
            return f"{self.name} is trained in one pass over the data: there is nothing to resume. Train a new run."
        return "" if self.checkpoints else f"{self.name} has no checkpoint to resume from. Train a new run."

    def _why_not_test(self) -> str:
        if self.family is not None and self.family.tested is None:
            return f"{self.family.title} has no loss on a test split: none of its losses says how good it is."
        if self.configuration is not None and not self.settings.get("data", {}).get("test_fraction"):
            return (
                f"{self.name} has no test split. Train a run with --data.test_fraction 0.1, and a tenth of the data is kept "
                "aside for it."
            )
        return ""

    def why_it_would_end(self, edits: Mapping[str, Any]) -> str:
        """Say why the run would end at once if it was resumed with these edits of its settings; empty if it goes on."""
        return stopping.why_it_would_end(self.name, self.status, self.settings, edits)

    @property
    def ended_by(self) -> str:
        """The setting whose rule ended the run before its last step; empty where none did."""
        return stopping.ended_by(self.status)

    def _why_not_fork(self) -> str:
        if self.configuration is None:
            return f"The configuration of {self.name} cannot be read: {self.problem}"
        if self.family is not None and not self.family.trains_by_steps:
            return f"{self.name} is trained in one pass over the data: there is nothing to fork. Train a new run."
        return "" if self.checkpoints else f"{self.name} has no checkpoint to fork from yet."

    def waits_for(self) -> str:
        """Say what a request that was just sent waits for."""
        if self.state is RunState.STARTING:
            return "waits until the run has begun"
        return "drawing …" if self.is_served else "loading the model …"


def _exporting() -> str:
    """Return the titles of the families that can be exported."""
    return " or ".join(family.title for family in FAMILIES.values() if family.exports)
