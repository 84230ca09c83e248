"""Asking before a run is deleted."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from torchtty.engine.contract.run.directory import RunDirectory


class DeleteDialog(ModalScreen[bool]):
    """Asks whether a run is to be deleted; the safe answer has the focus."""

    AUTO_FOCUS = "#delete-no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "keep", id="delete.keep", tooltip="Keep the run"),
        Binding("y", "answer(True)", "delete", id="delete.delete", tooltip="Delete the run"),
    ]
    DEFAULT_CSS = """
    DeleteDialog { align: center middle; }
    DeleteDialog > Vertical {
        width: 60; max-width: 95%; height: auto; padding: 1 2; background: $surface; border: round $error;
    }
    DeleteDialog Static { width: 100%; height: auto; margin-bottom: 1; }
    DeleteDialog #delete-title { text-style: bold; }
    DeleteDialog Horizontal { height: auto; align-horizontal: right; }
    DeleteDialog Button { margin-left: 2; }
    """

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self._doomed = run

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(f"Delete {self._doomed.name}?"), id="delete-title")
            yield Static("U brings it back until torchtty is left. Then it is removed from the disk.")
            with Horizontal():
                yield Button("Keep (n)", id="delete-no", action="screen.answer(False)", compact=True)
                yield Button("Delete (y)", variant="error", id="delete-yes", action="screen.answer(True)", compact=True)

    def action_answer(self, delete: bool) -> None:
        self.dismiss(delete)
