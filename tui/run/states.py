"""Why a run is in its state."""

from torchtty.engine.contract.run.status import RunState, Status


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
