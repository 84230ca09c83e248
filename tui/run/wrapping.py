"""Breaking text into lines of a width in cells, also while the text still grows."""

import re

from rich.cells import cell_len

from torchtty.engine.contract.printable import printable

TAB = "    "
MOST_PER_CELL = 4  # characters; more than that is a heap of combining marks, which no terminal shows well

_PIECE = re.compile(r"^\s+|\S+\s*")


class Wrapped:
    """Text as lines no wider than `width`; growing it costs as much as the text that is added."""

    def __init__(self, width: int) -> None:
        self.width = max(1, width)
        self.lines: list[str] = []
        self._open = ""  # the last line as it was written: it may still grow

    def append(self, text: str) -> None:
        """Add text; what would act on the terminal becomes a visible sign."""
        if not text:
            return
        safe = printable(text).replace("\t", TAB)
        if self.lines:
            self.lines.pop()
        for paragraph in (self._open + safe).split("\n"):
            rows = wrap(paragraph, self.width)
            self.lines.extend(row if cell_len(row) <= self.width else row.rstrip() for row in rows)
            self._open = rows[-1]


def wrap(paragraph: str, width: int) -> list[str]:
    """Break one paragraph at spaces, and inside words that are wider than a line; at least one line comes back.

    Spaces at a line's end stay there even where they hang over it.
    """
    rows: list[str] = []
    row, used = "", 0
    for piece in _PIECE.findall(paragraph):
        word = piece.rstrip() or piece[:width]
        if row and (used + cell_len(word) > width or len(row) + len(piece) > width * MOST_PER_CELL):
            rows.append(row)
            row, used = "", 0
        if cell_len(word) <= width and len(piece) <= width * MOST_PER_CELL:
            row, used = row + piece, used + cell_len(piece)
            continue
        for character in piece:
            size = cell_len(character)
            if (used + size > width and not character.isspace()) or len(row) >= width * MOST_PER_CELL:
                rows.append(row)
                row, used = "", 0
            row, used = row + character, used + size
    return [*rows, row]
