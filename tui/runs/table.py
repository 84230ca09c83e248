"""The table of runs: by key, so that only the cells that changed are touched."""

from collections.abc import Collection
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable

from torchtty.tui.charts.style import colour
from torchtty.tui.runs.columns import MARK_WIDTH, NAME, Column, fitting, name_width
from torchtty.tui.runs.row import RunRow

MARK = "▍"
MOST_MARKED = 8  # curves that can be told apart on one chart


class RunsTable(DataTable[Content]):
    """Rows are runs, newest first. Marked runs carry the colour of their curve."""

    DEFAULT_CSS = """
    RunsTable { height: 1fr; width: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden;
        background-tint: $foreground 0%;
    }
    RunsTable:focus {
        background-tint: $foreground 0%;
    }
    RunsTable > .datatable--header { background: $background; color: $foreground 60%; text-style: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "select_cursor", "open", id="runs.open", tooltip="Open the run: its curves, its samples, its keys"
        ),
        Binding("space", "mark", "mark", id="runs.mark", tooltip="Mark the run to compare it with others"),
    ]

    class Marked(Message):
        """Other runs are marked."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self.shown: dict[str, RunRow] = {}
        self.marks: dict[str, int] = {}  # name -> number of its colour, the same as long as it is marked
        self._laid_out: list[Column] = []
        self._name_width = 0
        self._cells: dict[str, dict[str, Content]] = {}

    @property
    def current(self) -> RunRow | None:
        """The run under the cursor."""
        if not self.row_count:
            return None
        return self.shown.get(str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value))

    def show(self, rows: list[RunRow]) -> None:
        """Show these rows in this order, changing no more than differs."""
        keys = [row.key for row in rows]
        columns = fitting(self.size.width, rows)
        width = name_width(columns, self.size.width, keys)
        if columns != self._laid_out or width != self._name_width or keys != list(self.shown):
            self._fill(rows, columns, width)
            return
        self.shown = {row.key: row for row in rows}
        for row in rows:
            self._update(row)

    def _fill(self, rows: list[RunRow], columns: list[Column], width: int) -> None:
        current = self.current
        before = self.cursor_row
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=columns != self._laid_out or width != self._name_width)
            if not self.columns:
                self.add_column(" ", key="mark", width=MARK_WIDTH)
                for column in columns:
                    self.add_column(column.title, key=column.key, width=width if column.key == NAME else column.width)
            self._laid_out, self._name_width = columns, width
            self.shown = {row.key: row for row in rows}
            self._cells = {row.key: self._written(row) for row in rows}
            for key, cells in self._cells.items():
                self.add_row(*cells.values(), key=key)
            at = (
                list(self.shown).index(current.key)
                if current and current.key in self.shown
                else min(before, len(rows) - 1)
            )
            if rows:
                self.move_cursor(row=max(0, at), animate=False)

    def _written(self, row: RunRow) -> dict[str, Content]:
        number = self.marks.get(row.key)
        mark = Content(" ") if number is None else Content.styled(MARK, colour(number))
        return {"mark": mark} | {column.key: column.write(row) for column in self._laid_out}

    def _update(self, row: RunRow) -> None:
        before, now = self._cells[row.key], self._written(row)
        for column, cell in now.items():
            if cell != before[column]:
                self.update_cell(row.key, column, cell)
        self._cells[row.key] = now

    def on_resize(self) -> None:
        """Show the columns that fit now."""
        self.show(list(self.shown.values()))

    def action_mark(self) -> None:
        """Mark the run under the cursor, or take its mark away, and go to the next."""
        row = self.current
        if row is None:
            return
        if row.key in self.marks:
            del self.marks[row.key]
        elif len(self.marks) < MOST_MARKED:
            self.marks[row.key] = next(number for number in range(MOST_MARKED) if number not in self.marks.values())
        else:
            self.notify(f"{MOST_MARKED} runs are marked: more curves could not be told apart.", severity="warning")
        self._update(row)
        self.action_cursor_down()
        self.post_message(self.Marked())

    def keep_marks_of(self, keys: Collection[str]) -> None:
        """Take away the marks of all runs but these; runs that are not shown keep theirs."""
        self.marks = {key: number for key, number in self.marks.items() if key in keys}

    def unmark_all(self) -> None:
        """Take all marks away."""
        self.marks.clear()
        for row in self.shown.values():
            self._update(row)
        self.post_message(self.Marked())
