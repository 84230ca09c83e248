"""`torchtty runs`: every run, the newest first."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.log import edits_of, settings_in_force
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Metric
from torchtty.tui.cli.console import Exit, notify, output, print_json
from torchtty.tui.cli.show import edits_as_json, latest_metrics
from torchtty.tui.format import MISSING, STATE_LOOKS, ago, count, loss, measures

Summarised = Sequence[tuple[Metric, float]]

RIGHT = {"step", "best", "started"}
GIVE_WAY = ("best", "model", "started", "data", "step")
"""Columns that are left out where there is no room, the first of them first. No cell is ever cut."""
GAP = 2  # cells between two columns


def runs(*, as_json: bool) -> int:
    """List the runs; return the exit code."""
    found = list_runs()
    if as_json:
        print_json([_entry(run) for run in found])
        return Exit.DONE
    if not found:
        notify(f"There are no runs in {runs_folder()} yet: 'torchtty train --help' shows how to start one.")
        return Exit.DONE
    console = output()
    statuses = [(run, run.status()) for run in found]
    for line in _lines(statuses, console):
        console.print(line, soft_wrap=True)
    if warm := [run.name for run, status in statuses if status.serving]:
        notify(f"* its model is in memory: 'torchtty release {printable_line(warm[0])}' lets it go.")
    return Exit.DONE


def _lines(found: Sequence[tuple[RunDirectory, Status]], console: Console) -> list[Text]:
    """Lay the runs out as columns; where the terminal is too narrow, whole columns give way."""
    statuses = [(run, status, *_subject(run)) for run, status in found]
    summaries = [
        FAMILIES[model].summarised(status.metrics) if model in FAMILIES else () for _, status, model, _ in statuses
    ]
    heading = _common_heading(summaries)
    rows = [
        {
            "run": Text(printable_line(run.name), "bold"),
            "state": Text(STATE_LOOKS[status.state].word + "*" * status.serving, STATE_LOOKS[status.state].style),
            "model": Text(model),
            "data": Text(dataset),
            "step": Text(_steps(status)),
            heading or "latest": Text(_latest(summarised, labelled=not heading)),
            "best": Text(loss(status.best, 4)),
            "started": Text(ago(_created(run)), "dim"),
        }
        for (run, status, model, dataset), summarised in zip(statuses, summaries, strict=True)
    ]
    wide = {title: max(len(title), *(row[title].cell_len for row in rows)) for title in rows[0]}
    # A pipe has no width unless one is asked for: what reads it wants every column.
    room = console.width if console.is_terminal or os.environ.get("COLUMNS") else None
    for title in (*GIVE_WAY, heading or "latest"):
        if room is not None and sum(wide.values()) + GAP * (len(wide) - 1) > room:
            del wide[title]
    titles = {title: Text(title, "dim") for title in wide}
    right = RIGHT | ({heading} if heading else set())
    return [_line(row, wide, right) for row in (titles, *rows)]


def _line(cells: dict[str, Text], wide: dict[str, int], right: set[str]) -> Text:
    line = Text()
    for title, width in wide.items():
        cell = cells[title].copy()
        space = width - cell.cell_len
        cell.pad_left(space) if title in right else cell.pad_right(space)
        line.append_text(cell).append(" " * GAP)
    line.rstrip()
    return line


def _common_heading(summaries: Sequence[Summarised]) -> str:
    """Return the title of the one metric that sums every run up, such as `val loss`; empty if they differ."""
    groups = {tuple(metric for metric, _ in summarised) for summarised in summaries if summarised}
    metrics = [metric for group in groups for metric in group]
    if len(groups) != 1 or len(metrics) != 1:
        return ""
    (metric,) = metrics
    return f"{metric.label} loss" if metric.loss and metric.label else metric.title


def _latest(summarised: Summarised, *, labelled: bool) -> str:
    if not summarised:
        return MISSING
    return measures(summarised) if labelled else loss(summarised[0][1], 4)


def _steps(status: Status) -> str:
    if status.max_steps <= 1:
        return MISSING
    return count(status.step) if status.step == status.max_steps else f"{count(status.step)}/{count(status.max_steps)}"


def _subject(run: RunDirectory) -> tuple[str, str]:
    """Return the model's kind and the dataset's name; an unreadable configuration is no reason to list nothing."""
    try:
        tree = run.configuration().tree()
    except UserError:
        return "?", "?"
    dataset = str(tree.get("data", {}).get("dataset", ""))
    return str(tree["model"]["kind"]), printable_line(Path(dataset).name)


def _created(run: RunDirectory) -> float | None:
    created = run.meta().get("created")
    return float(created) if isinstance(created, int | float) else None


def _entry(run: RunDirectory) -> dict[str, Any]:
    status, edits = run.status(), edits_of(run)
    model, dataset = _subject(run)
    return {
        "run": run.name,
        "path": str(run.path),
        "state": status.state.value,
        "serving": status.serving,
        "model": model,
        "dataset": dataset,
        "recipe": run.meta().get("recipe"),
        "created": _created(run),
        "step": status.step,
        "max_steps": status.max_steps,
        "parameters": status.parameters,
        **latest_metrics(status, FAMILIES.get(model)),
        "settings": settings_in_force(run) if model in FAMILIES else None,
        "edits": edits_as_json(edits),
    }
