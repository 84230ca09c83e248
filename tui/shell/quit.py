"""Leaving while a run goes on: leave it running, stop it, or stay."""

from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static


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
        Binding("l", "choose('leave')", "leave it running", id="quit.leave"),
        Binding("s", "choose('stop')", "stop it", id="quit.stop"),
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
                f"Left running, {'it trains' if one else 'they train'} on without torchtty, and the next start finds {it}. "
                "Stopped, a checkpoint is written first, so that training can be resumed."
            )
            with Horizontal():
                yield Button(f"Leave {it} running", id="leave", variant="primary", compact=True)
                yield Button(f"Stop {it}", id="stop", compact=True)
                yield Button("Stay", id="cancel", compact=True)
            yield Static("l  leave running   s  stop   esc  stay", id="quit-keys")

    def on_mount(self) -> None:
        self.query_one("#leave").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(Leaving(str(event.button.id)))

    def action_choose(self, choice: str) -> None:
        self.dismiss(Leaving(choice))
