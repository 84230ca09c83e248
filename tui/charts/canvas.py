"""plotext as a canvas: dots, lines and a frame go in, rows of characters with the number of their style come out.

Everything that touches plotext is here. A canvas is used once: plotext's own figure is shared by the whole process and
grows.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

BLANK = " "
FIRST_COLOUR = 16
"""Styles travel through plotext as colours of the 256-colour palette, beyond the 16 that plotext itself uses."""

_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


@dataclass(frozen=True)
class Grid:
    """How many dots a cell holds: 2 x 4 for braille, one for every other marker."""

    columns: int
    rows: int

    @classmethod
    def of(cls, marker: str) -> "Grid":
        """Return the grid of a marker."""
        return cls(2, 4) if marker == "braille" else cls(1, 1)


@dataclass
class Cells:
    """Rows of characters and, beside each, the number of its style (-1: none)."""

    characters: list[list[str]] = field(default_factory=list)
    styles: list[list[int]] = field(default_factory=list)

    def free(self, row: int, column: int, width: int, over: str = BLANK) -> bool:
        """Say whether a stretch of a row holds nothing but the characters of `over`."""
        if not (0 <= row < len(self.characters) and column >= 0 and column + width <= len(self.characters[row])):
            return False
        return all(character in over for character in self.characters[row][column : column + width])

    def write(self, row: int, column: int, text: str, style: int) -> None:
        """Write text of one cell a character."""
        self.characters[row][column : column + len(text)] = text
        self.styles[row][column : column + len(text)] = [style] * len(text)

    def line_across(self, row: int, left: int, width: int, character: str, style: int) -> None:
        """Draw a horizontal line beneath what is there."""
        characters, styles = self.characters[row], self.styles[row]
        for column in range(left, left + width):
            if characters[column] == BLANK:
                characters[column], styles[column] = character, style

    def line_down(self, column: int, top: int, height: int, character: str, style: int, over: str = BLANK) -> None:
        """Draw a vertical line beneath everything but the characters of `over`."""
        for row in range(top, top + height):
            if self.characters[row][column] in over:
                self.characters[row][column], self.styles[row][column] = character, style

    def underlay(self, other: "Cells", top: int, left: int) -> None:
        """Show another picture wherever this one is blank."""
        for row, (characters, styles) in enumerate(zip(other.characters, other.styles, strict=True), start=top):
            mine, mine_styles = self.characters[row], self.styles[row]
            for column, character in enumerate(characters, start=left):
                if character != BLANK and mine[column] == BLANK:
                    mine[column] = character
                    mine_styles[column] = styles[column - left]


@cache
def _terminal() -> Any:
    """Return what plotext takes for the terminal: a figure asks it for nothing but whether its size is limited."""
    import plotext

    return type(plotext.terminal)().limit(False, False)


class Canvas:
    """A fresh plotext figure of width x height cells; without ticks it is a bare field.

    Positions are fractions: 0 is the left and the low border of the field, 1 the right and the high one.
    """

    def __init__(self, width: int, height: int) -> None:
        import plotext  # imported late: it takes 0.4 s

        self._plotext: Any = plotext
        self._figure: Any = type(plotext.figure)(parent=_terminal())
        self._figure.plot_size(width, height)
        self._figure.canvas("default")
        self._figure.axes(False)
        self.width, self.height = width, height
        for name in ("x", "y"):
            self._figure.ruler(name).frequency(0).lim(0.0, 1.0).alignment(lim="edge")

    def frame(self, x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]], gutter: int, style: int) -> None:
        """Draw axes to the left and below with ticks (fraction, label): they take `gutter` + 1 columns and 2 rows."""
        self.width, self.height = self.width - gutter - 1, self.height - 2
        figure = self._figure
        figure.axes(True, pixel=FIRST_COLOUR + style, axis=[0, 1], side=0)
        figure.ruler(["x", "y"]).pixel(FIRST_COLOUR + style)
        # An axis without ticks would have no room of its own: a blank label keeps the field where it is.
        x_ticks, y_ticks = list(x) or [(0.0, BLANK)], list(y) or [(0.0, BLANK)]
        figure.ruler("x").ticks(
            [self._middle(at, self.width) for at, _ in x_ticks], labels=[text for _, text in x_ticks]
        )
        figure.ruler("y").ticks(
            [self._middle(at, self.height) for at, _ in y_ticks], labels=[text.rjust(gutter) for _, text in y_ticks]
        )
        for name in ("x", "y"):
            figure.ruler(name).lim(0.0, 1.0)

    @staticmethod
    def _middle(fraction: float, cells: int) -> float:
        """Return the middle of the cell that a fraction lies in, so that the borders' labels stay inside."""
        return (min(max(int(fraction * cells), 0), cells - 1) + 0.5) / cells

    def curve(self, points: Iterable[tuple[float, float, bool]], marker: str, style: int) -> None:
        """Draw points (x fraction, y fraction, whether a line leads to it); what lies outside is moved to the border.

        plotext's own `signal(xs, ys)` copies the marker and reads it back for each point: twice the time of the drawing.
        """
        grid = Grid.of(marker)
        columns, rows = self.width * grid.columns, self.height * grid.rows
        places = list(points)
        # The kernel aborts the process when more points are appended than there is room for, so room is made for all of
        # them. It also aborts now and then with lines of density "full": "simple" ones it counts exactly.
        signal = type(self._figure.signal([], []))(len(places))
        symbol = self._plotext.marker(marker, pixel=FIRST_COLOUR + style)
        append, connect = signal._append_point, signal._set_connected
        count, before = 0, (-1, -1)
        for x, y, connected in places:
            column, row = int(x * columns), int(y * rows)
            column = 0 if column < 0 else columns - 1 if column >= columns else column
            row = 0 if row < 0 else rows - 1 if row >= rows else row
            if (column, row) == before and connected:
                continue
            before = (column, row)
            append((column + 0.5) / columns, (row + 0.5) / rows, symbol)
            if connected:
                connect(count, True)
            count += 1
        if count:
            self._figure._signals._signal.append(signal)

    def cells(self) -> Cells:
        """Draw everything; the canvas is spent afterwards."""
        cells = Cells()
        for line in self._figure.build().string().split("\n")[: self._figure.size()[1]]:
            characters: list[str] = []
            styles: list[int] = []
            parts = _ESCAPE.split(line)
            style = -1
            for text, code in zip(parts[::2], [*parts[1::2], ""], strict=True):
                if text:
                    characters.extend(text)
                    styles.extend([style] * len(text))
                if code == "0":
                    style = -1
                elif code.startswith("38;5;"):
                    style = int(code[5:]) - FIRST_COLOUR
            cells.characters.append(characters)
            cells.styles.append(styles)
        return cells
