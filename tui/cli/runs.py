"""`torchtty runs`: every run, the newest first."""

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from engine.contract.errors import UserError
from engine.contract.places import runs_folder
from engine.contract.printable import printable_line
from engine.contract.run_directory import RunDirectory, list_runs
from tui.cli.console import Exit, output, print_json, say
from tui.cli.wording import STATE_COLOURS, ago, count, loss
from tui.run.figures import adversarial_losses


def runs(*, as_json: bool) -> int:
    """List the runs; return the exit code."""
    found = list_runs()
    if as_json:
        print_json([_entry(run) for run in found])
        return Exit.DONE
    if not found:
        say(f"There are no runs in {runs_folder()} yet: 'torchtty train --help' says how to start one.")
        return Exit.DONE
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("run", "state", "model", "data"):
        gives_way = title == "data"  # where there is no room; a run's name is needed whole in other commands
        table.add_column(title, no_wrap=not gives_way, overflow="ellipsis")
    rows = [_row(run) for run in found]
    for number, title in enumerate(("step", "val loss", "best", "started"), start=4):
        whole = max(row[number].cell_len for row in rows)  # a figure that is cut would be another figure
        table.add_column(title, justify="right", no_wrap=True, min_width=whole)
    for row in rows:
        table.add_row(*row)
    output().print(table)
    return Exit.DONE


def _row(run: RunDirectory) -> list[Text]:
    status = run.status()
    model, dataset = _subject(run)
    steps = f"{count(status.step)}/{count(status.max_steps)}" if status.max_steps > 1 else "–"
    return [
        Text(printable_line(run.name), "bold"),
        Text(status.state.value, STATE_COLOURS[status.state]),
        Text(model),
        Text(dataset),
        Text(steps),
        Text(adversarial_losses(status) or loss(status.val_loss)),
        Text(loss(status.best_val_loss)),
        Text(ago(_created(run)), "dim"),
    ]


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
        "train_loss": status.train_loss,
        "val_loss": status.val_loss,
        "best_val_loss": status.best_val_loss,
        "best_step": status.best_step,
        "loss_d": status.loss_d,
        "loss_g": status.loss_g,
    }
