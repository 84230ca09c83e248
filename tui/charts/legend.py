"""The first line of a frame: the title and the current values, as many as fit."""

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.style import Style

Run = tuple[str, Style]
Line = tuple[Run, ...]

SPACE = 2
"""Cells between two entries."""


def printable(text: str) -> str:
    """Return text without control characters: titles may come from files."""
    return "".join(character if character.isprintable() else " " for character in text)


def legend(title: Run, entries: Iterable[Line], width: int) -> Line:
    """Lay out the title and the entries, exactly `width` cells wide; the first that does not fit ends the line."""
    name, style = title
    name = printable(name)
    if cell_len(name) > width:
        return ((set_cell_size(name, width), style),)
    runs: list[Run] = [(name, style)] if name else []
    used = cell_len(name)
    for number, entry in enumerate(entries):
        gap = (SPACE if number else SPACE + 1) if used else 0
        size = sum(cell_len(text) for text, _ in entry)
        if used + gap + size > width:
            break
        if gap:
            runs.append((" " * gap, Style.null()))
        runs.extend(entry)
        used += gap + size
    if used < width:
        runs.append((" " * (width - used), Style.null()))
    return tuple(runs)
