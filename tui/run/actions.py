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
    from torchtty.engine.contract.run.status import RunState

WORKER_TIMEOUT = 30.0  # seconds until another worker is called for a run that still has none

RELEASE = "Release the model of a finished run from memory"
ADVANCE = "Go ahead of your other runs that wait for the same device"

# Pairs that share a key: `check_action` enables the one that fits the run on the screen, and the help shows only that.
# The key of the prompt has priority: it has moved the focus before the letters typed behind it are given to a widget.
STEERING: list[BindingType] = [
    Binding("space", "pause", "pause", id="run.pause", tooltip="Pause the run between two steps"),
    Binding("space", "continue", "continue", id="run.continue", tooltip="Continue the paused run"),
    Binding("space", "explain_no_pause", show=False),
    Binding(
        "ctrl+s",
        "prompt",
        "sample",
        id="run.prompt",
        priority=True,
        tooltip="Write a prompt and sample text from the model",
    ),
    Binding("ctrl+s", "draw", "draw", id="run.draw", tooltip="Draw pictures from fresh noise with the model"),
    Binding("ctrl+s", "explain_no_prompt", show=False, priority=True),
    Binding("ctrl+x", "stop", "stop", id="run.stop", tooltip="Stop the run after writing a checkpoint"),
    Binding("r", "resume", "resume", id="run.resume", tooltip="Resume the run, with more steps if you like"),
    Binding("k", "checkpoint", "save", id="run.checkpoint", show=False, tooltip="Save a checkpoint of the run now"),
    Binding("a", "advice", "advice", id="run.advice", show=False, tooltip="Try the change that the diagnosis proposes"),
    Binding("b", "fork", "fork", id="run.fork", tooltip="Fork the run at the checkpoint nearest to the cursor"),
    Binding("p", "pin", "pin", id="run.pin", tooltip="Pin the checkpoint nearest to the cursor, or let it go again"),
    Binding("ctrl+r", "release", "release", id="run.release", show=False, tooltip=RELEASE),
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

SAVE, CANCEL = "Save all samples to a file in the run's folder", "Cancel the sample, or leave the full screen"
FULL_SCREEN = "Give the chart the whole screen, or give that back"
INSIDE = "Look into the model with a lens beside the curve, or close that again"
BINDINGS: list[BindingType] = [
    *STEERING,
    Binding("t", "test", "test", id="run.test", tooltip="Evaluate the test split with the best weights so far"),
    Binding("t", "explain_no_test", show=False),
    Binding("i", "inside", "inside", id="run.inside", tooltip=INSIDE),
    Binding("f", "full_screen", "full screen", show=False, id="run.full_screen", tooltip=FULL_SCREEN),
    Binding("c", "next_chart", "chart", id="run.next_chart", tooltip="Show the next chart of the run"),
    Binding("ctrl+y", "copy", "copy", id="run.copy", show=False, tooltip="Copy the latest sample"),
    Binding("w", "write", "save samples", show=False, id="run.write", tooltip=SAVE),
    Binding("escape", "leave", "leave", id="run.leave", tooltip="Leave the prompt for the keys of the run"),
    Binding("escape", "cancel", "cancel", id="run.cancel", tooltip=CANCEL),
]


@dataclass(frozen=True)
class Effect:
    """A request for the run, a word for its headline until it is done, and a sentence for the person; any may be missing."""

    request: "Request | None" = None
    pending: str = ""
    sentence: str = ""


def pause_or_continue(snapshot: "RunSnapshot", asked: "RunState | None" = None) -> Effect:
    """Pause a run that trains, or continue one that is paused; where one of them is `asked` for already, do the other."""
    from torchtty.engine.contract.run import requests
    from torchtty.engine.contract.run.snapshot import Action
    from torchtty.engine.contract.run.status import RunState

    if asked is RunState.PAUSED or (asked is None and snapshot.offers(Action.CONTINUE)):
        return Effect(requests.Continue(), "continuing …" if snapshot.state is RunState.PAUSED else "")
    if asked is RunState.RUNNING:
        return Effect(requests.Pause(), "pausing …" if snapshot.state is RunState.RUNNING else "")
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


def checkpoint(snapshot: "RunSnapshot") -> Effect:
    """Save a checkpoint of a live run between two steps."""
    from torchtty.engine.contract.run import requests
    from torchtty.engine.contract.run.snapshot import Action

    if refusal := snapshot.refusal(Action.CHECKPOINT):
        return Effect(sentence=refusal)
    return Effect(requests.Checkpoint(), "saving …")


def pin_or_let_go(snapshot: "RunSnapshot", step: float | None) -> str:
    """Pin the checkpoint nearest to a step, or let it go if it is pinned; return a sentence about it. Raises `UserError`."""
    from torchtty.engine.contract.client.fork import nearest
    from torchtty.engine.contract.errors import UserError
    from torchtty.engine.contract.run.pins import pin, pinned_steps
    from torchtty.engine.contract.run.snapshot import Action

    if refusal := snapshot.refusal(Action.PIN):
        raise UserError(refusal)
    at = nearest(snapshot.run.checkpoints(), step)
    if at is None:
        raise UserError(f"{snapshot.name} has no checkpoint any more.")
    keep = at not in pinned_steps(snapshot.run)
    pin(snapshot.run, at, keep=keep)
    return f"The checkpoint at step {at:,} is {'pinned: it is kept' if keep else 'no longer pinned'}."


def release(snapshot: "RunSnapshot") -> Effect:
    """Let the model of a run go that is over."""
    from torchtty.engine.contract.run import requests
    from torchtty.engine.contract.run.snapshot import Action

    if refusal := snapshot.refusal(Action.RELEASE):
        return Effect(sentence=refusal)
    return Effect(requests.Release(), sentence="The model is released from memory; a prompt loads it again.")


def advance(snapshot: "RunSnapshot") -> Effect:
    """Let a run that waits for its device go ahead of the other ones of its user that wait for it."""
    from torchtty.engine.contract.run import requests
    from torchtty.engine.contract.run.snapshot import Action

    if refusal := snapshot.refusal(Action.ADVANCE):
        return Effect(sentence=refusal)
    return Effect(requests.Advance(), sentence="It goes ahead of your other runs in the queue.")


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
