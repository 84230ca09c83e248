"""What becomes of a person's wish to pause, let go on, stop or resume a run, by the state that it is in."""

from dataclasses import dataclass

from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.requests import Command
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import Configuration
from torchtty.tui.run.resume_dialog import can_take_steps


@dataclass(frozen=True)
class Answer:
    """A command for the run, a word for its headline until it happens, and a sentence for the person; any may be missing."""

    command: Command | None = None
    asked: str = ""
    sentence: str = ""


def pause_or_go_on(status: Status | None, *, resumable: bool) -> Answer:
    """Pause a run that trains; let one that is paused go on."""
    state = status.state if status else None
    if state is RunState.RUNNING:
        return Answer(commands.Pause(), "pausing …")
    if state is RunState.PAUSED:
        return Answer(commands.Resume(), "going on …")
    if state in (RunState.STARTING, RunState.QUEUED):
        return Answer(sentence="The run has not begun yet: it can be paused once it trains.")
    return Answer(sentence="The run is over: r resumes it." if resumable else "")


def stop(status: Status | None) -> Answer:
    """Stop a run that is live; it keeps a checkpoint."""
    if status is None or not status.state.is_live:
        return Answer()
    return Answer(commands.Stop(), "stopping …", "It stops after writing a checkpoint; r resumes it from there.")


def is_resumable(run: RunDirectory | None, status: Status | None, configuration: Configuration | None) -> bool:
    """Whether a run is over and could go on."""
    over = status is not None and not status.state.is_live
    return over and run is not None and can_take_steps(configuration) and bool(run.checkpoints())


def why_not_resumable(status: Status | None, configuration: Configuration | None) -> str:
    """Say why a run cannot be resumed; nothing of one that is not over."""
    if status is None or status.state.is_live:
        return ""
    if configuration is not None and not can_take_steps(configuration):
        return "A model that counts is done after one pass: there is nothing to resume."
    return "The run has no checkpoint to resume from: start it anew."


def is_offered(action: str, status: Status | None) -> bool:
    """Whether the state lets one `pause`, `go_on`, `stop` or `resume`."""
    if status is None:
        return False
    paused = status.state is RunState.PAUSED
    return {
        "pause": status.state.is_live and not paused,
        "go_on": paused,
        "stop": status.state.is_live,
        "resume": not status.state.is_live,
    }[action]
