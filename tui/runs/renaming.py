"""Asks for another name of a run."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from torchtty.engine.contract.client.deletion import rename
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory

HELP = "enter renames it, escape leaves it. Letters, digits, dots, dashes and underscores."


class RenameDialog(ModalScreen[RunDirectory]):
    """Renames a run and returns it under its new name, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", id="rename.cancel", tooltip="Leave the run's name")
    ]
    DEFAULT_CSS = """
    RenameDialog { align: center middle; }
    RenameDialog > Vertical {
        width: 64; max-width: 95%; height: auto; padding: 1 2; background: $surface; border: round $primary;
    }
    RenameDialog #rename-title { text-style: bold; margin-bottom: 1; width: 100%; }
    RenameDialog Input { width: 100%; background: $boost; }
    RenameDialog #rename-help { color: $foreground 65%; height: auto; width: 100%; margin-top: 1; }
    RenameDialog #rename-help.-problem { color: $text-error; }
    """

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self._run = run
        self._renaming = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(f"Rename {self._run.name}"), id="rename-title")
            yield Input(self._run.name, compact=True, id="rename-name", max_length=80)
            yield Static(HELP, id="rename-help")

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
        help = self.query_one("#rename-help", Static)
        help.update(Content(reason))
        help.add_class("-problem")

    def action_cancel(self) -> None:
        """Leave the name as it is, unless it is being changed: a worker may take seconds to release the run."""
        if not self._renaming:
            self.dismiss(None)
