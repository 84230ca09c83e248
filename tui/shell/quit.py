"""Leaving the app while runs still train: leave them running, stop them, or stay."""

from contextlib import suppress
from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.requests import Stop


class Leaving(StrEnum):
    """What becomes of a run when the app is left."""

    LEAVE_RUNNING = "leave"
    STOP = "stop"
    CANCEL = "cancel"


class QuitDialog(ModalScreen[Leaving]):
    """Asks what to do with the runs that still train."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "app.focus_previous", "previous", show=False),
        Binding("right,down", "app.focus_next", "next", show=False),
        Binding("k,l", "choose('leave')", "keep training", id="quit.leave"),
        Binding("s", "choose('stop')", "stop", id="quit.stop"),
        Binding("escape,c", "choose('cancel')", "stay", key_display="esc", id="quit.cancel"),
    ]

    def __init__(self, runs: list[str]) -> None:
        super().__init__()
        self._runs = runs

    def compose(self) -> ComposeResult:
        one = len(self._runs) == 1
        what = f"{self._runs[0]} is still training." if one else f"{len(self._runs)} runs are still training."
        it = "it" if one else "them"
        with Vertical(id="quit"):
            yield Static(Content.styled(what, "bold"))
            yield Static(
                f"Keep {it} training in the background, and open torchtty again to re-attach. "
                f"Or stop {it}: a checkpoint is written first, so that training can be resumed."
            )
            with Horizontal():
                yield Button("Keep training", "primary", id="leave", action="screen.choose('leave')", compact=True)
                yield Button(f"Stop {it}", id="stop", action="screen.choose('stop')", compact=True)
                yield Button("Stay", id="cancel", action="screen.choose('cancel')", compact=True)
            yield Static("k  keep training   s  stop   esc  stay", id="quit-keys")

    def action_choose(self, choice: str) -> None:
        self.dismiss(Leaving(choice))


def live_runs() -> list[RunDirectory]:
    """Return the runs that train, wait or are paused, the newest first."""
    return [run for run in list_runs() if run.status().state.is_live]


def stop_all(runs: list[RunDirectory]) -> None:
    """Have runs write a checkpoint and end."""
    for run in runs:
        with suppress(UserError):
            run.send(Stop())
