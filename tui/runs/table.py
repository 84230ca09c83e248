"""The table of runs: rows are runs and groups of them, of which only changed cells are touched."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable

from torchtty.engine.contract.listing.arrangement import Group, Row, Sort
from torchtty.engine.contract.listing.curves import ShortCurve
from torchtty.engine.contract.listing.entry import Entry
from torchtty.tui.charts.style import colour
from torchtty.tui.runs.columns import MARK_WIDTH, NAME, Column, Context, fitting, heading, title_of, widths

MARK, IN_MEMORY, STAR = "▍", "◆", "★"
LEAST_CUT = 8  # cells of a name that is cut in the middle
MOST_MARKED = 8  # curves that can be distinguished on one chart


class RunsTable(DataTable[Content]):
    """Rows are runs and groups. Marked runs carry the colour of their curve."""

    DEFAULT_CSS = """
    RunsTable {
        height: 1fr; background: $background; scrollbar-size-vertical: 1;
        & > .datatable--header { background: $background; color: $foreground 60%; text-style: none; }
        & > .datatable--cursor { background: $primary 35%; color: $foreground; text-style: bold; }
        &:focus > .datatable--cursor { background: $primary 60%; }
    }
    """
    BINDING_GROUP_TITLE = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "open", id="runs.open", tooltip="Open the run, or fold or unfold the group"),
        Binding("space", "mark", "mark", id="runs.mark", tooltip="Mark the run to compare it with others"),
        Binding("right", "fold(False)", "unfold", show=False, id="runs.unfold", tooltip="Show the runs of a group"),
        Binding("home", "scroll_top", "top", show=False, id="runs.top", tooltip="Go to the first row"),
        Binding("end", "scroll_bottom", "bottom", show=False, id="runs.bottom", tooltip="Go to the last row"),
        Binding("left", "fold(True)", "fold", show=False, id="runs.fold", tooltip="Hide the runs of a group"),
    ]

    class Marked(Message):
        """Other runs are marked."""

    class Scrolled(Message):
        """Other rows may be in sight."""

    class Toggled(Message):
        """A group is to be folded or unfolded."""

        def __init__(self, group: Group) -> None:
            super().__init__()
            self.group = group

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self.shown: dict[str, Row] = {}
        self.marks: dict[str, int] = {}  # name -> number of its colour, the same as long as it is marked
        self.columns_shown: list[Column] = []
        self._headings: list[str] = []
        self._widths: dict[str, int] = {}
        self._cells: dict[str, dict[str, Content]] = {}
        self._sort = Sort()
        self._cell_context = Context({}, {})

    @property
    def current_row(self) -> Row | None:
        """The run or the group under the cursor."""
        if not self.row_count:
            return None
        return self.shown.get(str(self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value))

    @property
    def current(self) -> Entry | None:
        """The run under the cursor."""
        row = self.current_row
        return row if isinstance(row, Entry) else None

    @property
    def in_sight(self) -> list[Entry]:
        """The runs whose rows can be seen, and those of a page above and below."""
        page = max(1, self.size.height)
        first = max(0, int(self.scroll_offset.y) - page)
        return [row for row in list(self.shown.values())[first : first + 3 * page] if isinstance(row, Entry)]

    def show(self, rows: list[Row], sort: Sort | None = None, curves: Mapping[str, ShortCurve] | None = None) -> None:
        """Show these rows in this order, changing no more than differs."""
        self._sort = sort or self._sort
        groups = {row.title: row.differing for row in rows if isinstance(row, Group) and row.trained_together}
        self._cell_context = Context(groups, self._cell_context.curves if curves is None else curves)
        room = self.size.width - self.styles.scrollbar_size_vertical  # whether or not there is a scrollbar by then
        columns = fitting(room, rows, self._sort)
        headings = [heading(column, self._sort) for column in columns]
        wide = widths(columns, room, [title_of(row) for row in rows])
        keys = [row.key for row in rows]
        if (headings, wide) != (self._headings, self._widths) or keys != list(self.shown):
            self._fill(rows, columns, headings, wide)
            return
        self.shown = {row.key: row for row in rows}
        for row in rows:
            self._update(row)

    def show_curves(self, curves: Mapping[str, ShortCurve]) -> None:
        """Write the curves that have been read since."""
        self._cell_context = Context(self._cell_context.groups, curves)
        for row in self.in_sight:
            self._update(row)

    def _fill(self, rows: list[Row], columns: list[Column], headings: list[str], wide: dict[str, int]) -> None:
        current, before = self.current_row, self.cursor_row
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=(headings, wide) != (self._headings, self._widths))
            if not self.columns:
                self.add_column(" ", key="mark", width=MARK_WIDTH)
                for column, title in zip(columns, headings, strict=True):
                    self.add_column(title, key=column.key, width=wide[column.key])
            self.columns_shown, self._headings, self._widths = columns, headings, wide
            self.shown = {row.key: row for row in rows}
            self._cells = {row.key: self._written(row) for row in rows}
            for key, cells in self._cells.items():
                self.add_row(*cells.values(), key=key)
            keys = list(self.shown)
            at = keys.index(current.key) if current and current.key in keys else min(before, len(rows) - 1)
            if rows:
                self.move_cursor(row=max(0, at), animate=False)
        if rows and self.current_row != current:
            self.post_message(DataTable.RowHighlighted(self, self.cursor_row, self.ordered_rows[self.cursor_row].key))

    def _written(self, row: Row) -> dict[str, Content]:
        if isinstance(row, Group):
            cells = {column.key: column.of_group(row, self._cell_context) for column in self.columns_shown}
            return {"mark": Content(" ")} | self._cut(cells)
        number = self.marks.get(row.key)
        warm = Content.styled(IN_MEMORY, "$text-primary") if row.status.serving else Content(" ")
        mark = warm if number is None else Content.styled(MARK, colour(number))
        mark = mark.append(Content.styled(STAR, "$text-warning") if row.marks.starred else Content(" "))
        cells = {column.key: column.write(row, self._cell_context) for column in self.columns_shown}
        cells[NAME] = _middle_cut(cells[NAME], self._widths[NAME])
        return {"mark": mark} | self._cut(cells)

    def _cut(self, cells: dict[str, Content]) -> dict[str, Content]:
        """Show where a cell is cut: half a number would be another one."""
        return {key: cell.truncate(self._widths[key], ellipsis=True) for key, cell in cells.items()}

    def _update(self, row: Row) -> None:
        before, now = self._cells[row.key], self._written(row)
        for column, cell in now.items():
            if cell != before[column]:
                self.update_cell(row.key, column, cell)
        self._cells[row.key] = now

    def on_resize(self) -> None:
        """Show the columns that fit now."""
        self.show(list(self.shown.values()))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Report that other rows have come into sight."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Scrolled())

    def action_fold(self, folded: bool) -> None:
        """Fold or unfold the group under the cursor; fold the one that the run under it is in."""
        row = self.current_row
        if folded and isinstance(row, Entry) and row.depth:
            above = list(self.shown.values())[: self.cursor_row]
            groups = (one for one in reversed(above) if isinstance(one, Group))
            row = next((one for one in groups if row.key in {entry.key for entry in one.entries}), None)
        if isinstance(row, Group) and row.folded != folded:
            self.move_cursor(row=list(self.shown).index(row.key), animate=False)
            self.post_message(self.Toggled(row))

    def action_mark(self) -> None:
        """Mark the run under the cursor, or remove its mark, and go to the next."""
        row = self.current
        if row is None:
            return
        if row.key in self.marks:
            del self.marks[row.key]
        elif len(self.marks) < MOST_MARKED:
            self.marks[row.key] = next(number for number in range(MOST_MARKED) if number not in self.marks.values())
        else:
            self.notify(f"{MOST_MARKED} runs are marked: more curves could not be distinguished.", severity="warning")
        self._update(row)
        self.action_cursor_down()
        self.post_message(self.Marked())

    def keep_marks_of(self, keys: Collection[str]) -> None:
        """Remove the marks of all runs but these; a filter does not remove any."""
        self.marks = {key: number for key, number in self.marks.items() if key in keys}

    def unmark_all(self) -> None:
        """Remove all marks."""
        self.marks.clear()
        for row in self.shown.values():
            self._update(row)
        self.post_message(self.Marked())


def _middle_cut(name: Content, width: int) -> Content:
    """Cut a run's name in the middle: the runs of a group begin alike and differ at their ends."""
    over = name.cell_length - width
    if over <= 0 or width < LEAST_CUT:
        return name
    end = width * 3 // 5
    return name[: width - end - 1].append("…").append(name[-end:])
