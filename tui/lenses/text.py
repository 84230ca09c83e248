"""Text in lenses: tokens and probabilities as they are written, tables whose columns line up, small histograms."""

import math
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.format import MISSING

BARS = " ▁▂▃▄▅▆▇█"
GAP = 2  # cells between two columns


def symbol(token: str) -> str:
    """Return a token on one line with its spaces to be seen: `␣the`, `⏎`."""
    return printable_line(token).replace(" ", "␣")


def matrix(rows: Sequence[Sequence[float | None]]) -> tuple[tuple[float, ...], ...]:
    """Return the values of a heat map; one that a result has as None, since it is no number, is NaN."""
    return tuple(tuple(math.nan if value is None else value for value in row) for row in rows)


def probability(value: float | None) -> str:
    """Write a probability in a few characters: `0.74`, `0.003`, `2e-5`; `–` for one that is none."""
    if value is None or math.isnan(value):
        return MISSING
    return f"{value:.2f}" if value >= 0.1 else f"{value:.1g}" if 0 < value < 1e-3 else f"{value:.2g}"


def about_text(result: dict[str, Any]) -> tuple[str, ...]:
    """Say what of a person's text was not read, for a heading."""
    parts = []
    if result.get("unknown"):
        parts.append(f" · not in the vocabulary: {printable_line(', '.join(result['unknown'][:8]))}")
    if result.get("left_out"):
        parts.append(f" · {result['left_out']:,} more tokens do not fit")
    return tuple(parts)


def table(titles: Sequence[str], rows: Sequence[Sequence[str | Text]], width: int, *, left: int = 1) -> Text:
    """Return rows below their titles, the first `left` columns to the left, as many columns as fit into a width."""
    cells = [[part if isinstance(part, Text) else Text(part) for part in row] for row in (titles, *rows)]
    widths = [max(cell_len(row[place].plain) for row in cells) for place in range(len(titles))]
    kept = len(widths)
    while kept > left and sum(widths[:kept]) + GAP * (kept - 1) > width:
        kept -= 1
    lines = []
    for number, row in enumerate(cells):
        line = Text(no_wrap=True)
        for place in range(kept):
            text = row[place].copy()
            text.align("left" if place < left else "right", widths[place])
            line.append(" " * GAP if place else "").append_text(text)
        if not number:
            line.stylize("bold")
        lines.append(line)
    return Text("\n", no_wrap=True).join(lines)


def bars(counts: Sequence[float]) -> str:
    """Return a histogram in one line, a character a bin."""
    most = max(counts, default=0) or 1
    return "".join(BARS[0 if not count else max(1, round(count / most * (len(BARS) - 1)))] for count in counts)
