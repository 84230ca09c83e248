"""`torchtty runs`: every run, the newest first."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.lineage import Parent, as_tree
from torchtty.engine.contract.run.log import edits_of
from torchtty.engine.contract.run.settings_cache import SettingsCache, known_by_itself
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Metric
from torchtty.tui.cli.console import Exit, notify, output, print_json
from torchtty.tui.cli.show import edits_as_json, latest_metrics, parent_as_json, test_as_json
from torchtty.tui.format import MISSING, STATE_LOOKS, ago, branch, count, loss, measures, state_words

Summarised = Sequence[tuple[Metric, float]]

RIGHT = {"step", "best", "started"}
GIVE_WAY = ("best", "model", "started", "data", "step")
"""Columns that are left out where there is no room, the first of them first. No cell is ever cut."""
GAP = 2  # cells between two columns


def runs(*, as_json: bool) -> int:
    """List the runs; return the exit code."""
    found, settings = list_runs(), SettingsCache()
    if as_json:
        print_json([_entry(run, settings) for run in found])
        settings.save()
        return Exit.DONE
    if not found:
        notify(f"There are no runs in {runs_folder()} yet: 'torchtty train --help' shows how to start one.")
        return Exit.DONE
    console = output()
    lines, warm = _lines(found, settings, console)
    console.print(Text("\n").join(lines), soft_wrap=True)
    settings.save()
    if warm:
        notify(f"* its model is in memory: 'torchtty release {printable_line(warm)}' lets it go.")
    return Exit.DONE


def _lines(found: Sequence[RunDirectory], settings: SettingsCache, console: Console) -> tuple[list[Text], str]:
    """Lay the runs out as columns, where the terminal is too narrow fewer; name the first whose model is in memory."""
    about = {run: _Subject.of(run, settings) for run in found}
    tree = as_tree(found, lambda run: about[run].created or 0.0, lambda run: about[run].parent)
    statuses = [(run, run.status(), about[run].model, about[run].dataset) for run, _ in tree]
    summaries = [
        FAMILIES[model].summarised(status.metrics) if model in FAMILIES else () for _, status, model, *_ in statuses
    ]
    heading = _common_heading(summaries)
    rows = [
        {
            "run": Text.assemble((branch(depth), "dim"), (printable_line(run.name), "bold")),
            "state": Text(state_words(status) + "*" * status.serving, STATE_LOOKS[status.state].style),
            "model": Text(model),
            "data": Text(dataset),
            "step": Text(_steps(status)),
            heading or "latest": Text(_latest(summarised, labelled=not heading)),
            "best": Text(loss(status.best, 4)),
            "started": Text(ago(about[run].created), "dim"),
        }
        for (_, depth), (run, status, model, dataset), summarised in zip(tree, statuses, summaries, strict=True)
    ]
    wide = {title: max(len(title), *(row[title].cell_len for row in rows)) for title in rows[0]}
    # A pipe has no width unless one is asked for: what reads it wants every column.
    room = console.width if console.is_terminal or os.environ.get("COLUMNS") else None
    for title in (*GIVE_WAY, heading or "latest"):
        if room is not None and sum(wide.values()) + GAP * (len(wide) - 1) > room:
            del wide[title]
    titles = {title: Text(title, "dim") for title in wide}
    right = RIGHT | ({heading} if heading else set())
    warm = next((run.name for run, status, *_ in statuses if status.serving), "")
    return [_line(row, wide, right) for row in (titles, *rows)], warm


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


@dataclass(frozen=True)
class _Subject:
    """What a run is about: the model's kind, the dataset's name, when it was made, and what it is a fork of."""

    model: str
    dataset: str
    created: float | None
    parent: Parent | None

    @classmethod
    def of(cls, run: RunDirectory, settings: SettingsCache) -> "_Subject":
        """Take it from the settings; unreadable ones are no reason to list nothing."""
        try:
            known = settings.known(run)
        except UserError:
            known = known_by_itself(run, {})
        model, dataset = (known.tree.get(name, {}).get(key) for name, key in (("model", "kind"), ("data", "dataset")))
        shown = printable_line(str(model or "?")), printable_line(Path(str(dataset or "?")).name)
        return cls(*shown, known.created or None, known.parent)


def _entry(run: RunDirectory, settings: SettingsCache) -> dict[str, Any]:
    status, edits, about = run.status(), edits_of(run), _Subject.of(run, settings)
    model = about.model
    return {
        "run": run.name,
        "path": str(run.path),
        "state": status.state.value,
        "message": status.message,
        "ended_by": status.ended_by,
        "serving": status.serving,
        "model": model,
        "dataset": about.dataset,
        "recipe": run.meta().get("recipe"),
        "parent": parent_as_json(about.parent),
        "created": about.created,
        "step": status.step,
        "max_steps": status.max_steps,
        "parameters": status.parameters,
        **latest_metrics(status, FAMILIES.get(model)),
        "test": test_as_json(status),
        "settings": settings.known(run).tree if model in FAMILIES else None,
        "edits": edits_as_json(edits),
    }
