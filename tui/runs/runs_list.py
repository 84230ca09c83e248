"""The table of all runs with its filter above and a summary below."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Input, Static

from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.runs.rows import RunRow, in_families
from torchtty.tui.runs.table import RunsTable


class RunsList(Vertical):
    """Shows the runs that fit the filter, or explains why there are none."""

    DEFAULT_CSS: ClassVar[str] = """
    RunsList {
        width: 1fr; height: 1fr; padding: 0 1;
        & #runs-filter { display: none; margin-bottom: 1; background: $surface; }
        &.-filtering #runs-filter { display: block; }
        & #runs-empty { display: none; height: 1fr; width: 1fr; content-align: center middle; color: $foreground 65%; }
        &.-empty #runs-empty { display: block; }
        &.-empty RunsTable { display: none; }
        & #runs-summary { height: 1; color: $foreground 60%; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="runs-list")
        self.rows: list[RunRow] | None = None  # none: the folder has not been read yet

    def compose(self) -> ComposeResult:
        words = "filter: words of a name, a model, a dataset or a state"
        yield Input(id="runs-filter", compact=True, placeholder=words)
        yield RunsTable(id="runs-table")
        yield Static(id="runs-empty")
        yield Static(id="runs-summary")

    @property
    def table(self) -> RunsTable:
        return self.query_one(RunsTable)

    def show(self, rows: list[RunRow]) -> None:
        """Show what is in the folder now."""
        self.rows = rows
        self.table.keep_marks_of({row.key for row in rows})
        self._show_fitting()

    @on(Input.Changed, "#runs-filter")
    def _show_fitting(self) -> None:
        if self.rows is None:
            return
        text = self.query_one("#runs-filter", Input).value
        fitting = in_families([row for row in self.rows if row.contains(text)])
        self.table.show(fitting)
        self.set_class(not fitting, "-empty")
        if not self.rows:
            message = f"No runs yet.\n\nf2 opens Train, where ctrl+t starts one.\nRuns are stored in {runs_folder()}."
        else:
            message = f"None of the {len(self.rows)} runs fits “{printable_line(text)}”.\n\nEscape shows all runs."
        self.query_one("#runs-empty", Static).update(Content(message))
        self._summarise()

    @on(RunsTable.Marked)
    @on(DataTable.RowHighlighted, "#runs-table")
    def _summarise(self) -> None:
        rows, table = self.rows or [], self.table
        live = sum(row.status.state.is_live for row in rows)
        parts = [f"{len(rows)} run{'s' * (len(rows) != 1)}"]
        if live:
            parts.append(f"{live} live")
        if len(table.shown) != len(rows):
            parts.append(f"{len(table.shown)} shown")
        if marked := len(table.marks):
            parts.append(f"{marked} marked: o overlays {'them' if marked > 1 else 'it'}")
        current = table.current
        if current is not None and current.problem:
            parts.append(current.problem.replace("\n", "; "))
        self.query_one("#runs-summary", Static).update(Content(printable_line("  ·  ".join(parts))), layout=False)

    # The filter.

    @property
    def is_filtering(self) -> bool:
        return self.has_class("-filtering")

    def write_filter(self) -> None:
        self.add_class("-filtering")
        self.query_one("#runs-filter", Input).focus()

    def drop_filter(self) -> None:
        """Show every run again."""
        self.remove_class("-filtering")
        self.query_one("#runs-filter", Input).value = ""

    @on(Input.Submitted, "#runs-filter")
    def _filtered(self, event: Input.Submitted) -> None:
        event.stop()
        self.set_class(bool(event.value), "-filtering")
        self.table.focus()
