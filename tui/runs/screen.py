"""The Runs screen: a list of all runs, a preview of what is under its cursor, and one run, its details, or a comparison."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.message import Message
from textual.widgets import ContentSwitcher, DataTable

from torchtty.engine.contract.listing.arrangement import Group, Sort
from torchtty.engine.contract.listing.differences import differing
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import Action
from torchtty.tui.run.actions import ADVANCE, RELEASE
from torchtty.tui.run.view import RunView
from torchtty.tui.runs.actions import RunActions
from torchtty.tui.runs.comparison import Comparison
from torchtty.tui.runs.details import Details
from torchtty.tui.runs.preview import Preview
from torchtty.tui.runs.runs_list import RunsList
from torchtty.tui.runs.sorting import SortDialog
from torchtty.tui.runs.table import RunsTable
from torchtty.tui.runs.watcher import RunsWatcher
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar

PREVIEWED = 110  # cells from which a preview stands beside the list
SPLIT = 150  # cells from which the list stays beside what is opened
RUN, DETAILS, COMPARISON = "opened-run", "details", "comparison"
OVERLAY = "Draw the curves of the marked runs together and list how their settings differ"
ON_THE_LIST = ("delete", "details", "overlay", "unmark", "rename", "export", "sort", "group", "star", "tags_and_note")


class RunsScreen(RunActions):
    """Lists runs and opens them. Runs that still train can be steered from here as from the Train screen."""

    BINDING_GROUP_TITLE = "Runs"
    HELP = "Every run in the runs folder. Open one to see its curves and to prompt its model."
    DEFAULT_CSS = """
    RunsScreen #runs-pane { display: none; width: 2fr; height: 1fr; }
    RunsScreen Preview { display: none; }
    RunsScreen.-previewed Preview { display: block; }
    RunsScreen.-split Preview { width: 1fr; }
    RunsScreen.-split RunsList { width: 2fr; }
    RunsScreen.-open #runs-pane { display: block; }
    RunsScreen.-open #runs-list { display: none; }
    RunsScreen.-open Preview { display: none; }
    RunsScreen.-open.-split #runs-list { display: block; width: 1fr; border-right: vkey $foreground 15%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="runs.back", tooltip="Back to the list"),
        Binding(
            "slash",
            "filter",
            "filter",
            id="runs.filter",
            tooltip="Show only runs that fit words or terms such as val<1.9",
            key_display="/",
        ),
        Binding("s", "sort", "sort", id="runs.sort", tooltip="Sort the list by another column"),
        Binding(
            "g", "group", "group", id="runs.group", tooltip="Bring runs together by group, recipe, model or not at all"
        ),
        Binding(
            "asterisk", "star", "star", id="runs.star", tooltip="Give the run a star, or take it away", key_display="*"
        ),
        Binding(
            "t", "tags_and_note", "tags, note", id="runs.tags_and_note", tooltip="Write tags and a note to the run"
        ),
        Binding(
            "d",
            "details",
            "details",
            id="runs.details",
            tooltip="Show the run's results, settings and origin, or close them",
        ),
        Binding("o", "overlay", "overlay", id="runs.overlay", tooltip=OVERLAY),
        Binding(
            "n",
            "new_like",
            "new run like this",
            id="runs.new_like",
            tooltip="Fill the form with the run's settings, to start another run",
        ),
        Binding("b", "fork", "fork", id="runs.fork", tooltip="Begin a new run at the run's latest checkpoint"),
        Binding("ctrl+r", "release", "release", id="runs.release", tooltip=RELEASE, show=False),
        Binding("f", "advance", "go first", id="runs.advance", tooltip=ADVANCE, show=False),
        Binding("u", "unmark", "unmark", id="runs.unmark", tooltip="Remove all marks", show=False),
        Binding(
            "c", "metric", "another metric", id="runs.metric", tooltip="Compare another metric of the runs", show=False
        ),
        Binding("m", "rename", "rename", id="runs.rename", tooltip="Give the run another name", show=False),
        Binding(
            "E",
            "export",
            "export",
            id="runs.export",
            tooltip="Export metrics, a chart, weights or the whole run",
            show=False,
        ),
        Binding(
            "delete,D",
            "delete",
            "delete",
            id="runs.delete",
            tooltip="Delete the run, after asking; U brings it back",
            key_display="del",
        ),
        Binding(
            "U",
            "undo_delete",
            "undo delete",
            id="runs.undo_delete",
            tooltip="Bring back the run that was deleted last",
            show=False,
        ),
    ]

    @dataclass
    class Listed(Message, bubble=False):
        """The thread has read the list."""

        entries: list[Entry]

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, RunsScreen.Listed)

    def __init__(self) -> None:
        super().__init__()
        self._watcher = RunsWatcher(lambda entries: self.post_message(self.Listed(entries)))

    @property
    def runs_list(self) -> RunsList:
        return self.query_one(RunsList)

    def compose(self) -> ComposeResult:
        yield Header("runs")
        with Horizontal(id="runs"):
            yield RunsList()
            yield Preview(id="runs-preview")
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

    def look_now(self) -> None:
        self._watcher.look_now()

    def on_resize(self, event: Resize) -> None:
        """Keep the list beside what is open, and a preview beside the list, where there is room for both."""
        self.set_class(event.size.width >= SPLIT, "-split")
        self.set_class(event.size.width >= PREVIEWED, "-previewed")
        self.call_after_refresh(self._show_preview)

    # -- the list -----------------------------------------------------------------------------------------------------------------

    def on_runs_screen_listed(self, event: Listed) -> None:
        """Show what the thread has read."""
        self.runs_list.show(event.entries)

    @on(RunsList.Arranged)
    def _arranged(self) -> None:
        self._show_preview()
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
        self._show_preview()
        if self.pane == DETAILS:
            self._show_details()

    def _show_preview(self) -> None:
        if self.pane is None and self.has_class("-previewed"):
            self.query_one(Preview).show(self.runs_list.table.current_row)

    @on(DataTable.RowSelected, "#runs-table")
    def _open_selected(self) -> None:
        row = self.runs_list.table.current_row
        if isinstance(row, Group):
            self.runs_list.toggle(row)
        elif row is not None and row.problem:
            self.action_details()
        elif row is not None:
            self.show_run(row.run)
            self.query_one(RunView).focus_curves()

    # -- what is open -------------------------------------------------------------------------------------------------------------

    @property
    def current(self) -> Entry | None:
        """The run that is opened and has the focus, or else the one under the cursor."""
        opened = self.query_one(RunView)
        if self.pane == RUN and opened.has_focus_within:
            return next((entry for entry in self.runs_list.entries or [] if entry.run == opened.run), None)
        return self.runs_list.table.current

    @property
    def pane(self) -> str | None:
        """What is open beside or over the list."""
        return self.query_one(ContentSwitcher).current if self.has_class("-open") else None

    def _open(self, pane: str) -> None:
        if pane != RUN:
            self.query_one(RunView).show(None)
        self.query_one("#runs-pane", ContentSwitcher).current = pane
        self.add_class("-open")
        self.refresh_bindings()  # beside the list the focus stays, and only this updates the keys

    def show_run(self, run: RunDirectory) -> None:
        """Open a run."""
        self._open(RUN)
        self.query_one(RunView).show(run)

    def close_run(self, run: RunDirectory) -> None:
        view = self.query_one(RunView)
        if view.run == run:
            self.remove_class("-open")
            view.show(None)
            self.runs_list.table.focus()

    def action_details(self) -> None:
        """Show the details of the run under the cursor, or close them."""
        if self.pane == DETAILS:
            self.action_back()
        elif self._meant() is not None:
            self._open(DETAILS)
            self._show_details()
            self._focus_unless_split(self.query_one(Details))

    def _show_details(self) -> None:
        if entry := self.runs_list.table.current:
            self.query_one(Details).show(entry)

    def action_overlay(self) -> None:
        """Compare the marked runs, or close the comparison."""
        if self.pane == COMPARISON:
            self.action_back()
        elif not self.runs_list.table.marks:
            self.notify("Mark runs with space first: o then draws their curves together.")
        else:
            self._open(COMPARISON)
            self._compare()
            self._focus_unless_split(self.query_one("#comparison-chart"))

    def _compare(self) -> None:
        table = self.runs_list.table
        by_key = {entry.key: entry for entry in self.runs_list.entries or []}
        entries = [by_key[name] for name in table.marks if name in by_key and not by_key[name].problem]
        self.query_one(Comparison).show(entries, table.marks)

    def _focus_unless_split(self, widget: object) -> None:
        # Beside the list the focus stays in it, so that its cursor can move on.
        if not self.has_class("-split"):
            self.call_after_refresh(widget.focus)  # type: ignore[attr-defined]

    def action_metric(self) -> None:
        """Compare another loss."""
        self.query_one(Comparison).switch_metric()

    def action_back(self) -> None:
        """Close what is open; if nothing is, drop the filter."""
        if self.pane is not None:
            self.remove_class("-open")
            self.query_one(RunView).show(None)
            self._show_preview()
        elif self.runs_list.is_filtering:
            self.runs_list.drop_filter()
        self.refresh_bindings()
        self.call_after_refresh(self.runs_list.table.focus)

    # -- order, groups, filter, marks ---------------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """Ask by what the list is to be sorted."""
        shown = [row for row in self.runs_list.table.shown.values() if isinstance(row, Entry)]
        settings = differing([entry.settings for entry in shown if entry.settings])
        self.app.push_screen(SortDialog(self.runs_list.sort, settings), self._sorted)

    def _sorted(self, sort: Sort | None) -> None:
        if sort is not None:
            self.runs_list.sort_by(sort)

    def action_group(self) -> None:
        """Bring runs together by something else."""
        self.runs_list.next_grouping()

    def action_filter(self) -> None:
        """Write a filter."""
        self.runs_list.write_filter()

    def action_unmark(self) -> None:
        """Remove all marks."""
        self.runs_list.table.unmark_all()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer only what makes sense now."""
        entry = self.runs_list.table.current
        on_the_list = self.pane is None or self.has_class("-split")
        match action:
            case "back":
                return self.has_class("-open") or self.runs_list.is_filtering
            case "filter":
                return on_the_list
            case "metric":
                return self.pane == COMPARISON
            case "release":
                return entry is not None and entry.snapshot.offers(Action.RELEASE)
            case "advance":
                return entry is not None and entry.snapshot.offers(Action.ADVANCE)
            case _ if action in ON_THE_LIST:
                return on_the_list or self.pane != RUN
        return True
