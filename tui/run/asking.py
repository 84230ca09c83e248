"""Whether a run can be asked for samples, what the answer waits for, and when a worker is called to give it."""

from time import monotonic

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status

WORKER_PATIENCE = 30.0  # seconds until a worker is called again


def is_served(status: Status | None) -> bool:
    """Whether a process looks after the run, so that what it is asked is answered."""
    return status is not None and (status.serving or status.state.is_live)


def refusal(run: RunDirectory | None, status: Status | None) -> str:
    """Say why there is no model to ask and will be none; nothing if there is."""
    if run is None or status is None:
        return "There is no model to ask yet: start a run first."
    if not is_served(status) and not run.checkpoints():
        return "The run has no checkpoint to load the model from, so there is nothing to ask."
    return ""


def waits_for(status: Status) -> str:
    """Say what a sample waits for that was just asked for."""
    if status.state in (RunState.STARTING, RunState.QUEUED):
        return "waits until the run has begun"
    return "drawing …" if is_served(status) else "loading the model …"


class WorkerCall:
    """Remembers when a worker was called for a run that has none, so that it is called once."""

    def __init__(self) -> None:
        self._called: float | None = None

    def is_due(self, status: Status) -> bool:
        """Whether a worker is to be called now; it then counts as called."""
        if is_served(status) or (self._called is not None and monotonic() - self._called <= WORKER_PATIENCE):
            return False
        self._called = monotonic()
        return True

    def answered(self) -> None:
        """A process looks after the run: should it go, the next call is due at once."""
        self._called = None
