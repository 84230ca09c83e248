"""The Runs screen: a table of all runs, and beside or over it one run, its details, or a comparison."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.message import Message
from textual.screen import Screen
from textual.widgets import ContentSwitcher, DataTable

from torchtty.engine.contract.client.deletion import delete
from torchtty.engine.contract.client.fork import nearest_fork_point
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.tui.run import actions
from torchtty.tui.run.actions import ADVANCE, RELEASE
from torchtty.tui.run.curves import ChartView
from torchtty.tui.run.view import RunView
from torchtty.tui.runs.comparison import Comparison
from torchtty.tui.runs.deletion import DeleteDialog
from torchtty.tui.runs.details import Details
from torchtty.tui.runs.renaming import RenameDialog
from torchtty.tui.runs.rows import RunRow, RunsWatcher
from torchtty.tui.runs.runs_list import RunsList
from torchtty.tui.runs.table import RunsTable
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar

SPLIT = 150  # cells from which the table stays beside what is opened
RUN, DETAILS, COMPARISON = "opened-run", "details", "comparison"
FILTER = "Show only runs whose name, model, dataset or state has these words"
SHOW_DETAILS = "Show the run's results, settings and origin, or close them"
OVERLAY = "Draw the curves of the marked runs together and list how their settings differ"
NEW_LIKE = "Fill the form with the run's settings, to change some and start another run"


class RunsScreen(Screen[None]):
    """Lists runs and opens them. Runs that still train can be steered from here as from the Train screen."""

    BINDING_GROUP_TITLE = "Runs"
    HELP = "Every run in the runs folder, newest first. Open one to see its curves and to prompt its model."
    DEFAULT_CSS = """
    RunsScreen #runs-pane { display: none; width: 2fr; height: 1fr; }
    RunsScreen.-open #runs-pane { display: block; }
    RunsScreen.-open #runs-list { display: none; }
    RunsScreen.-open.-split #runs-list { display: block; border-right: vkey $foreground 15%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="runs.back", tooltip="Back to the table"),
        Binding("slash", "filter", "filter", key_display="/", id="runs.filter", tooltip=FILTER),
        Binding("d", "details", "details", id="runs.details", tooltip=SHOW_DETAILS),
        Binding("o", "overlay", "overlay", id="runs.overlay", tooltip=OVERLAY),
        Binding("n", "new_like", "new run like this", id="runs.new_like", tooltip=NEW_LIKE),
        Binding("b", "fork", "fork", id="runs.fork", tooltip="Begin a new run at the run's latest checkpoint"),
        Binding("ctrl+r", "release", "release", id="runs.release", show=False, tooltip=RELEASE),
        Binding("f", "advance", "go first", id="runs.advance", show=False, tooltip=ADVANCE),
        Binding("u", "unmark", "unmark", id="runs.unmark", show=False, tooltip="Remove all marks"),
        Binding(
            "c", "metric", "another metric", id="runs.metric", show=False, tooltip="Compare another metric of the runs"
        ),
        Binding("m", "rename", "rename", id="runs.rename", show=False, tooltip="Give the run another name"),
        Binding(
            "E",
            "export",
            "export",
            id="runs.export",
            show=False,
            tooltip="Export metrics, a chart, weights or the whole run",
        ),
        Binding(
            "delete,D", "delete", "delete", id="runs.delete", key_display="del", tooltip="Delete the run, after asking"
        ),
    ]

    @dataclass
    class NewRunWanted(Message):
        """Another run is to be composed, starting with the settings of this one."""

        like: RunSnapshot

    @dataclass
    class Renamed(Message):
        """A run has another name now."""

        before: RunDirectory
        now: RunDirectory

    @dataclass
    class Listed(Message, bubble=False):
        """The thread has read the list."""

        rows: list[RunRow]

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, RunsScreen.Listed)

    def __init__(self) -> None:
        super().__init__()
        self._watcher = RunsWatcher(lambda rows: self.post_message(self.Listed(rows)))

    @property
    def runs_list(self) -> RunsList:
        return self.query_one(RunsList)

    def compose(self) -> ComposeResult:
        yield Header("runs")
        with Horizontal(id="runs"):
            yield RunsList()
            with ContentSwitcher(id="runs-pane", initial=RUN):
                yield RunView(how_to_start="n starts a new run like this one.", id=RUN)
                yield Details(id=DETAILS)
                yield Comparison(id=COMPARISON)
        yield KeyBar()

    def on_mount(self) -> None:
        self.runs_list.table.focus()

    def on_screen_resume(self) -> None:
        self._watcher.start()

    def on_screen_suspend(self) -> None:
        self._watcher.pause()

    def on_unmount(self) -> None:
        self._watcher.stop()

    def on_resize(self, event: Resize) -> None:
        """Keep the table beside what is open where there is room for both."""
        self.set_class(event.size.width >= SPLIT, "-split")

    # -- the list -----------------------------------------------------------------------------------------------------------------

    def on_runs_screen_listed(self, event: Listed) -> None:
        """Show what the thread has read."""
        self.runs_list.show(event.rows)
        if self.pane == COMPARISON:
            self._compare()
        elif self.pane == DETAILS:
            self._show_details()

    @on(RunsTable.Marked)
    def _marks_changed(self) -> None:
        if self.pane == COMPARISON:
            self._compare()

    @on(DataTable.RowHighlighted, "#runs-table")
    def _cursor_moved(self) -> None:
        if self.pane == DETAILS:
            self._show_details()

    @on(DataTable.RowSelected, "#runs-table")
    def _open_selected(self) -> None:
        row = self.runs_list.table.current
        if row is None:
            return
        if row.problem:
            self.action_details()
            return
        self._open(RUN)
        view = self.query_one(RunView)
        view.show(row.run)
        view.focus_curves()

    # -- what is open -------------------------------------------------------------------------------------------------------------

    @property
    def pane(self) -> str | None:
        """What is open beside or over the table."""
        return self.query_one(ContentSwitcher).current if self.has_class("-open") else None

    def _open(self, pane: str) -> None:
        if pane != RUN:
            self.query_one(RunView).show(None)
        self.query_one("#runs-pane", ContentSwitcher).current = pane
        self.add_class("-open")
        self.refresh_bindings()  # beside the table the focus stays, and only this updates the keys

    def show_run(self, run: RunDirectory) -> None:
        """Open a run."""
        self._open(RUN)
        self.query_one(RunView).show(run)

    def action_details(self) -> None:
        """Show the details of the run under the cursor, or close them."""
        if self.pane == DETAILS:
            self.action_back()
            return
        if self.runs_list.table.current is not None:
            self._open(DETAILS)
            self._show_details()
            self._focus_unless_split(self.query_one(Details))

    def _show_details(self) -> None:
        if row := self.runs_list.table.current:
            self.query_one(Details).show(row)

    def action_overlay(self) -> None:
        """Compare the marked runs, or close the comparison."""
        if self.pane == COMPARISON:
            self.action_back()
            return
        table = self.runs_list.table
        if not table.marks:
            self.notify("Mark runs with space first: o then draws their curves together.")
            return
        self._open(COMPARISON)
        self._compare()
        self._focus_unless_split(self.query_one("#comparison-chart"))

    def _compare(self) -> None:
        table = self.runs_list.table
        by_key = {row.key: row for row in self.runs_list.rows or []}
        rows = [by_key[name] for name in table.marks if name in by_key and not by_key[name].problem]
        self.query_one(Comparison).show(rows, table.marks)

    def _focus_unless_split(self, widget: object) -> None:
        # Beside the table the focus stays in it, so that its cursor can move on.
        if not self.has_class("-split"):
            self.call_after_refresh(widget.focus)  # type: ignore[attr-defined]

    def action_metric(self) -> None:
        """Compare another loss."""
        self.query_one(Comparison).switch_metric()

    def action_back(self) -> None:
        """Close what is open; if nothing is, drop the filter."""
        table = self.runs_list.table
        if self.pane is not None:
            self.remove_class("-open")
            self.query_one(RunView).show(None)
        elif self.runs_list.is_filtering:
            self.runs_list.drop_filter()
        self.refresh_bindings()
        self.call_after_refresh(table.focus)

    def action_new_like(self) -> None:
        """Ask for a new run with the settings of the one that is opened, or else of the one under the cursor."""
        opened = self.query_one(RunView)
        row = self.runs_list.table.current
        if self.pane == RUN and opened.has_focus_within:
            row = next((row for row in self.runs_list.rows or [] if row.run == opened.run), None)
        if row is not None and row.snapshot.configuration is not None:
            self.post_message(self.NewRunWanted(row.snapshot))
        elif row is not None:
            self.notify(f"The settings of {row.key} cannot be read.", severity="warning", markup=False)

    def action_fork(self) -> None:
        """Ask for a fork of the run under the cursor, from its latest checkpoint."""
        if (row := self.runs_list.table.current) is None:
            return
        try:
            snapshot = replace(row.snapshot, checkpoints=tuple(row.run.checkpoints()))
            self.post_message(RunView.ForkWanted(nearest_fork_point(snapshot, None)))
        except UserError as error:
            self.notify(str(error), severity="warning", markup=False)

    # -- filter, marks, deletion --------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Write a filter."""
        self.runs_list.write_filter()

    def action_unmark(self) -> None:
        """Remove all marks."""
        self.runs_list.table.unmark_all()

    def action_release(self) -> None:
        """Let the model of the run under the cursor go."""
        self._ask(actions.release)

    def action_advance(self) -> None:
        """Let the run under the cursor go ahead of the others that wait."""
        self._ask(actions.advance)

    def _ask(self, action: Callable[[RunSnapshot], actions.Effect]) -> None:
        if row := self.runs_list.table.current:
            effect = action(row.snapshot)
            try:
                if effect.request is not None:
                    row.run.send(effect.request)
            except UserError as error:
                self.notify(str(error), severity="error", markup=False)
            else:
                self.notify(f"{row.key}: {effect.sentence}", markup=False)

    def action_delete(self) -> None:
        """Ask, then delete the run under the cursor."""
        row = self.runs_list.table.current
        if row is None:
            return
        if refusal := row.snapshot.refusal(Action.DELETE):
            self.notify(refusal, severity="warning", markup=False)
            return
        self.app.push_screen(DeleteDialog(row.run), partial(self._delete, row.run))

    def _delete(self, run: RunDirectory, confirmed: bool | None) -> None:
        if not confirmed:
            return
        view = self.query_one(RunView)
        if view.run == run:
            self.remove_class("-open")
            view.show(None)
            self.runs_list.table.focus()

        def work() -> None:
            try:
                delete(run)
            except UserError as error:
                self.app.call_from_thread(self.notify, str(error), severity="error", markup=False)
            self._watcher.look_now()

        self.run_worker(work, thread=True, group="delete", exit_on_error=False)

    def action_rename(self) -> None:
        """Ask for another name of the run under the cursor."""
        row = self.runs_list.table.current
        if row is None:
            return
        if refusal := row.snapshot.refusal(Action.RENAME):
            self.notify(refusal, severity="warning", markup=False)
            return
        self.app.push_screen(RenameDialog(row.run), partial(self._renamed, row.run))

    def _renamed(self, run: RunDirectory, renamed: RunDirectory | None) -> None:
        if renamed is None:
            return
        view = self.query_one(RunView)
        if view.run == run:
            view.show(renamed)
        self.post_message(self.Renamed(run, renamed))
        self.notify(f"{run.name} is called {renamed.name} now.", markup=False)
        self._watcher.look_now()

    def action_export(self) -> None:
        """Ask what of the run under the cursor is to be exported; of one that is open, its view asks."""
        from torchtty.tui.run.export_dialog import ExportDialog  # here: it brings what writes files

        if (row := self.runs_list.table.current) is not None:
            self.app.push_screen(ExportDialog(row.run, ChartView()))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer only what makes sense now."""
        if action == "back":
            return self.has_class("-open") or self.runs_list.is_filtering
        if action == "filter":
            return self.pane is None or self.has_class("-split")
        if action == "metric":
            return self.pane == COMPARISON
        if action == "release":
            row = self.runs_list.table.current
            return row is not None and row.snapshot.offers(Action.RELEASE)
        if action == "advance":
            row = self.runs_list.table.current
            return row is not None and row.snapshot.offers(Action.ADVANCE)
        if action in ("delete", "details", "overlay", "unmark", "rename", "export"):
            return self.pane is None or self.has_class("-split") or self.pane != RUN
        return True
