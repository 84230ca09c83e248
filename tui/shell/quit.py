"""Leaving the app while runs still train: leave them running, stop them, or stay."""

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import RunGroup, list_groups
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


@dataclass(frozen=True)
class AtWork:
    """What is at work: sweeps, and the runs that belong to none of these."""

    groups: list[RunGroup]
    runs: list[RunDirectory]

    @classmethod
    def now(cls) -> "AtWork":
        """Look at what is in the folder of the runs."""
        groups = [group for group in list_groups() if group.status().state.is_live]
        members = {planned.name for group in groups for planned in group.planned()}
        return cls(groups, [run for run in live_runs() if run.name not in members])

    @property
    def names(self) -> list[str]:
        """A name for each thing at work, a sweep with the number of its runs."""
        sweeps = [f"{group.name} ({len(group.planned())} runs)" for group in self.groups]
        return [*sweeps, *(run.name for run in self.runs)]

    def stop(self) -> None:
        """Have all of it write checkpoints and end. A sweep is asked as one, else it would go on with its next runs."""
        for group in self.groups:
            with suppress(UserError):
                group.stop()
        for run in self.runs:
            with suppress(UserError):
                run.send(Stop())
