"""The list of runs: its order and filter above, the table, and a summary below."""

from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import DataTable, Input, Static

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.arrangement import Group, Grouping, Sort, arrange
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.listing.filtering import Filter, FilterError, completions, parse_filter
from torchtty.engine.contract.listing.subjects import SMOOTHED
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.runs.sparklines import CurveReader
from torchtty.tui.runs.table import RunsTable
from torchtty.tui.shell.inputs import OrderedInput
from torchtty.tui.shell.preferences import remember_order, remembered_order

EXAMPLE = "words, or model:gpt  lr>=1e-3  val<1.9  state:running  tag:good  -note:bad"


class RunsList(Vertical):
    """Shows the runs that fit the filter in the order that was chosen, or explains why there are none."""

    DEFAULT_CSS: ClassVar[str] = """
    RunsList {
        width: 1fr; height: 1fr; padding: 0 1;
        & #runs-order { height: 1; color: $foreground 60%; text-wrap: nowrap; text-overflow: ellipsis; }
        & #runs-filter { display: none; background: $surface; }
        &.-filtering #runs-filter { display: block; }
        & #runs-empty { display: none; height: 1fr; width: 1fr; content-align: center middle; color: $foreground 65%; }
        &.-empty #runs-empty { display: block; }
        &.-empty RunsTable { display: none; }
        & #runs-summary { height: 1; color: $foreground 60%; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    class Arranged(Message):
        """Other rows are shown, or what they say has changed."""

    def __init__(self) -> None:
        super().__init__(id="runs-list")
        self.entries: list[Entry] | None = None  # none: the folder has not been read yet
        self.sort, self.grouping = _ordered_last()
        self._filter = Filter()
        self._problem = ""  # what is wrong with the filter that is being written
        self._toggled: set[str] = set()  # the groups that are not as they are at first
        self._reader = CurveReader(lambda: self.app.call_later(self._curves_read))

    def compose(self) -> ComposeResult:
        yield Static(id="runs-order")
        yield OrderedInput(id="runs-filter", compact=True, placeholder=EXAMPLE, suggester=_Suggester())
        yield RunsTable(id="runs-table")
        yield Static(id="runs-empty")
        yield Static(id="runs-summary")

    def on_unmount(self) -> None:
        self._reader.stop()

    @property
    def table(self) -> RunsTable:
        return self.query_one(RunsTable)

    def show(self, entries: list[Entry]) -> None:
        """Show what is in the folder now."""
        self.entries = entries
        self.table.keep_marks_of({entry.key for entry in entries})
        self._arrange()

    def _arrange(self) -> None:
        if self.entries is None:
            return
        fitting = [entry for entry in self.entries if self._filter.fits(entry)]
        rows = arrange(fitting, self.sort, self.grouping, self._toggled, self._reader.smoothed())
        self.table.show(rows, self.sort, self._reader.curves)
        self.set_class(not rows, "-empty")
        if not self.entries:
            message = f"No runs yet.\n\nf2 opens Train, where ctrl+t starts one.\nRuns are stored in {runs_folder()}."
        else:
            text = printable_line(self._filter.text)
            message = f"None of the {len(self.entries)} runs fits “{text}”.\n\nEscape shows all runs."
        self.query_one("#runs-empty", Static).update(Content(message))
        self._summarise()
        self.post_message(self.Arranged())
        self.call_after_refresh(self._want_curves)

    # Curves in short.

    @on(RunsTable.Scrolled)
    def _want_curves(self) -> None:
        """Have the curves of the runs in sight read, and those of all where the order depends on them."""
        wanted = self.table.in_sight
        if self.sort.subject == SMOOTHED:
            wanted = [*wanted, *(self.entries or [])]
        if wanted:
            self._reader.want(wanted)

    def _curves_read(self) -> None:
        if not self.query(RunsTable):  # the app is being left
            return
        if self.sort.subject == SMOOTHED:
            self._arrange()
        else:
            self.table.show_curves(self._reader.curves)

    # Order and groups.

    def sort_by(self, sort: Sort) -> None:
        """Put the list into another order."""
        self.sort = sort
        remember_order(sort.subject, sort.descending, self.grouping.value)
        self._arrange()

    @on(DataTable.HeaderSelected, "#runs-table")
    def _title_clicked(self, event: DataTable.HeaderSelected) -> None:
        column = next((column for column in self.table.columns_shown if column.key == event.column_key.value), None)
        if column is not None and column.sorts:
            self.sort_by(self.sort.reversed if column.sorts == self.sort.subject else Sort.by(column.sorts))

    def next_grouping(self) -> None:
        """Bring runs together by something else, or by nothing."""
        every = list(Grouping)
        self.grouping = every[(every.index(self.grouping) + 1) % len(every)]
        self._toggled.clear()
        remember_order(self.sort.subject, self.sort.descending, self.grouping.value)
        self._arrange()

    @on(RunsTable.Toggled)
    def _toggle(self, event: RunsTable.Toggled) -> None:
        self.toggle(event.group)

    def toggle(self, group: Group) -> None:
        """Fold or unfold a group."""
        self._toggled ^= {group.key}
        self._arrange()

    # What stands above and below the table.

    @on(RunsTable.Marked)
    @on(DataTable.RowHighlighted, "#runs-table")
    def _summarise(self) -> None:
        entries, table = self.entries or [], self.table
        live = sum(entry.status.state.is_live for entry in entries)
        parts = [f"{len(entries)} run{'s' * (len(entries) != 1)}"]
        if live:
            parts.append(f"{live} live")
        shown = sum(self._filter.fits(entry) for entry in entries)
        if shown != len(entries):
            parts.append(f"{shown} shown")
        if marked := len(table.marks):
            parts.append(f"{marked} marked: o overlays {'them' if marked > 1 else 'it'}")
        if table.current is not None and (problem := table.current.what_went_wrong):
            parts.append(problem.replace("\n", "; "))
        text = Content(printable_line("  ·  ".join(parts)))
        if self._problem:
            text = Content.styled(printable_line(self._problem), "$text-error")
        self.query_one("#runs-summary", Static).update(text, layout=False)
        arrow = "▾" if self.sort.descending else "▴"
        order = f"sort: {self.sort.subject} {arrow}   group: {self.grouping.value}   / filter"
        if self._filter.text and not self.is_filtering:
            order += f": {self._filter.text}"
        self.query_one("#runs-order", Static).update(Content(printable_line(order)), layout=False)

    # The filter.

    @property
    def is_filtering(self) -> bool:
        """Whether a filter is written, or is in force."""
        return self.has_class("-filtering")

    def write_filter(self) -> None:
        """Put the cursor into the line of the filter."""
        self.add_class("-filtering")
        self.query_one("#runs-filter", Input).focus()

    def drop_filter(self) -> None:
        """Show every run again."""
        self.remove_class("-filtering")
        self.query_one("#runs-filter", Input).value = ""

    @on(Input.Changed, "#runs-filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        try:
            self._filter, self._problem = parse_filter(event.value), ""
        except FilterError as error:  # the last one that was right stays in force
            self._problem = str(error)
        self._arrange()

    @on(Input.Submitted, "#runs-filter")
    def _filtered(self, event: Input.Submitted) -> None:
        event.stop()
        if self._problem:
            return
        self.set_class(bool(event.value), "-filtering")
        self.table.focus()


def _ordered_last() -> tuple[Sort, Grouping]:
    """Return the order that was chosen last, as far as there still is such an order."""
    found = remembered_order()
    if found is None:
        return Sort(), Grouping.GROUP
    subject, descending, grouping = found
    try:
        sort = replace(Sort.by(subject), descending=descending)
    except UserError:
        sort = Sort()
    return sort, Grouping(grouping) if grouping in list(Grouping) else Grouping.GROUP


class _Suggester(Suggester):
    """Completes the name or the word at the end of a filter: right takes it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        try:
            return next(iter(completions(value)), None)
        except UserError:
            return None
