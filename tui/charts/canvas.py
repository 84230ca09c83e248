"""The only adapter to plotext, which rasterises curves into braille and other markers and draws the axis frame.

Ticks, limits, decimation, labels and the legend are torchtty's own. A canvas is used for one frame: plotext's
module-level figure is shared by the whole process and grows with every frame.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any

BLANK = " "
FIRST_COLOUR = 16
"""A style is passed through plotext as a number of the 256-colour palette, above the 16 that plotext itself uses."""

_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def dots(marker: str) -> tuple[int, int]:
    """Return the columns and rows of dots in a marker's cell: 2 x 4 for braille, one for every other marker."""
    return (2, 4) if marker == "braille" else (1, 1)


@dataclass
class Cells:
    """Rows of characters, each with the number of its style (-1: none)."""

    characters: list[list[str]] = field(default_factory=list)
    styles: list[list[int]] = field(default_factory=list)

    def free(self, row: int, column: int, width: int) -> bool:
        """Return whether a stretch of a row exists and is blank."""
        if not (0 <= row < len(self.characters) and column >= 0 and column + width <= len(self.characters[row])):
            return False
        return all(character == BLANK for character in self.characters[row][column : column + width])

    def write(self, row: int, column: int, text: str, style: int) -> None:
        """Write text of one cell a character."""
        self.characters[row][column : column + len(text)] = text
        self.styles[row][column : column + len(text)] = [style] * len(text)

    def line(self, rows: Iterable[int], columns: Iterable[int], character: str, style: int) -> None:
        """Draw a line over the blank cells in a row or a column."""
        for row, column in product(rows, columns):
            if self.characters[row][column] == BLANK:
                self.characters[row][column], self.styles[row][column] = character, style

    def underlay(self, other: "Cells", top: int, left: int) -> None:
        """Copy other cells to where these are blank."""
        for row, (characters, styles) in enumerate(zip(other.characters, other.styles, strict=True), start=top):
            mine, mine_styles = self.characters[row], self.styles[row]
            for column, character in enumerate(characters, start=left):
                if character != BLANK and mine[column] == BLANK:
                    mine[column] = character
                    mine_styles[column] = styles[column - left]


@cache
def _terminal() -> Any:
    """Return a terminal for plotext whose only purpose is not to limit a figure's size."""
    import plotext

    return type(plotext.terminal)().limit(False, False)


class Canvas:
    """A new plotext figure of width x height cells, without axes until `draw_axes`.

    Positions are fractions: 0 is the left and the low border of the plot area, 1 the right and the high one.
    """

    def __init__(self, width: int, height: int) -> None:
        import plotext  # imported late: it takes 0.2 to 0.4 s

        self._plotext: Any = plotext
        self._figure: Any = type(plotext.figure)(parent=_terminal())
        self._figure.plot_size(width, height)
        self._figure.canvas("default")
        self._figure.axes(False)
        self.width, self.height = width, height
        for name in ("x", "y"):
            self._figure.ruler(name).frequency(0).lim(0.0, 1.0).alignment(lim="edge")

    def draw_axes(
        self, x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]], gutter: int, style: int
    ) -> None:
        """Draw axes to the left and below with ticks (fraction, label): they take `gutter` + 1 columns and 2 rows."""
        self.width, self.height = self.width - gutter - 1, self.height - 2
        figure = self._figure
        figure.axes(True, pixel=FIRST_COLOUR + style, axis=[0, 1], side=0)
        figure.ruler(["x", "y"]).pixel(FIRST_COLOUR + style)
        # plotext reserves no room for an axis without ticks: a blank label fixes the plot area.
        x_ticks, y_ticks = list(x) or [(0.0, BLANK)], list(y) or [(0.0, BLANK)]
        x_labels, y_labels = [text for _, text in x_ticks], [text.rjust(gutter) for _, text in y_ticks]
        figure.ruler("x").ticks([self._middle(at, self.width) for at, _ in x_ticks], labels=x_labels)
        figure.ruler("y").ticks([self._middle(at, self.height) for at, _ in y_ticks], labels=y_labels)
        for name in ("x", "y"):
            figure.ruler(name).lim(0.0, 1.0)

    @staticmethod
    def _middle(fraction: float, cells: int) -> float:
        """Return the middle of the cell that a fraction lies in, so that labels at the borders stay inside."""
        return (min(max(int(fraction * cells), 0), cells - 1) + 0.5) / cells

    def curve(self, points: Iterable[tuple[float, float, bool]], marker: str, style: int) -> None:
        """Draw points (x fraction, y fraction, whether a line leads to it); points outside are moved to the border.

        plotext's own `signal(xs, ys)` copies the marker and reads it back for each point, which doubles the time.
        """
        dots_across, dots_down = dots(marker)
        columns, rows = self.width * dots_across, self.height * dots_down
        places = list(points)
        # plotext's kernel aborts the process when more points are appended than allocated, so all are allocated. It also
        # aborts now and then with lines of density "full": "simple" ones it counts exactly.
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
        """Rasterise everything; the canvas must not be used afterwards."""
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
