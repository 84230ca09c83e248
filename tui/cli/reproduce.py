"""`torchtty reproduce`: run recipes and compare the results with the figures that they name."""

import json
import time
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.experiments.runner import Interrupted, Reproduction, Runner, as_json
from torchtty.engine.contract.experiments.verdict import Row, Verdict
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.recipes import Recipe, recipe_named, shipped_recipes
from torchtty.tui.cli.console import Exit, UsageError, messages, notify, output, print_json
from torchtty.tui.cli.follow import describe, figures_so_far, speed

COLUMNS = ("recipe", "figure", "course", "ours", "difference", "verdict", "time")
LARGE = 1000  # from which a whole number is a count
STYLES = {Verdict.AGREES: "green", Verdict.NOT_HERE: "yellow", Verdict.NOT_JUDGED: "yellow"}


def reproduce(names: Sequence[str], *, everything: bool, quick: bool, json_wanted: bool) -> int:
    """Reproduce recipes; exit with 1 if a run failed or a figure differs."""
    if everything == bool(names):
        raise UsageError("Name the recipes to reproduce, or give --all. 'torchtty models' lists them.")
    recipes = list(shipped_recipes().values()) if everything else [recipe_named(name) for name in names]
    folder = runs_folder() / "reproductions" / time.strftime("%Y-%m-%d-%H%M%S")
    done: list[Reproduction] = []
    progress = messages().status("")  # shows nothing where there is no terminal

    def show(recipe: Recipe, number: int, count: int, status: Status) -> None:
        progress.update(Text(_progress(recipe, number, count, status), "dim"))
        progress.start()

    def finished(reproduction: Reproduction) -> None:
        progress.stop()
        done.append(reproduction)
        verdicts = {row.verdict.value for row in reproduction.rows}
        seconds = reproduction.rows[0].seconds
        notify(f"{reproduction.recipe.name}: {', '.join(sorted(verdicts))} after {seconds:.0f} s")

    interrupted = False
    try:
        Runner(folder, quick=quick, show=show).reproduce(recipes, finished)
    except (Interrupted, KeyboardInterrupt):
        interrupted = True
        progress.stop()
    if done:
        report = {"quick": quick, "recipes": [as_json(reproduction) for reproduction in done]}
        write_atomically(folder / "report.json", json.dumps(report, indent=1))
        write_atomically(folder / "report.md", markdown(done))
        if json_wanted:
            print_json(report)
        else:
            output().print(table(done))
            for note in _notes(done):
                output().print(Text(note, "dim"))
            notify(f"Written to {folder / 'report.md'} and report.json; the runs are beside them.")
    if interrupted:
        return Exit.INTERRUPTED
    failed = any(row.verdict.is_failure for reproduction in done for row in reproduction.rows)
    return Exit.FAILED if failed else Exit.DONE


def _progress(recipe: Recipe, number: int, count: int, status: Status) -> str:
    """Return on one line how far the run of a recipe is."""
    part = f"{number}/{count}" if count > 1 else ""
    steps = f"{status.step:,}/{status.max_steps:,}" if status.max_steps else ""
    figures = figures_so_far(status, family_of(recipe.family))
    return "  ".join(filter(None, (recipe.name, part, describe(status), steps, *figures, speed(status))))


# The table.


def cells(row: Row) -> tuple[str, ...]:
    """Write a row's cells as text."""
    return (
        row.recipe,
        row.about,
        _course(row),
        _ours(row),
        "" if row.difference is None else f"{row.difference:+.4f}",
        row.verdict.value,
        f"{row.seconds:.0f} s",
    )


def _course(row: Row) -> str:
    bound = "" if row.at_most is None else f"≤ {row.at_most:g}"
    if row.reference is None:
        return bound
    spread = f" ± {row.spread:g}" if row.spread and row.at_most is None else ""
    return f"{_number(row.reference, 'g')}{spread}" + (f" ({bound})" if bound else "")


def _ours(row: Row) -> str:
    if row.ours is None:
        return ""
    if row.runs == 1 or row.low is None or row.high is None:
        return _number(row.ours, ".4f")
    spread = "" if row.mean is None or row.sd is None else f", mean {row.mean:.4f}, sd {row.sd:.2g}"
    return f"{row.ours:.4f} ({row.low:.3f} to {row.high:.3f}, {row.runs} runs{spread})"


def _number(value: float, form: str) -> str:
    """Write a count in full, such as that of parameters, and a measured value in a form."""
    return f"{value:,.0f}" if abs(value) >= LARGE and float(value).is_integer() else f"{value:{form}}"


def table(reproductions: Sequence[Reproduction]) -> Table:
    """Build the table for a terminal."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        drawn.add_column(name, justify="right" if name in ("difference", "time") else "left", overflow="fold")
    for reproduction in reproductions:
        last = ""
        for row in reproduction.rows:
            texts = list(cells(row))
            if texts[0] == last:
                texts[0] = texts[-1] = ""
            last = row.recipe
            style = STYLES.get(row.verdict, "red")
            drawn.add_row(*[Text(text, style if index == 5 else "") for index, text in enumerate(texts)])
    return drawn


def _notes(reproductions: Sequence[Reproduction]) -> list[str]:
    """Return the lines below the table."""
    return [f"{one.recipe.name}: {printable_line(one.note)}" for one in reproductions if one.note]


def markdown(reproductions: Sequence[Reproduction]) -> str:
    """Write the table as Markdown."""
    rows = [[text.replace("|", "\\|") for text in cells(row)] for one in reproductions for row in one.rows]
    lines = [f"| {' | '.join(row)} |\n" for row in (COLUMNS, *rows)]
    lines.insert(1, "|" + "---|" * len(COLUMNS) + "\n")
    return "".join(lines) + "".join(f"\n- {note}" for note in _notes(reproductions))
