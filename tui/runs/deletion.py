"""Deleting a run, after asking."""

import shutil
import time
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from engine.contract.commands import Release
from engine.contract.errors import UserError
from engine.contract.places import runs_folder
from engine.contract.run_directory import RunDirectory

PATIENCE = 5.0  # seconds for a worker that still holds the model to let it go


def delete(run: RunDirectory) -> None:
    """Delete a run's folder; raise `UserError` if it is live, lies elsewhere, or the disk refuses. Blocks for a moment."""
    folder = runs_folder()
    if run.path.is_symlink() or run.path.parent.resolve() != folder.resolve():
        raise UserError(f"{run.name} lies outside the runs folder {folder}, so it is not deleted from here.")
    status = run.status()
    if status.state.is_live:
        raise UserError(f"{run.name} is {status.state.value}: stop it before you delete it.")
    if status.serving:
        run.send(Release())
        until = time.monotonic() + PATIENCE
        while run.status().serving and time.monotonic() < until:
            time.sleep(0.1)
    try:
        hidden = _aside(run.path)
        shutil.rmtree(hidden)
    except OSError as error:
        raise UserError(f"{run.name} could not be deleted: {error.strerror or error}.") from None


def _aside(path: Path) -> Path:
    """Rename a run so that nobody lists it while its files go one by one."""
    hidden = path.with_name(f".deleted-{time.time_ns()}-{path.name}")
    path.rename(hidden)
    return hidden


class DeleteDialog(ModalScreen[bool]):
    """Asks whether a run is to be deleted; the safe answer has the focus."""

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
            yield Static("Its curves, samples and checkpoints are removed from the disk and cannot be brought back.")
            with Horizontal():
                yield Button("Keep (n)", id="delete-no", compact=True)
                yield Button("Delete (y)", variant="error", id="delete-yes", compact=True)

    def on_mount(self) -> None:
        self.query_one("#delete-no").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "delete-yes")

    def action_answer(self, delete: bool) -> None:
        """Answer by key."""
        self.dismiss(delete)
