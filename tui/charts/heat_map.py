"""A heat map: rows and columns of values as colours, with axes, and a cursor that reads every value.

Where each row has a line of its own there is room for numbers in the cells; else two rows share a line as half blocks. Without
colour a cell is filled the more the larger its value. What is larger than the room is scrolled along with the cursor.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.colours import RGB, Scale, cell_style, ink_on
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.style import ChartStyle, Line
from torchtty.tui.format import number

HALF = "▀"
WIDEST_CELL, HIGHEST_CELL = 6, 3  # cells and lines
WIDEST_LABEL = 22
WIDEST_SCALE, LEAST_SCALE = 16, 4  # cells of its colours
AROUND = 3  # lines that are no rows: the reading, the columns' labels, the scale
EMPTY: RGB = (38, 38, 44)  # of a value that is none
DOTTED = re.compile(r"\w+(\.\w+)+", re.ASCII)  # the name of a layer or of a weight
MARKED: RGB = (120, 255, 120)  # of the cell under the cursor


@dataclass(frozen=True)
class HeatMap:
    """Values (rows x columns) with a label for each row and column; what is no number stays empty.

    `read` words the value at a row and column; without it that is `row, column value`. `write` writes a value into its own cell
    where cells are wide enough for it. `measure` says beside the scale what the values are.
    """

    values: tuple[tuple[float, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    scale: Scale
    row_axis: str = ""
    column_axis: str = ""
    read: Callable[[int, int, float], str] | None = None
    write: Callable[[float], str] | None = None
    measure: str = ""

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        if not self.rows or not self.columns:
            return None
        row, column = cursor or (0, 0)
        if cursor is not None:
            row, column = row + down, column + right
        return min(max(row, 0), len(self.rows) - 1), min(max(column, 0), len(self.columns) - 1)

    def reading(self, cursor: Cursor) -> str:
        row, column = cursor
        value = self.values[row][column]
        if self.read is not None:
            return self.read(row, column, value)
        shown = number(value) if math.isfinite(value) else "none"
        return f"{self.rows[row].strip()}, {self.columns[column].strip()}  {shown}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        if not self.rows or not self.columns:
            return Drawing((_line("nothing to show", style.label),))
        layout = _Layout.of(self, width, None if height is None else max(1, height - AROUND), cursor, style)
        lines: list[Line] = [self._head(layout, cursor, width, style), self._labels(layout, cursor, style)]
        lines += self._body(layout, cursor, style)
        lines.append(self._legend(layout, width, style))
        return Drawing(tuple(lines), layout.at)

    # -- the parts ------------------------------------------------------------------------------------------------

    def _head(self, layout: "_Layout", cursor: Cursor | None, width: int, style: ChartStyle) -> Line:
        """What is read at the cursor, what the axes are, and which part is in view."""
        left = self.reading(cursor) if cursor is not None else ""
        arrows = ("↓", "→") if style.unicode else ("down", "right")
        parts = (
            (self.row_axis, layout.top, layout.rows, len(self.rows)),
            (self.column_axis, layout.left, layout.columns, len(self.columns)),
        )
        told, short = [], []
        for (axis, first, seen, all_of_them), arrow in zip(parts, arrows, strict=True):
            part = f"{first + 1}-{first + seen}/{all_of_them}" if seen < all_of_them else ""
            told.append(" ".join(filter(None, (axis, part, arrow))) if axis or part else "")
            short.append(f"{part} {arrow}" if part else "")
        left = printable_line(left)
        room = width - cell_len(left) - 2 if left else width - layout.label - 1
        wordings = (printable_line("  ".join(filter(None, one))) for one in (told, short, short[:1]))
        right = next((one for one in wordings if cell_len(one) <= room), "")
        gap = max(1, min(width, layout.label + 1 + layout.columns * layout.cell) - cell_len(left) - cell_len(right))
        if not left:
            return ((" " * (layout.label + 1), style.axis), (right, style.axis))
        return ((left, style.cursor), (" " * gap, style.axis), (right, style.axis))

    def _labels(self, layout: "_Layout", cursor: Cursor | None, style: ChartStyle) -> Line:
        """The columns' labels, as many as there is room for; that of the cursor's column always."""
        span = layout.columns * layout.cell
        cells, taken = [" "] * span, [False] * (span + 1)
        marked: range | None = None
        wanted = list(range(layout.left, layout.left + layout.columns))
        if cursor is not None and cursor[1] in wanted:
            wanted.remove(cursor[1])
            wanted.insert(0, cursor[1])
        for place in wanted:
            text = printable_line(self.columns[place])
            long = len(text)
            start = min((place - layout.left) * layout.cell + max(0, (layout.cell - long) // 2), span - long)
            needed = range(max(0, start - (long > 1)), start + long + (long > 1))
            if start < 0 or any(taken[at] for at in needed if at < span) or cell_len(text) != long:
                continue
            cells[start : start + long] = text
            for at in range(start, start + long):
                taken[at] = True
            if cursor is not None and place == cursor[1]:
                marked = range(start, start + long)
        head: Line = ((" " * (layout.label + 1), style.axis),)
        if marked is None:
            return (*head, ("".join(cells), style.label))
        before, here, after = cells[: marked.start], cells[marked.start : marked.stop], cells[marked.stop :]
        return (*head, ("".join(before), style.label), ("".join(here), style.cursor), ("".join(after), style.label))

    def _body(self, layout: "_Layout", cursor: Cursor | None, style: ChartStyle) -> list[Line]:
        lines: list[Line] = []
        end = layout.top + layout.rows
        if layout.halves:
            for row in range(layout.top, end, 2):
                lines.append((*self._row_label(layout, row, cursor, style), *self._half_line(layout, row, cursor)))
            return lines
        for row in range(layout.top, end):
            for part in range(layout.high):
                middle = part == (layout.high - 1) // 2
                label = (
                    self._row_label(layout, row, cursor, style) if middle else ((" " * (layout.label + 1), style.axis),)
                )
                lines.append((*label, *self._whole_line(layout, row, cursor, style, with_numbers=middle)))
        return lines

    def _row_label(self, layout: "_Layout", row: int, cursor: Cursor | None, style: ChartStyle) -> Line:
        names = [printable_line(self.rows[row])]
        rows = [row]
        if layout.halves and row + 1 < layout.top + layout.rows:
            names.append(printable_line(self.rows[row + 1]))
            rows.append(row + 1)
        here = cursor is not None and cursor[0] in rows
        if here and cursor is not None:
            text = names[rows.index(cursor[0])] if max(map(len, names)) > 2 else " ".join(names)
        elif max(map(len, names)) <= 2:
            text = " ".join(names)
        else:
            text = names[0]
        text = _fitted(text, layout.label, "…" if style.unicode else "~")
        return ((" " * (layout.label - cell_len(text)) + text + " ", style.cursor if here else style.label),)

    def _half_line(self, layout: "_Layout", row: int, cursor: Cursor | None) -> Line:
        """Two rows in one line: the upper as the colour of the half blocks, the lower as that behind them."""
        parts: list[tuple[str, Style]] = []
        for column in range(layout.left, layout.left + layout.columns):
            upper = MARKED if cursor == (row, column) else self._colour(row, column)
            below = row + 1 < layout.top + layout.rows
            lower = (MARKED if cursor == (row + 1, column) else self._colour(row + 1, column)) if below else None
            text = " " if upper == lower else HALF  # a space shows no seam
            parts.append((text * layout.cell, cell_style(upper, lower)))
        return tuple(parts)

    def _whole_line(
        self, layout: "_Layout", row: int, cursor: Cursor | None, style: ChartStyle, *, with_numbers: bool
    ) -> Line:
        parts: list[tuple[str, Style]] = []
        for column in range(layout.left, layout.left + layout.columns):
            value, here = self.values[row][column], cursor == (row, column)
            shown = math.isfinite(value)
            written = self.write(value) if self.write and with_numbers and shown else ""
            if len(written) >= layout.cell:
                written = ""
            if not style.colour:
                shade = self.scale.shade(value, unicode=style.unicode) if shown else " "
                text = written.rjust(layout.cell) if written and self.scale.place(value) < 0.5 else shade * layout.cell
                parts.append((_bracketed(text) if here else text, Style(bold=True, reverse=True) if here else Style()))
                continue
            colour = MARKED if here else self._colour(row, column)
            parts.append((written.center(layout.cell), cell_style(ink_on(colour), colour, bold=here)))
        return tuple(parts)

    def _colour(self, row: int, column: int) -> RGB:
        value = self.values[row][column]
        return self.scale.colour(value) if math.isfinite(value) else EMPTY

    def _legend(self, layout: "_Layout", width: int, style: ChartStyle) -> Line:
        """The scale: its least and greatest value with the colours between them, and whether values lie beyond them."""
        low, high = self.scale.low, self.scale.high
        about = {"log": " log scale", "sqrt": " root scale"}.get(self.scale.kind, "")
        pad = " " * (layout.label + 1)
        measure = f"  {printable_line(self.measure)}" if self.measure else ""
        below, above = ("≤ ", "≥ ") if style.unicode else ("<= ", ">= ")
        known = [value for row in self.values for value in row if math.isfinite(value)]
        slack = 1e-6 * (high - low)  # rounding takes nothing beyond the ends
        left = f"{pad}{below if any(value < low - slack for value in known) else ''}{number(low)} "
        right = f" {above if any(value > high + slack for value in known) else ''}{number(high)}"
        steps = max(LEAST_SCALE, min(WIDEST_SCALE, width - cell_len(left + right)))
        for more in (about, measure):  # what there is room for
            right += more if steps + cell_len(more) <= width - cell_len(left + right) else ""
        if self.scale.kind == "log":
            low = max(low, 1e-12)
            between = [low * (high / low) ** (place / (steps - 1)) if high > 0 else low for place in range(steps)]
        elif self.scale.kind == "sqrt":
            root = math.sqrt(max(low, 0)), math.sqrt(max(high, 0))
            between = [(root[0] + (root[1] - root[0]) * place / (steps - 1)) ** 2 for place in range(steps)]
        else:
            between = [low + (high - low) * place / (steps - 1) for place in range(steps)]
        bar: Sequence[tuple[str, Style]]
        if style.colour:
            bar = [(" ", cell_style(None, self.scale.colour(value))) for value in between]
        else:
            bar = [(self.scale.shade(value, unicode=style.unicode), Style()) for value in between]
        return ((left, style.axis), *bar, (right, style.axis))


def _line(text: str, style: Style) -> Line:
    return ((text, style),)


def _fitted(label: str, width: int, ellipsis: str) -> str:
    """Fit a row's label. A name in parts keeps the last one, by which neighbours differ: `blocks.0.norm.weight`, `b.0.n.weight`."""
    if cell_len(label) <= width:
        return label
    if not DOTTED.fullmatch(label):
        return set_cell_size(label, width)
    *parts, last = label.split(".")
    short = ".".join([part if part.isdecimal() else part[0] for part in parts] + [last])
    if len(short) > width and width > len(ellipsis) + 1:
        head = min(len(short) - len(last), (width - 1) // 2)
        short = f"{short[:head]}{ellipsis}{short[len(short) - (width - head - 1) :]}"
    return set_cell_size(short, min(len(short), width))


def _bracketed(text: str) -> str:
    return f"[{text[1:-1]}]" if len(text) > 1 else "o"


@dataclass(frozen=True)
class _Layout:
    """Which part of a heat map is in view, and how large its cells are. `halves` says whether two rows share a line."""

    label: int
    cell: int
    high: int
    halves: bool
    top: int
    rows: int
    left: int
    columns: int

    @classmethod
    def of(cls, shown: HeatMap, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> "_Layout":
        """Lay out for so many cells and lines; with no height every row is in view."""
        rows, columns = len(shown.rows), len(shown.columns)
        longest = max(cell_len(printable_line(name)) for name in shown.rows)
        label = min(longest, WIDEST_LABEL, max(3, width // 4))
        room = max(1, width - label - 1)
        cell = max(1, min(WIDEST_CELL, room // columns))
        halves = style.colour and style.unicode and height is not None and rows > height
        high = 1
        if height is not None and not halves:
            high = max(1, min(HIGHEST_CELL, height // rows, (cell + 1) // 2))
        layout = cls(max(label, 3 if halves and longest == 1 else label), cell, high, halves, 0, rows, 0, columns)
        seen_columns = min(columns, max(1, (width - layout.label - 1) // cell))
        seen_rows = rows if height is None else min(rows, max(1, height * 2 if halves else height // high))
        row, column = cursor or (0, 0)
        top = min(max(0, row - seen_rows // 2), rows - seen_rows)
        left = min(max(0, column - seen_columns // 2), columns - seen_columns)
        return replace(layout, top=top, rows=seen_rows, left=left, columns=seen_columns)

    def at(self, x: int, y: int) -> Cursor | None:
        """Return the row and column at a cell of the drawing."""
        column = (x - self.label - 1) // self.cell
        down = y - 2
        row = down * 2 if self.halves else down // self.high
        if x <= self.label or not 0 <= column < self.columns or down < 0 or not 0 <= row < self.rows:
            return None
        return self.top + row, self.left + column
