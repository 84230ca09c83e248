"""An app that shows one run and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from on_screen import shows, until
from textual.app import App
from textual.pilot import Pilot

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run.view import RunView


class Host(App[None]):
    """Holds a view as the Train screen does and keeps what it posts."""

    def __init__(self, run: RunDirectory | None) -> None:
        super().__init__()
        self._first = run
        self.asked_for_worker: list[RunDirectory] = []
        self.resumed: list[dict[str, object]] = []
        self.statuses: list[RunState | None] = []
        self.copied = ""

    def compose(self):
        yield RunView()

    def on_mount(self):
        self.view.show(self._first)
        self.view.focus_curves()

    @property
    def view(self) -> RunView:
        return self.query_one(RunView)

    def on_run_view_needs_worker(self, event: RunView.NeedsWorker) -> None:
        self.asked_for_worker.append(event.run)

    def on_run_view_resume_requested(self, event: RunView.ResumeRequested) -> None:
        self.resumed.append(event.edits)

    def on_run_view_changed(self, event: RunView.Changed) -> None:
        self.statuses.append(event.snapshot.state if event.snapshot else None)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied = text


@asynccontextmanager
async def viewing(
    run: RunDirectory | None, text: str, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Host, Pilot[None]]]:
    """Show a run and wait until the screen has a text."""
    app = Host(run)
    async with app.run_test(size=size) as pilot:
        await until(pilot, shows(app, text))
        yield app, pilot
