"""Which cells of a line have to be painted again."""

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.charts.legend import Line


def strip(line: Line) -> Strip:
    """Return a line as Textual shows it."""
    return Strip([Segment(text, style) for text, style in line])


def changed_columns(old: Line, new: Line) -> tuple[int, int]:
    """Return the first column that differs between two lines of the same width, and the one after the last."""
    one, other = _cells(old), _cells(new)
    if len(one) != len(other):
        return 0, max(len(one), len(other))
    differing = [column for column, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return (differing[0], differing[-1] + 1) if differing else (0, 0)


def _cells(line: Line) -> list[tuple[str, Style]]:
    """Spread a line over its cells; a wide character takes two."""
    cells: list[tuple[str, Style]] = []
    for text, style in line:
        for character in text:
            cells.extend([(character, style)] * Segment(character).cell_length)
    return cells
