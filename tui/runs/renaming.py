"""Asks for another name of a run."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from torchtty.engine.contract.client.deletion import rename
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.tui.shell.dialog import Dialog
from torchtty.tui.shell.inputs import OrderedInput

HELP = "enter renames it, escape leaves it. Letters, digits, dots, dashes and underscores."


class RenameDialog(Dialog[RunDirectory]):
    """Renames a run and returns it under its new name, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="rename.cancel", tooltip="Leave the run's name")
    ]
    DEFAULT_CSS = "RenameDialog > Vertical { width: 64; }"

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self._run = run
        self._renaming = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(f"Rename {self._run.name}"), classes="title")
            yield OrderedInput(self._run.name, compact=True, id="rename-name", max_length=80)
            yield Static(HELP, classes="help")

    @on(Input.Submitted)
    def _rename(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.value.strip()
        if self._renaming:
            return
        if name == self._run.name:
            self.dismiss(None)
            return

        self._renaming = True

        def work() -> None:
            try:
                renamed = rename(self._run, name)
            except UserError as error:
                self.app.call_from_thread(self._failed, str(error))
            else:
                self.app.call_from_thread(self.dismiss, renamed)

        self.run_worker(work, thread=True, exclusive=True, group="rename", exit_on_error=False)

    def _failed(self, reason: str) -> None:
        self._renaming = False
        self.say(reason, problem=True)

    def action_cancel(self) -> None:
        """Leave the name as it is, unless it is being changed: a worker may take seconds to release the run."""
        if not self._renaming:
            self.dismiss(None)
