"""`torchtty runs`: every run, the newest first."""

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.tui.cli.console import Exit, output, print_json, say
from torchtty.tui.cli.summary import latest_figures
from torchtty.tui.format import STATE_LOOKS, ago, count, loss, measures

FIGURES = {"step", "val loss", "best", "started"}
GIVE_WAY = (
    "best",
    "model",
)  # never the name, which other commands take, nor a part of a figure, which would be another one
GAP = 2  # cells between two columns
LEAST = 6  # cells of a dataset's name that are always shown


def runs(*, as_json: bool) -> int:
    """List the runs; return the exit code."""
    found = list_runs()
    if as_json:
        print_json([_entry(run) for run in found])
        return Exit.DONE
    if not found:
        say(f"There are no runs in {runs_folder()} yet: 'torchtty train --help' says how to start one.")
        return Exit.DONE
    output().print(_table([_row(run) for run in found], output().width))
    return Exit.DONE


def _table(rows: list[dict[str, Text]], width: int) -> Table:
    """Lay the rows out in so many cells: where they do not suffice, whole columns give way, and at last the data's names."""
    wide = {title: max(len(title), *(row[title].cell_len for row in rows)) for title in rows[0]}

    def missing() -> int:
        return sum(wide.values()) + GAP * (len(wide) - 1) - width

    for title in GIVE_WAY:
        if missing() > 0:
            del wide[title]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for title in wide:
        table.add_column(title, justify="right" if title in FIGURES else "left", no_wrap=True)
    for row in rows:
        row["data"].truncate(max(LEAST, wide["data"] - max(0, missing())), overflow="ellipsis")
        table.add_row(*(row[title] for title in wide))
    return table


def _row(run: RunDirectory) -> dict[str, Text]:
    status = run.status()
    model, dataset = _subject(run)
    summarised = FAMILIES[model].summarised(status.metrics) if model in FAMILIES else ()
    steps = count(status.step) if status.step == status.max_steps else f"{count(status.step)}/{count(status.max_steps)}"
    return {
        "run": Text(printable_line(run.name), "bold"),
        "state": Text(STATE_LOOKS[status.state].word, STATE_LOOKS[status.state].style),
        "model": Text(model),
        "data": Text(dataset),
        "step": Text(steps if status.max_steps > 1 else "–"),
        "val loss": Text(measures(summarised) if len(summarised) > 1 else loss(status.metrics.get("val_loss"), 4)),
        "best": Text(loss(status.best, 4)),
        "started": Text(ago(_created(run)), "dim"),
    }


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
    status = run.status()
    model, dataset = _subject(run)
    return {
        "run": run.name,
        "path": str(run.path),
        "state": status.state.value,
        "model": model,
        "dataset": dataset,
        "recipe": run.meta().get("recipe"),
        "created": _created(run),
        "step": status.step,
        "max_steps": status.max_steps,
        "parameters": status.parameters,
        **latest_figures(status, FAMILIES.get(model)),
    }
