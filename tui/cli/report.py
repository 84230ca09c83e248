"""The table of a reproduction: for a terminal, and as Markdown."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.experiments.runner import Reproduction
from torchtty.engine.contract.experiments.verdict import Row, Verdict
from torchtty.engine.contract.printable import printable_line

COLUMNS = ("recipe", "figure", "course", "ours", "difference", "verdict", "time")
LARGE = 1000  # from which a whole number is a count
STYLES = {Verdict.AGREES: "green", Verdict.NOT_HERE: "yellow", Verdict.NOT_JUDGED: "yellow"}


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
    return f"{row.ours:.4f} ({row.low:.3f} to {row.high:.3f}, {row.runs} runs)"


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


def notes(reproductions: Sequence[Reproduction]) -> list[str]:
    """Return what is to be said below the table."""
    return [
        f"{reproduction.recipe.name}: {printable_line(reproduction.note)}"
        for reproduction in reproductions
        if reproduction.note
    ]


def markdown(reproductions: Sequence[Reproduction]) -> str:
    """Write the table as Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for reproduction in reproductions:
        lines += [
            "| " + " | ".join(text.replace("|", "\\|") for text in cells(row)) + " |" for row in reproduction.rows
        ]
    below = [f"\n- {note}" for note in notes(reproductions)]
    return "\n".join(lines) + "\n" + "".join(below)
