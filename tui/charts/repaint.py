"""Which cells to repaint when a frame replaces another."""

from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from torchtty.tui.charts.frame import Frame
from torchtty.tui.charts.style import Line

BLANK = Style.null()


@dataclass(frozen=True)
class Change:
    """The regions in which two frames differ (None: everywhere), and about how many bytes it takes to paint them."""

    regions: list[Region] | None
    size: int


class Painting:
    """The lines on display as strips; only lines that differ from the frame before are converted."""

    def __init__(self) -> None:
        self._lines: tuple[Line, ...] = ()
        self._strips: list[Strip] = []

    def line(self, y: int) -> Strip | None:
        """Return a line, None below the last."""
        return self._strips[y] if y < len(self._strips) else None

    def replace(self, frame: Frame) -> Change:
        """Replace the frame on display; return what has to be painted."""
        before, self._lines = self._lines, tuple(frame.lines)
        if len(before) != len(self._lines):
            self._strips = [strip(line) for line in self._lines]
            return Change(None, sum(painted_bytes(line, frame.width) for line in self._lines))
        regions, size = [], 0
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self._strips[y] = strip(new)
                first, last = changed_columns(old, new)
                if last > first:
                    regions.append(Region(first, y, last - first, 1))
                    size += painted_bytes(new, last)
        return Change(regions, size)


def strip(line: Line) -> Strip:
    """Convert a line for Textual."""
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
    """List the cells of a line; a wide character has two, and blanks have no style, since no style here has a background."""
    cells: list[tuple[str, Style]] = []
    for text, style in line:
        if text.isascii() or cell_len(text) == len(text):
            cells.extend([(character, BLANK if character == " " else style) for character in text])
        else:
            for character in text:
                cells.extend([(character, style)] * cell_len(character))
    return cells
