"""The table of runs: its columns, as many as fit, and its rows, of which only changed cells are touched."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.style import colour
from torchtty.tui.format import STATE_LOOKS, duration, loss, measures, moment, rate, short_count
from torchtty.tui.runs.rows import RunRow

MARK, IN_MEMORY = "▍", "◆"
MOST_MARKED = 8  # curves that can be distinguished on one chart


@dataclass(frozen=True)
class Column:
    """A column: its key, title and width in cells, how much it matters (0 most), and how a cell is written."""

    key: str
    title: str
    width: int
    rank: int
    write: Callable[[RunRow], Content]


def _state(row: RunRow) -> Content:
    if row.problem:
        return Content.styled("! broken", "$text-error")
    look = STATE_LOOKS[row.status.state]
    return Content.styled(f"{look.sign} {look.word}", look.colour)


def _text(value: str) -> Content:
    return Content(printable_line(value))


def _figure(write: Callable[[RunRow], str], width: int) -> Callable[[RunRow], Content]:
    """Write figures flush right, as figures are compared."""
    return lambda row: Content("" if row.problem else write(row).rjust(width))


def _steps(row: RunRow) -> str:
    status = row.status
    return f"{status.step:,}/{short_count(status.max_steps)}" if status.max_steps else f"{status.step:,}"


def _speed(row: RunRow) -> str:
    return rate(row.status.steps_per_second) if row.status.state.is_live else "–"


def _loss(row: RunRow) -> str:
    summarised, family = row.snapshot.summarised, row.snapshot.family
    if len(summarised) > 1:
        return measures(summarised)
    return loss(row.status.metrics.get(family.watched or "") if family else None)


def _tested(row: RunRow) -> float | None:
    family = row.snapshot.family
    return row.status.test.get(family.tested or "") if family else None


def _figures(key: str, title: str, width: int, rank: int, write: Callable[[RunRow], str]) -> Column:
    return Column(key, title.rjust(width), width, rank, _figure(write, width))


NAME, VAL, BEST = "name", "val", "best"
NAME_WIDTH = 18  # cells that names have in any case
MORE_FOR_NAMES = 12  # and those that long ones get before other columns
COLUMNS = (
    Column("state", "state", 10, 0, _state),
    Column(NAME, "name", NAME_WIDTH, 0, lambda row: _text(row.title)),
    Column("model", "model", 12, 5, lambda row: _text(row.model)),
    Column("dataset", "dataset", 14, 6, lambda row: _text(row.snapshot.dataset)),
    _figures("parameters", "params", 7, 7, lambda row: short_count(row.status.parameters)),
    _figures("step", "step", 13, 2, _steps),
    _figures(VAL, "val", 6, 1, _loss),
    _figures(BEST, "best", 6, 3, lambda row: loss(row.status.best)),
    _figures("speed", "speed", 11, 8, _speed),
    _figures("time", "time", 8, 9, lambda row: duration(row.status.seconds)),
    _figures("started", "started", 10, 4, lambda row: moment(row.created)),
)
SEVERAL_LOSSES = _figures(VAL, "loss", 13, 1, _loss)  # where some run is summed up by more than one
TESTED = _figures("test", "test", 6, 4, lambda row: loss(_tested(row)))  # where some run has evaluated its test split
PADDING = 2  # cells the table adds to every column
MARK_WIDTH = 1


def fitting(width: int, rows: Collection[RunRow] = ()) -> list[Column]:
    """Return the columns that fit into a width, those that matter most first chosen, in their usual order."""
    several = any(len(row.snapshot.summarised) > 1 for row in rows)
    columns = [SEVERAL_LOSSES if several and column.key == VAL else column for column in COLUMNS]
    if any(row.status.test for row in rows):
        columns.insert(1 + [column.key for column in columns].index(BEST), TESTED)
    longest = max((len(row.title) for row in rows), default=0)
    left = width - MARK_WIDTH - PADDING - min(max(0, longest - NAME_WIDTH), MORE_FOR_NAMES)
    chosen = set()
    for column in sorted(columns, key=lambda column: column.rank):
        if column.rank and left < column.width + PADDING:
            continue
        left -= column.width + PADDING
        chosen.add(column.key)
    return [column for column in columns if column.key in chosen]


def name_width(columns: list[Column], width: int, names: list[str]) -> int:
    """Return the width of the name's column: what is left over, and no more than the names need."""
    others = sum(column.width + PADDING for column in columns if column.key != NAME) + MARK_WIDTH + PADDING
    longest = max((len(name) for name in names), default=0)
    return max(12, min(width - others - PADDING, max(longest, NAME_WIDTH)))


class RunsTable(DataTable[Content]):
    """Rows are runs, newest first. Marked runs carry the colour of their curve."""

    DEFAULT_CSS = """
    RunsTable { height: 1fr; width: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; }
    RunsTable, RunsTable:focus { background-tint: $foreground 0%; }
    RunsTable > .datatable--header { background: $background; color: $foreground 60%; text-style: none; }
    """
    BINDING_GROUP_TITLE = "Runs"
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
        width = name_width(columns, self.size.width, [row.title for row in rows])
        if columns != self._laid_out or width != self._name_width or keys != list(self.shown):
            self._fill(rows, columns, width)
            return
        self.shown = {row.key: row for row in rows}
        for row in rows:
            self._update(row)

    def _fill(self, rows: list[RunRow], columns: list[Column], width: int) -> None:
        current, before = self.current, self.cursor_row
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
            keys = list(self.shown)
            at = keys.index(current.key) if current and current.key in keys else min(before, len(rows) - 1)
            if rows:
                self.move_cursor(row=max(0, at), animate=False)

    def _written(self, row: RunRow) -> dict[str, Content]:
        number = self.marks.get(row.key)
        warm = Content.styled(IN_MEMORY, "$text-primary") if row.status.serving else Content(" ")
        mark = warm if number is None else Content.styled(MARK, colour(number))
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
