"""How the way to a number is written: a sentence, the numbers in aligned columns, and where they stand."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from torchtty.engine.contract.learn.tables import Source, Table, Trace, Value
from torchtty.tui.learn.table_view import written

SOURCE_KEYS = ("↵", "o", "")  # follow the first source and the second one


def trace_content(table: Table, row: int, column: int, trace: Trace, width: int, *, tight: bool = False) -> Content:
    """Write where a cell of a table comes from, for a place of some width; a `tight` one has no blank lines."""
    value = table.values[row][column]
    name = f"{table.symbol}[{table.rows[row]}, {table.columns[column]}]" if table.rows[row] else table.symbol
    parts = [
        Content.assemble((written(value) or "–", "bold $text-accent"), (f"  {name}", "$foreground 65%")),
        Content(trace.sentence),
    ]
    blank = [] if tight else [Content("")]
    if trace.lines or trace.footers:
        parts += [*blank, *_columns(trace, width)]
    if trace.sources:
        parts += blank
        parts += [_source(number, source) for number, source in enumerate(trace.sources)]
    return Content("\n").join(parts)


def _columns(trace: Trace, width: int) -> list[Content]:
    lines: list[Sequence[Value]] = [*([trace.header] if trace.header else []), *trace.lines, *trace.footers]
    texts = [[written(value) for value in line] for line in lines]
    widths = [max(cell_len(line[column]) for line in texts) for column in range(len(texts[0]))]
    gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= width else 1
    room = width - sum(widths[1:]) - gap * (len(widths) - 1)
    widths[0] = min(widths[0], max(room, 3))
    found = []
    for number, line in enumerate(texts):
        cells = []
        for column, text in enumerate(line):
            blank = " " * (widths[column] - cell_len(text))
            cells.append(set_cell_size(text, widths[0]) if column == 0 else blank + text)
        content = Content((" " * gap).join(cells))
        if trace.header and number == 0:
            content = content.stylize("$foreground 55%")
        elif number == len(texts) - 1 and trace.footers:
            found.append(Content.styled("─" * min(sum(widths) + gap * (len(widths) - 1), width), "$foreground 30%"))
            content = content.stylize("bold $text-accent")
        found.append(content)
    return found


def _source(number: int, source: Source) -> Content:
    key = SOURCE_KEYS[min(number, len(SOURCE_KEYS) - 1)]
    table = source.table
    if len(source.rows) == 1 and len(source.columns) > 1:
        where = f"{table.symbol}, row {table.rows[source.rows[0]]}" if table.rows[source.rows[0]] else table.symbol
    elif len(source.rows) > 1:
        where = f"{table.symbol}, column {table.columns[source.columns[0]]}"
    else:
        row = table.rows[source.rows[0]]
        where = f"{table.symbol}[{row}, {table.columns[source.columns[0]]}]" if row else table.symbol
    return Content.assemble((f"{key or ' '} ", "bold $text-accent"), ("from ", "$foreground 55%"), where)
