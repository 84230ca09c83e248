"""A table of numbers with a cursor, which scrolls with it and shows which of its cells another number comes from."""

import math
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from torchtty.engine.contract.learn.tables import Source, Table, Value

GAP = 2  # cells between two columns, 1 where there is little room
LONGEST_LABEL = 12
SHARES = ("attention", "probabilities", "angles", "positions", "answer")  # tables whose small numbers matter
MOVE = "Move to another number; beside it stands where it comes from"


def written(value: Value, decimals: int = 4) -> str:
    """Write a cell: text as it is, counts without decimals, numbers with as many as asked."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not float(text) else text.replace("-", "−")


def decimals_of(table: Table) -> int:
    """Return how many decimals the numbers of a table are written with."""
    numbers = [value for line in table.values for value in line if isinstance(value, float) and math.isfinite(value)]
    if all(abs(value - round(value, 2)) < 1e-9 for value in numbers):
        return 2
    largest = max(map(abs, numbers))
    return 2 if largest >= 20 else 4 if table.key in SHARES else 3


class TableView(Widget, can_focus=True):
    """A table with named rows and columns; `is_source` ones have no cursor and only mark cells."""

    COMPONENT_CLASSES = {"table--label", "table--cell", "table--cursor", "table--source", "table--here"}
    ALLOW_SELECT = False
    BINDING_GROUP_TITLE = "Table"
    DEFAULT_CSS = """
    TableView { height: auto; width: 1fr; }
    TableView > .table--label { color: $foreground 55%; }
    TableView > .table--cell { color: $foreground 90%; }
    TableView > .table--here { color: $foreground; text-style: bold; }
    TableView > .table--source { color: $text-accent; text-style: bold; }
    TableView > .table--cursor { background: $accent; color: $background; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(0, -1)", "number", id="table.left", key_display="←→↑↓", tooltip=MOVE),
        Binding("right", "move(0, 1)", "right", show=False, tooltip=MOVE),
        Binding("up", "move(-1, 0)", "up", show=False, tooltip=MOVE),
        Binding("down", "move(1, 0)", "down", show=False, tooltip=MOVE),
        Binding("home", "move(0, -99)", "first column", show=False, tooltip="To the first column"),
        Binding("end", "move(0, 99)", "last column", show=False, tooltip="To the last column"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor stands on another cell."""

        row: int
        column: int

    def __init__(self, *, is_source: bool = False, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.table: Table | None = None
        self.cursor = (0, 0)
        self._marked: tuple[Source, ...] = ()
        self._has_cursor = not is_source
        self._top = self._left = 0  # the first row and column that are shown
        self._decimals = 2
        self._widths: list[int] = []
        self._label_width = 0

    def allow_focus(self) -> bool:
        return self._has_cursor

    def show(self, table: Table, cursor: tuple[int, int] = (0, 0), marked: tuple[Source, ...] = ()) -> None:
        """Show a table, with the cursor on a cell and the cells of some sources marked."""
        if table is not self.table:
            self.table, self._top, self._left = table, 0, 0
            self._decimals = decimals_of(table)
            columns = range(len(table.columns))
            cells = [[self._text(row, column) for row in range(len(table.rows))] for column in columns]
            self._widths = [max(map(cell_len, (table.columns[c], *cells[c]))) for c in columns]
            self._label_width = min(max(map(cell_len, table.rows)), LONGEST_LABEL)
        self._marked = tuple(source for source in marked if source.table is table)
        self._place(*cursor)
        self.refresh(layout=True)

    def _text(self, row: int, column: int) -> str:
        assert self.table is not None
        return written(self.table.values[row][column], self._decimals)

    def _place(self, row: int, column: int) -> None:
        """Put the cursor on a cell inside the table, and scroll to it."""
        assert self.table is not None
        row = min(max(row, 0), len(self.table.rows) - 1)
        column = min(max(column, 0), len(self.table.columns) - 1)
        self.cursor = row, column
        if not self._has_cursor and self._marked:
            row, column = self._marked[0].rows[0], self._marked[0].columns[0]
        shown = max(self.size.height - 1, 1)
        self._top = min(max(self._top, row - shown + 1), row, max(len(self.table.rows) - shown, 0))
        self._left = min(self._left, column)
        while self._left < column and not self._fits(column):
            self._left += 1

    def _fits(self, column: int) -> bool:
        used = self._label_width + sum(self._widths[c] + self._gap for c in range(self._left, column + 1))
        return used <= self.size.width

    @property
    def _gap(self) -> int:
        whole = self._label_width + sum(width + GAP for width in self._widths)
        return GAP if whole <= self.size.width else 1

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self.table.rows) + 1 if self.table is not None else 1

    def on_resize(self) -> None:
        if self.table is not None:
            self._place(*self.cursor)
            self.refresh()

    # -- drawing --------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        table, width = self.table, self.size.width
        row = self._top + y - 1
        if table is None or row >= len(table.rows):
            return Strip.blank(width, self.rich_style)
        styles = {
            name: self.get_component_rich_style(f"table--{name}", partial=True)
            for name in ("label", "cell", "here", "source", "cursor")
        }
        label = table.rows[row] if y else self._more()
        here = self._has_cursor and y and row == self.cursor[0]
        name = styles["here"] if here else styles["label"]
        segments = [Segment(set_cell_size(label, self._label_width), name)]
        for column in range(self._left, len(table.columns)):
            if not self._fits(column):
                break
            text = self._text(row, column) if y else table.columns[column]
            style = self._style(styles, row, column) if y else styles["here" if self._is_at(column) else "label"]
            blank = " " * (self._widths[column] - cell_len(text))
            left = isinstance(table.values[0][column], str)  # words begin at the left, numbers end at the right
            body = f"{text}{blank}" if left else f"{blank}{text}"
            segments += [Segment(" " * self._gap), Segment(body, style)]
        if y == 0:
            segments = self._with_arrows(segments, styles["here"])
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def _with_arrows(self, head: list[Segment], style: Style) -> list[Segment]:
        """Mark in the head that there are columns out of sight."""
        assert self.table is not None
        if self._left:
            head[1] = Segment("‹" + " " * (self._gap - 1), style)
        if len(head) // 2 < len(self.table.columns) - self._left:
            head.append(Segment("›", style))
        return head

    def _is_at(self, column: int) -> bool:
        return self._has_cursor and column == self.cursor[1]

    def _more(self) -> str:
        """Say in the corner that there are rows out of sight."""
        assert self.table is not None
        hidden = len(self.table.rows) - (self.size.height - 1)
        text = f"↕ +{hidden}"
        return text if hidden > 0 and self._label_width >= len(text) else ""

    def _style(self, styles: dict[str, Style], row: int, column: int) -> Style:
        if self._has_cursor and (row, column) == self.cursor:
            return styles["cursor"]
        if any(source.holds(row, column) for source in self._marked):
            return styles["source"]
        return styles["cell"]

    # -- keys and mouse -------------------------------------------------------------------------------------------

    def action_move(self, rows: int, columns: int) -> None:
        self._move_to(self.cursor[0] + rows, self.cursor[1] + columns)

    def _move_to(self, row: int, column: int) -> None:
        before = self.cursor
        if self.table is not None:
            self._place(row, column)
            if self.cursor != before:
                self.refresh()
                self.post_message(self.Moved(*self.cursor))

    def on_click(self, event: Click) -> None:
        if self._has_cursor and self.table is not None and event.y > 0:
            at = self._label_width
            for column in range(self._left, len(self.table.columns)):
                at += self._gap + self._widths[column]
                if event.x < at:
                    self._move_to(self._top + event.y - 1, column)
                    return

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_move(1, 0)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_move(-1, 0)
