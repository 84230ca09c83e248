"""A curve over another number than steps, such as the loss over the learning rate, with a cursor that reads its points."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.style import PALETTE, ChartStyle, Line
from torchtty.tui.format import number

NATURAL_HEIGHT = 16
Points = tuple[tuple[float, float], ...]
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell, by line and column
LABEL = 8  # cells of the y axis


@dataclass(frozen=True)
class LinePlot:
    """Points (x, y) in order of x, faint `raw` ones beneath, and vertical lines at `marks`, each a place and a name.

    `read` words a point; `label` writes a place on the x axis, as many of the `ticks` as there is room for, or of five places.
    """

    points: Points
    raw: Points = ()
    marks: tuple[tuple[float, str], ...] = ()
    x_axis: str = ""
    y_axis: str = ""
    read: Callable[[int], str] | None = None
    label: Callable[[float], str] = number
    ticks: tuple[float, ...] = ()

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:  # noqa: ARG002
        if not self.points:
            return None
        return min(max((cursor[0] if cursor is not None else 0) + right, 0), len(self.points) - 1), 0

    def reading(self, cursor: Cursor) -> str:
        x, y = self.points[cursor[0]]
        return self.read(cursor[0]) if self.read is not None else f"{self.label(x)}  {number(y)}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        if not self.points:
            return Drawing(((("nothing to show", style.label),),))
        columns, rows = max(2, width - LABEL - 1), max(2, (height or NATURAL_HEIGHT) - 3)
        heights = [y for _, y in self.points if math.isfinite(y)]
        low, high = min(heights), max(heights)
        left, right = self.points[0][0], self.points[-1][0]
        area = _Area(left, right if right > left else left + 1, low, high if high > low else low + 1, columns, rows)
        cells: dict[tuple[int, int], tuple[str, Style]] = {}
        for x, _ in self.marks:
            for row in range(rows):
                cells[area.column(x), row] = ("┊" if style.unicode else "|", style.mark)
        if style.unicode:
            area.dots(cells, self.raw, style.raw(PALETTE[0]), joined=False)
            area.dots(cells, self.points, style.curve(PALETTE[0]), joined=True)
        else:
            area.stars(cells, self.points, style.curve(PALETTE[0]))
        for number_of_mark, (x, name) in enumerate(self.marks):
            at, shown = area.column(x), printable_line(name)[:columns]
            begin = at + 1 if at + 1 + len(shown) <= columns else max(0, at - len(shown))
            for place, character in enumerate(shown):
                cells[begin + place, min(number_of_mark, rows - 1)] = (character, style.mark)
        if cursor is not None:
            x, y = self.points[cursor[0]]
            cells[area.column(x), area.row(y)] = ("●" if style.unicode else "@", style.cursor)
        lines: list[Line] = [self._head(cursor, width, style)]
        for row in range(rows):
            value = high - (high - low) * row / max(1, rows - 1)
            label = number(value) if row in (0, rows // 2, rows - 1) else ""
            edge = "┤" if style.unicode else "|"
            lines.append(((f"{label:>{LABEL}}{edge}", style.axis), *_cells(cells, row, columns)))
        lines.append(self._x_labels(area, style))
        lines.append((((" " * LABEL) + f" {self.x_axis}", style.axis),))

        def found(x: int, _y: int) -> Cursor | None:
            if not LABEL < x <= LABEL + columns:
                return None
            return min(
                range(len(self.points)), key=lambda at: abs(area.column(self.points[at][0]) - (x - LABEL - 1))
            ), 0

        return Drawing(tuple(lines), found)

    def _head(self, cursor: Cursor | None, width: int, style: ChartStyle) -> Line:
        reading = printable_line(self.reading(cursor)) if cursor is not None else ""
        axis = self.y_axis if len(reading) + len(self.y_axis) + 2 <= width else ""
        return (f"{axis:<{LABEL}} ", style.axis), (reading, style.cursor)

    def _x_labels(self, area: "_Area", style: ChartStyle) -> Line:
        cells = [" "] * area.columns
        even = tuple(area.left + (area.right - area.left) * place / 4 for place in range(5))
        for x in self.ticks or even:
            text = self.label(x)
            start = min(max(0, area.column(x) - len(text) // 2), area.columns - len(text))
            if start >= 0 and all(cells[at] == " " for at in range(max(0, start - 1), start + len(text))):
                cells[start : start + len(text)] = text
        return ((" " * (LABEL + 1) + "".join(cells), style.axis),)


@dataclass(frozen=True)
class _Area:
    left: float
    right: float
    low: float
    high: float
    columns: int
    rows: int

    def column(self, x: float, parts: int = 1) -> int:
        share = (x - self.left) / (self.right - self.left)
        return min(max(round(share * (self.columns * parts - 1)), 0), self.columns * parts - 1)

    def row(self, y: float, parts: int = 1) -> int:
        share = (self.high - y) / (self.high - self.low)
        return min(max(round(share * (self.rows * parts - 1)), 0), self.rows * parts - 1)

    def dots(
        self,
        cells: dict[tuple[int, int], tuple[str, Style]],
        points: Points,
        style: Style,
        *,
        joined: bool,
    ) -> None:
        """Draw points as dots of braille, two across and four down a cell; those outside are left out."""
        found: dict[tuple[int, int], int] = {}
        before: tuple[int, int] | None = None
        for x, y in points:
            if not math.isfinite(y) or not (self.low <= y <= self.high):
                before = None
                continue
            here = self.column(x, 2), self.row(y, 4)
            for dot in _between(before, here) if joined and before is not None else [here]:
                spot = dot[0] // 2, dot[1] // 4
                found[spot] = found.get(spot, 0) | DOTS[dot[1] % 4][dot[0] % 2]
            before = here
        for spot, bits in found.items():
            cells[spot] = (chr(0x2800 + bits), style)

    def stars(self, cells: dict[tuple[int, int], tuple[str, Style]], points: Points, style: Style) -> None:
        for x, y in points:
            if math.isfinite(y):
                cells[self.column(x), self.row(y)] = ("*", style)


def _between(one: tuple[int, int], other: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the dots of a straight line, its end included."""
    count = max(abs(other[0] - one[0]), abs(other[1] - one[1]), 1)
    return [
        (round(one[0] + (other[0] - one[0]) * at / count), round(one[1] + (other[1] - one[1]) * at / count))
        for at in range(1, count + 1)
    ]


def _cells(cells: dict[tuple[int, int], tuple[str, Style]], row: int, columns: int) -> Line:
    blank = (" ", Style())
    return tuple(cells.get((column, row), blank) for column in range(columns))
