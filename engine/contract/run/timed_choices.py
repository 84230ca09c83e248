"""What a run has chosen by timing, as its events record it: a run that goes on, or is replayed, computes the same way again."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import BackendChosen, Event, PrecisionChosen, ThreadsChosen
from torchtty.engine.contract.run.log import RunLog


class TimedChoices(BaseModel):
    """The choices to follow before step `until` is done; afterwards a run chooses for itself again.

    `threads` says from which step on (the number of those done before it) how many threads compute.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    threads: tuple[tuple[int, int], ...] = ()
    until: int = Field(0, ge=0)
    precision: str | None = None
    backend: str | None = None  # that computed the latest steps
    own: bool = False  # whether the run has recorded them itself


def choices_in(events: Iterable[Event], until: int) -> TimedChoices:
    """Return the choices that events tell of, to be followed until a step.

    A choice makes void those of later steps: a kill has undone them, and the run went on otherwise.
    """
    threads: list[tuple[int, int]] = []
    precision = backend = None
    for event in events:
        match event:
            case ThreadsChosen():
                threads = [each for each in threads if each[0] < event.since] + [(event.since, event.threads)]
            case PrecisionChosen():
                precision = event.precision
            case BackendChosen():
                backend = event.backend
    return TimedChoices(threads=tuple(threads), until=until, precision=precision, backend=backend)


def choices_of(run: RunDirectory, until: int) -> TimedChoices:
    """Return the choices that a run has recorded, to be followed until a step."""
    return choices_in(RunLog(run, with_metrics=False).read().events, until)


def own_choices(run: RunDirectory, until: int) -> TimedChoices:
    """Return the choices that a run has recorded, for itself to follow until a step."""
    return choices_of(run, until).model_copy(update={"own": True})
