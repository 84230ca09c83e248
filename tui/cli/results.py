"""`torchtty results`: the tables of a group, for the terminal or for a document."""

import math
import sys
from collections.abc import Sequence
from textwrap import wrap

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import RunGroup, find_group, list_groups
from torchtty.engine.contract.experiments.results import BEST, LAST, At, Results, read_results
from torchtty.engine.contract.experiments.summaries import tables_of
from torchtty.engine.contract.experiments.tables import FORMATS, Table, as_json
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.cli.console import Exit, UsageError, output, print_json
from torchtty.tui.experiments.layout import GAP, heading_lines, is_text, slices, widths_of

JSON = "json"


def results(group: str, rows: str, columns: str, metric: str, at: str, form: str) -> int:
    """Print the tables of a group; return the exit code."""
    if form and form not in (*FORMATS, JSON):
        raise UsageError(f"There is no format '{printable_line(form)}': take one of {', '.join((*FORMATS, JSON))}.")
    found = read_results(_named(group))
    moments = _moments(at)
    _refuse_beyond(found, moments)
    tables = tables_of(found, rows=rows, columns=_parts(columns), metric=metric, at=moments)
    if form == JSON:
        print_json({"group": found.name, "state": found.status.state.value, "tables": as_json(tables)})
    elif form:
        sys.stdout.write(FORMATS[form](tables))
    else:
        print_tables(tables)
    return Exit.DONE


def _refuse_beyond(found: Results, moments: Sequence[At]) -> None:
    """Raise a `UsageError` for a step that none of the runs has come to."""
    curves = [curve for member in found.members for curve in member.curves.values()]
    last = max((step for curve in curves for step in curve.steps[-1:]), default=math.inf)
    beyond = [at for at in moments if not isinstance(at, str) and at > last]
    if beyond:
        raise UsageError(
            f"{found.name} has no step {beyond[0]:,.0f}: its runs have come to step {last:,.0f}. --at takes steps up to there,"
            f" {LAST} or {BEST}."
        )


def _named(name: str) -> RunGroup:
    groups = list_groups()
    if name == "latest" and groups:
        return groups[0]
    if (found := find_group(name)) is not None:
        return found
    begun = [group for group in groups if group.name.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    known = f" There are {', '.join(group.name for group in groups[:8])}." if groups else " There is none yet."
    raise UserError(
        f"There is no group '{printable_line(name)}'.{known} 'torchtty train MODEL --seed 1..10' trains one."
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _moments(text: str) -> list[At]:
    found: list[At] = []
    for part in _parts(text):
        if part in (LAST, BEST):
            found.append(part)
        elif part.replace("_", "").isdecimal():
            found.append(float(part))
        else:
            raise UsageError(f"--at takes steps, {LAST} or {BEST}, not '{printable_line(part)}'.")
    return found


def print_results(found: Results) -> None:
    """Print what a group has come to on stdout."""
    print_tables(tables_of(found))


def print_tables(tables: Sequence[Table]) -> None:
    """Print tables on stdout, as wide as the terminal."""
    console = output()
    console.print(Group(*(drawn(table, console.width) for table in tables)))


def drawn(table: Table, width: int) -> RenderableType:
    """Lay a table out for a terminal. One that is too wide is cut into several of its columns, each with the first of them."""
    texts = table.texts()
    parts: list[RenderableType] = [Text(printable_line(table.title), "bold")]
    for columns in slices(widths_of(table, texts), width):
        grid = RichTable(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
        for place in columns:
            justify: JustifyMethod = "left" if is_text(table, place) else "right"
            grid.add_column(Text("\n".join(heading_lines(table.headings[place]))), justify=justify, no_wrap=True)
        for number, row in enumerate(texts):
            grid.add_row(*(Text(row[place]) for place in columns), style="dim" if number in table.quiet else "")
        parts += [grid]
    for note in table.notes:
        parts += [Text(line, "dim") for line in wrap(printable_line(note), max(20, width))]
    return Group(*parts, Text(""))
