"""The tables of a group as a figure that is scrolled."""

from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.results import LAST, Results
from torchtty.engine.contract.experiments.summaries import tables_of
from torchtty.engine.contract.experiments.tables import Table
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.style import ChartStyle, Line
from torchtty.tui.experiments.choices import Choices
from torchtty.tui.experiments.layout import GAP, heading_lines, is_text, slices, widths_of
from torchtty.tui.experiments.words import words_of


class ResultTables:
    """Tables below each other; the cursor is the first line that is seen."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tuple(tables)
        self._count = 0  # of lines as they were drawn last
        self._room = 1

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:  # noqa: ARG002
        return min(max((cursor or (0, 0))[0] + down, 0), max(0, self._count - self._room)), 0

    def reading(self, cursor: Cursor) -> str:  # noqa: ARG002
        return ""

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        lines = [line for table in self.tables for line in _lines(table, width, style)]
        self._count, self._room = len(lines), (height or len(lines)) - 1
        first = min(cursor[0] if cursor else 0, max(0, self._count - self._room))
        below = self._count - first - self._room
        foot: Line = ((f"↓ {below} more lines: down, page down" if below > 0 else "", style.axis),)
        return Drawing((*lines[first : first + self._room], foot))


def _lines(table: Table, width: int, style: ChartStyle) -> list[Line]:
    texts = table.texts()
    widths = widths_of(table, texts)
    lines: list[Line] = [((printable_line(table.title), style.title),)]
    for columns in slices(widths, width):
        heads = [heading_lines(table.headings[place]) for place in columns]
        for part in range(high := max(map(len, heads))):
            cells = [head[part - high + len(head)] if part >= high - len(head) else "" for head in heads]
            lines.append(((_joined(table, cells, columns, widths), style.axis),))
        for number, row in enumerate(texts):
            tone = style.axis if number in table.quiet else style.label
            lines.append(((_joined(table, [row[place] for place in columns], columns, widths), tone),))
    for note in table.notes:
        lines += [((line, style.axis),) for line in wrap(printable_line(note), max(20, width))]
    return [*lines, (("", style.axis),)]


def _joined(table: Table, cells: Sequence[str], columns: Sequence[int], widths: Sequence[int]) -> str:
    return (" " * GAP).join(
        cell.ljust(widths[place]) if is_text(table, place) else cell.rjust(widths[place])
        for cell, place in zip(cells, columns, strict=True)
    )


def tables_for(results: Results, choices: Choices) -> list[Table]:
    """Return the tables of a group for what is chosen; raise `UserError` where there are none."""
    open_moment = choices.each or (results.race is not None and choices.at == LAST)  # what suits the group
    return tables_of(results, metric=choices.metric, at=() if open_moment else (choices.at,))


def result_tables(results: Results, choices: Choices) -> ResultTables | str:
    """Return the tables of a group, without what is said below every view, or why there are none."""
    try:
        tables = tables_for(results, choices)
    except UserError as error:
        return str(error)
    said = words_of(results, choices)
    return ResultTables(
        [replace(table, notes=tuple(note for note in table.notes if note not in said)) for table in tables]
    )
