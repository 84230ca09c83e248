"""Which cells of a line have to be painted again."""

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.charts.legend import Line

BLANK = Style.null()


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


STYLE_BYTES = 42
"""Bytes that switch a foreground and a background of 24-bit colour on and off."""


def painted_bytes(line: Line, stop: int) -> int:
    """Return about how many bytes it takes to paint a line up to a column.

    Textual crops what it repaints on the right only: a change at the end of a line costs the whole line.
    """
    size, column = 0, 0
    for text, _ in line:
        if column >= stop:
            break
        size += STYLE_BYTES + len(text[: stop - column].encode())
        column += cell_len(text)
    return size


def _cells(line: Line) -> list[tuple[str, Style]]:
    """Spread a line over its cells; a wide character takes two, and blanks are alike: no style here has a background."""
    cells: list[tuple[str, Style]] = []
    for text, style in line:
        if text.isascii() or cell_len(text) == len(text):
            cells.extend([(character, BLANK if character == " " else style) for character in text])
        else:
            for character in text:
                cells.extend([(character, style)] * cell_len(character))
    return cells
