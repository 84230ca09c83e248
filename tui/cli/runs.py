"""`torchtty runs`: every run, the newest first, or those that fit a filter, sorted, in columns of one's choice."""

import os
from collections.abc import Container, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.arrangement import Grouping, Sort, arrange
from torchtty.engine.contract.listing.curves import metric_in_short, short_curve
from torchtty.engine.contract.listing.entry import Entry, EntryReader
from torchtty.engine.contract.listing.filtering import parse_filter
from torchtty.engine.contract.listing.subjects import SMOOTHED
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.log import edits_of
from torchtty.tui.cli.console import Exit, UsageError, notify, output, print_json
from torchtty.tui.cli.run_columns import ALIASES, Column, Listing, column_named, usual_columns
from torchtty.tui.cli.show import edits_as_json, latest_metrics, marks_as_json, parent_as_json, test_as_json

GIVE_WAY = ("tags", "best", "model", "started", "data", "step", "latest")
"""Of the usual columns those that are left out where there is no room, the first of them first. No cell is ever cut."""
GAP = 2  # cells between two columns


def runs(*, columns: str, sort: str, reverse: bool, filter: str, as_json: bool) -> int:
    """List the runs; return the exit code. What cannot be understood is a `UsageError`."""
    try:
        fits = parse_filter(filter).fits
        order = Sort.by(ALIASES.get(sort, sort)) if sort else Sort()
        chosen = [column_named(name.strip()) for name in columns.split(",") if name.strip()]
    except UserError as error:
        raise UsageError(str(error)) from None
    reader = EntryReader(validates=False)
    every = [reader.read(run) for run in list_runs()]
    reader.save()
    fitting = [entry for entry in every if fits(entry)]
    needs_curves = SMOOTHED in (order.subject, *(column.name for column in chosen))
    levels = _levels(fitting) if needs_curves else {}
    rows = arrange(fitting, order.reversed if reverse else order, Grouping.NONE, brought=levels)
    listing = Listing([row for row in rows if isinstance(row, Entry)], every, levels)
    if as_json:
        print_json([_as_json(entry, chosen, listing) for entry in listing.entries])
        return Exit.DONE
    if not every:
        notify(f"There are no runs in {runs_folder()} yet: 'torchtty train --help' shows how to start one.")
    elif not fitting:
        notify(f"None of the {len(every)} runs fits '{shortened(filter, 200)}'.")
    else:
        console = output()
        console.print(Text("\n").join(_lines(listing, chosen, console)), soft_wrap=True)
        if warm := next((entry.key for entry in listing.entries if entry.status.serving), ""):
            notify(f"* its model is in memory: 'torchtty release {printable_line(warm)}' lets it go.")
    return Exit.DONE


def _levels(entries: Sequence[Entry]) -> dict[str, float | None]:
    """Return the smoothed training loss at the end of each run, by the runs' names."""
    return {entry.key: short_curve(entry.run, metric_in_short(entry)).smoothed for entry in entries}


def _lines(listing: Listing, chosen: Sequence[Column], console: Console) -> list[Text]:
    """Lay the runs out as columns: all that were chosen, or of the usual ones as many as the terminal has room for."""
    columns = list(chosen or usual_columns(listing))
    cells = {column.name: [column.write(entry, listing) for entry in listing.entries] for column in columns}
    wide = {one.name: max(len(one.title), *(cell.cell_len for cell in cells[one.name])) for one in columns}
    # A pipe has no width unless one is asked for: what reads it wants every column.
    room = console.width if console.is_terminal or os.environ.get("COLUMNS") else None
    for name in GIVE_WAY:
        if not chosen and room is not None and sum(wide.values()) + GAP * (len(wide) - 1) > room:
            wide.pop(name, None)
    columns = [column for column in columns if column.name in wide]
    right = {one.name for one in columns if one.right and not any(cell.plain.isalpha() for cell in cells[one.name])}
    titles = {column.name: Text(column.title, "dim") for column in columns}
    rows = [{column.name: cells[column.name][number] for column in columns} for number in range(len(listing.entries))]
    return [_line(row, wide, right) for row in (titles, *rows)]


def _line(cells: Mapping[str, Text], wide: Mapping[str, int], right: Container[str]) -> Text:
    line = Text()
    for name, text in cells.items():
        cell = text.copy()
        space = wide[name] - cell.cell_len
        cell.pad_left(space) if name in right else cell.pad_right(space)
        line.append_text(cell).append(" " * GAP)
    line.rstrip()
    return line


def _as_json(entry: Entry, chosen: Sequence[Column], listing: Listing) -> dict[str, Any]:
    """Return the chosen columns of a run, or all there is to say of it."""
    if chosen:
        return {column.name: column.value(entry, listing) for column in chosen}
    status = entry.status
    return {
        "run": entry.key,
        "path": str(entry.run.path),
        "state": status.state.value,
        "message": status.message,
        "ended_by": status.ended_by,
        "serving": status.serving,
        "model": entry.kind or "?",
        "dataset": entry.dataset or "?",
        "recipe": entry.recipe or None,
        "group": entry.group or None,
        "parent": parent_as_json(entry.snapshot.parent),
        "created": entry.created or None,
        **marks_as_json(entry.marks),
        "step": status.step,
        "max_steps": status.max_steps,
        "parameters": status.parameters,
        **latest_metrics(status, entry.family),
        "test": test_as_json(status),
        "settings": entry.settings if entry.family else None,
        "edits": edits_as_json(edits_of(entry.run)),
    }
