"""`torchtty reproduce`: runs recipes and holds what comes out against the figures they name."""

import json
import time
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from torchtty.engine.contract.experiments.runner import Interrupted, Reproduction, Runner, as_json
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.recipes import recipe_named, shipped_recipes
from torchtty.tui.cli.console import Exit, UsageError, messages, output, print_json, say
from torchtty.tui.cli.progress import describe, measures
from torchtty.tui.cli.report import markdown, notes, table


def reproduce(names: Sequence[str], *, everything: bool, quick: bool, json_wanted: bool) -> int:
    """Reproduce recipes; exit with 1 if a run failed or a figure differs."""
    if everything == bool(names):
        raise UsageError("Name the recipes to reproduce, or give --all. 'torchtty models' lists them.")
    recipes = list(shipped_recipes().values()) if everything else [recipe_named(name) for name in names]
    folder = runs_folder() / "reproductions" / time.strftime("%Y-%m-%d-%H%M%S")
    done: list[Reproduction] = []
    console = messages()
    progress = _Line(console)

    def finished(reproduction: Reproduction) -> None:
        progress.clear()
        done.append(reproduction)
        verdicts = {row.verdict.value for row in reproduction.rows}
        seconds = reproduction.rows[0].seconds
        say(f"{reproduction.recipe.name}: {', '.join(sorted(verdicts))} after {seconds:.0f} s")

    interrupted = False
    try:
        Runner(folder, quick=quick, show=progress.show).reproduce(recipes, finished)
    except (Interrupted, KeyboardInterrupt):
        interrupted = True
        progress.clear()
    if done:
        report = {"quick": quick, "recipes": [as_json(reproduction) for reproduction in done]}
        write_atomically(folder / "report.json", json.dumps(report, indent=1))
        write_atomically(folder / "report.md", markdown(done))
        if json_wanted:
            print_json(report)
        else:
            output().print(table(done))
            for note in notes(done):
                output().print(Text(note, "dim"))
            say(f"Written to {folder / 'report.md'} and report.json; the runs lie beside them.")
    if interrupted:
        return Exit.INTERRUPTED
    failed = any(row.verdict.is_failure for reproduction in done for row in reproduction.rows)
    return Exit.FAILED if failed else Exit.DONE


class _Line:
    """One line in place on a terminal; nothing elsewhere, where each recipe's own line is enough."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn = 0.0

    def show(self, recipe: str, number: int, count: int, status: Status) -> None:
        if not self._console.is_terminal or time.monotonic() - self._drawn < 0.25:
            return
        self._drawn = time.monotonic()
        steps = f"{status.step:,}/{status.max_steps:,}" if status.max_steps else ""
        part = f"{number}/{count}" if count > 1 else ""
        text = "  ".join(filter(None, (recipe, part, describe(status), steps, measures(status))))
        width = max(10, self._console.width - 1)
        self._console.file.write("\r\x1b[2K")
        self._console.print(Text(text[:width], "dim"), end="", soft_wrap=True)

    def clear(self) -> None:
        if self._console.is_terminal:
            self._console.file.write("\r\x1b[2K")
