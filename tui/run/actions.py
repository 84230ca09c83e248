"""What the keys that steer a run do: the request that goes to its worker, and what a person is shown until it is obeyed."""

from dataclasses import dataclass
from time import monotonic

from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.requests import Request
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState

WORKER_PATIENCE = 30.0  # seconds until a worker is called again


@dataclass(frozen=True)
class Step:
    """A request for the run, a word for its headline until it is obeyed, and a sentence for the person; any may be missing."""

    request: Request | None = None
    pending: str = ""
    sentence: str = ""


def pause_or_continue(snapshot: RunSnapshot) -> Step:
    """Pause a run that trains; let one that is paused continue."""
    if snapshot.state is RunState.PAUSED:
        return Step(requests.Continue(), "continuing …")
    if refusal := snapshot.refusal(Action.PAUSE):
        return Step(sentence="The run is over: r resumes it." if snapshot.can_resume else refusal)
    return Step(requests.Pause(), "pausing …")


def stop(snapshot: RunSnapshot) -> Step:
    """Stop a run that is live; it keeps a checkpoint."""
    if not snapshot.offers(Action.STOP):
        return Step()
    return Step(requests.Stop(), "stopping …", "It stops after writing a checkpoint; r resumes it from there.")


class WorkerCall:
    """Remembers when a worker was called for a run that has none, so that it is called once."""

    def __init__(self) -> None:
        self._called: float | None = None

    def is_due(self, snapshot: RunSnapshot) -> bool:
        """Whether a worker is to be called now; it then counts as called."""
        if snapshot.is_served or (self._called is not None and monotonic() - self._called <= WORKER_PATIENCE):
            return False
        self._called = monotonic()
        return True

    def answered(self) -> None:
        """A process looks after the run: should it go, the next call is due at once."""
        self._called = None
