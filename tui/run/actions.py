"""The keys of a run, and the request to its worker that each action comes to.

The first screen needs the keys, so what brings pydantic is imported where it is used.
"""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from torchtty.engine.contract.run.requests import Request
    from torchtty.engine.contract.run.snapshot import RunSnapshot

WORKER_TIMEOUT = 30.0  # seconds until another worker is called for a run that still has none

# Pairs that share a key: `check_action` enables the one that fits the run on the screen, and the help shows only that.
STEERING: list[BindingType] = [
    Binding("space", "pause", "pause", id="run.pause", tooltip="Pause the run between two steps"),
    Binding("space", "continue", "continue", id="run.continue", tooltip="Continue the paused run"),
    Binding("ctrl+s", "prompt", "sample", id="run.prompt", tooltip="Write a prompt and sample text from the model"),
    Binding("ctrl+s", "draw", "draw", id="run.draw", tooltip="Draw pictures from fresh noise with the model"),
    Binding("ctrl+s", "explain_no_prompt", show=False),
    Binding("ctrl+x", "stop", "stop", id="run.stop", tooltip="Stop the run after writing a checkpoint"),
    Binding("r", "resume", "resume", id="run.resume", tooltip="Resume the run, with more steps if you like"),
    Binding(
        "E",
        "export",
        "export",
        id="run.export",
        show=False,
        tooltip="Export metrics, a chart, weights or the whole run",
    ),
]
RUN_ACTIONS = tuple(binding.action for binding in STEERING if isinstance(binding, Binding))

BINDINGS: list[BindingType] = [
    *STEERING,
    Binding("c", "next_chart", "chart", id="run.next_chart", tooltip="Show the next chart of the run"),
    Binding("ctrl+y", "copy", "copy", id="run.copy", show=False, tooltip="Copy the latest sample"),
    Binding(
        "w",
        "write",
        "save samples",
        id="run.write",
        show=False,
        tooltip="Save all samples to a file in the run's folder",
    ),
    Binding(
        "escape", "cancel", "cancel", id="run.cancel", show=False, tooltip="Cancel the sample, or leave the prompt"
    ),
]


@dataclass(frozen=True)
class Effect:
    """A request for the run, a word for its headline until it is done, and a sentence for the person; any may be missing."""

    request: "Request | None" = None
    pending: str = ""
    sentence: str = ""


def pause_or_continue(snapshot: "RunSnapshot") -> Effect:
    """Pause a run that trains, or continue one that is paused."""
    from torchtty.engine.contract.run import requests
    from torchtty.engine.contract.run.snapshot import Action

    if snapshot.offers(Action.CONTINUE):
        return Effect(requests.Continue(), "continuing …")
    if refusal := snapshot.refusal(Action.PAUSE):
        return Effect(sentence=f"{refusal} r resumes it." if snapshot.can_resume else refusal)
    return Effect(requests.Pause(), "pausing …")


def stop(snapshot: "RunSnapshot") -> Effect:
    """Stop a live run, which writes a checkpoint first."""
    from torchtty.engine.contract.run import requests
    from torchtty.engine.contract.run.snapshot import Action

    if refusal := snapshot.refusal(Action.STOP):
        return Effect(sentence=refusal)
    return Effect(requests.Stop(), "stopping …", "Stops after writing a checkpoint; r resumes from there.")


class WorkerCall:
    """Remembers when a worker was called for a run that has none, so that only one is called."""

    def __init__(self) -> None:
        self._called: float | None = None

    def is_due(self, snapshot: "RunSnapshot") -> bool:
        """Whether a worker is to be called now; it then counts as called."""
        if snapshot.is_served or (self._called is not None and monotonic() - self._called <= WORKER_TIMEOUT):
            return False
        self._called = monotonic()
        return True

    def answered(self) -> None:
        """Note that a worker serves the run: should it end, the next call is due at once."""
        self._called = None
