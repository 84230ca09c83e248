"""`torchtty show`: everything about one run."""

import shlex
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.settings.configuration import difference, starting_tree
from torchtty.engine.contract.settings.fields import show as shown_value
from torchtty.tui.cli.console import Exit, output, print_json
from torchtty.tui.cli.summary import figures, numbers, print_chart, print_headline, print_samples
from torchtty.tui.format import ago, count


def show(name: str, *, as_json: bool) -> int:
    """Show a run; return the exit code."""
    run = find_run(name)
    log = RunLog(run)
    log.read()
    if as_json:
        print_json(_everything(run, log))
        return Exit.DONE
    console = output()
    status = run.status()
    print_headline(console, run, status)
    console.print()
    console.print(figures(status, log))
    print_chart(console, log, height=max(8, min(16, console.height - 12)))
    print_samples(console, log.latest_sample, 10)
    _print_settings(console, run, log)
    _print_provenance(console, run)
    return Exit.DONE


def _print_settings(console: Console, run: RunDirectory, log: RunLog) -> None:
    try:
        tree = log.settings()
        original = run.configuration().tree()
    except UserError as error:
        console.print()
        console.print(Text(str(error), "red"))
        return
    start = starting_tree(str(tree["model"]["kind"]))
    differing, edited = difference(start, tree), difference(original, tree)
    console.print()
    console.print(
        Text.assemble("settings", ("  (bold: not the model's own start; *: changed while it trained)", "dim"))
    )
    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column(style="dim")
    table.add_column()
    for section, fields in tree.items():
        parts = Text("  ").join(
            Text.assemble(
                (f"{name} ", "dim"),
                (_setting(value), "bold" if f"{section}.{name}" in differing else ""),
                "*" if f"{section}.{name}" in edited else "",
            )
            for name, value in fields.items()
        )
        table.add_row(section, parts)
    console.print(table)


def _setting(value: Any) -> str:
    return printable_line(shown_value(value)) if value != "" else "''"


def _print_provenance(console: Console, run: RunDirectory) -> None:
    meta = run.meta()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    created = meta.get("created")
    argv = meta.get("argv")
    rows = {
        "kept in": str(run.path),
        "started": ago(created) if isinstance(created, int | float) else None,
        "command": shlex.join(map(str, argv)) if isinstance(argv, list) else None,
        "recipe": meta.get("recipe"),
        "commit": meta.get("commit"),
        "parent": _parent(meta.get("parent")),
        "instead of": _instead_of(meta.get("instead_of")),
        "checkpoints": _checkpoints(run),
    }
    for key in meta.keys() - {"format", "created", "argv", "folder", "recipe", "commit", "parent", "instead_of"}:
        rows[str(key)] = meta[key] if isinstance(meta[key], str | int | float) else None
    for name, value in rows.items():
        if value not in (None, ""):
            table.add_row(Text(printable_line(name)), Text(printable_line(str(value))))
    console.print()
    console.print(table)


def _parent(parent: Any) -> str | None:
    if not isinstance(parent, dict):
        return None
    return " at step ".join(str(parent[key]) for key in ("run", "step") if key in parent) or None


def _instead_of(missing: Any) -> str | None:
    return f"{missing.get('recipe')}: {missing.get('reason')}" if isinstance(missing, dict) else None


def _checkpoints(run: RunDirectory) -> str:
    best = run.best_step()
    steps = [f"{count(step)}{' (best)' if step == best else ''}" for step in run.checkpoints()]
    return "steps " + ", ".join(steps) if steps else "none"


def _everything(run: RunDirectory, log: RunLog) -> dict[str, Any]:
    try:
        configuration: dict[str, Any] | None = run.configuration().tree()
        edited = log.settings()
    except UserError:
        configuration, edited = None, {}
    return numbers(run, log) | {
        "serving": run.status().serving,
        "configuration": configuration,
        "edited": edited,
        "provenance": run.meta(),
        "checkpoints": run.checkpoints(),
        "best_checkpoint": run.best_step(),
        "train_losses": log.metrics.points("train_loss"),
        "val_losses": log.metrics.points("val_loss"),
    }
