"""How the states of a run are shown: each by a sign, a word and a colour, so that none of the three is needed."""

from dataclasses import dataclass

from torchtty.engine.contract.run.status import RunState, Status


@dataclass(frozen=True)
class StateLook:
    """A state's sign (one cell), its word, and the theme's colour for both."""

    sign: str
    word: str
    colour: str


LOOKS: dict[RunState, StateLook] = {
    RunState.STARTING: StateLook("◌", "starting", "$text-accent"),
    RunState.QUEUED: StateLook("◷", "queued", "$text-accent"),
    RunState.RUNNING: StateLook("●", "running", "$text-success"),
    RunState.PAUSED: StateLook("‖", "paused", "$text-warning"),
    RunState.FINISHED: StateLook("✓", "finished", "$text-primary"),
    RunState.STOPPED: StateLook("■", "stopped", "$foreground 65%"),
    RunState.FAILED: StateLook("✗", "failed", "$text-error"),
    RunState.LOST: StateLook("?", "lost", "$text-error"),
}


def explanation(status: Status, *, resumable: bool) -> str:
    """Say in a sentence or two what a person should know of the state, empty if the word says it all."""
    state = status.state
    message = status.message.strip()
    if state is RunState.QUEUED:
        behind = status.waiting_for or "another run"
        return f"Waits for {behind}, which holds the device."
    if state is RunState.PAUSED:
        return _sentence(message) or "Paused between two steps: space goes on."
    if state in (RunState.STOPPED, RunState.FAILED, RunState.LOST):
        how = "r resumes it from its latest checkpoint." if resumable else ""
        return " ".join(filter(None, (_sentence(message), how)))
    return _sentence(message)


def _sentence(message: str) -> str:
    return message if not message or message[-1] in ".!?…" else message + "."
