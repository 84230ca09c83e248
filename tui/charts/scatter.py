"""A scatter plot of labelled points: the labels are the markers, the cursor goes from point to point."""

import math
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.style import PALETTE, ChartStyle, Line
from torchtty.tui.format import number

NATURAL_HEIGHT = 28  # lines where nothing bounds them
CELL_RATIO = 2.1  # how much higher a cell is than wide
SIDES = 2  # lines that are no plot: the reading and the axes


@dataclass(frozen=True)
class Scatter:
    """Points (x, y) with a label each. `read` is what the reading says of a point behind its label; `near` names its neighbours.

    `ways` are earlier places of each point, the oldest first, drawn for the one under the cursor.
    """

    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...]
    read: tuple[str, ...] = ()
    near: tuple[tuple[int, ...], ...] = ()
    ways: tuple[tuple[tuple[float, float], ...], ...] = ()
    x_axis: str = ""
    y_axis: str = ""
    groups: tuple[int, ...] = ()

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        """Go to the nearest point in a direction; by more than one line to the next in order, so that each can be reached."""
        if not self.points:
            return None
        if cursor is None:
            return 0, 0
        at = min(cursor[0], len(self.points) - 1)
        if not right and not down:
            return at, 0
        if abs(down) > 1:
            return (at + (1 if down > 0 else -1)) % len(self.points), 0
        x, y = self.points[at]
        best, least = at, math.inf
        for place, (other_x, other_y) in enumerate(self.points):
            along = (other_x - x) * (right > 0) - (other_x - x) * (right < 0)
            along += (y - other_y) * (down > 0) - (y - other_y) * (down < 0)
            aside = abs(other_y - y) if right else abs(other_x - x)
            if place != at and along > 0 and (distance := along + 2 * aside) < least:
                best, least = place, distance
        return best, 0

    def reading(self, cursor: Cursor) -> str:
        at = cursor[0]
        x, y = self.points[at]
        more = f"  {self.read[at]}" if self.read else ""
        return f"{self.labels[at]}  ({number(x)}, {number(y)}){more}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        if not self.points:
            return Drawing((((" nothing to show", style.label),),))
        plot = _Plot.of(self, width, (height or NATURAL_HEIGHT) - SIDES)
        cells: dict[tuple[int, int], tuple[str, Style, int]] = {}
        at = cursor[0] if cursor is not None and cursor[0] < len(self.points) else None
        near = set(self.near[at]) if at is not None and self.near else set()
        order = sorted(range(len(self.points)), key=lambda place: (place == at, place in near))
        if at is not None and self.ways:
            for earlier in self.ways[at]:
                _put(cells, plot.cell(earlier), "·" if style.unicode else ".", style.cursor, -1)
        for place in order:
            colour = PALETTE[self.groups[place] % len(PALETTE)] if self.groups else PALETTE[1]
            dress = style.curve(colour)
            if place == at:
                dress = Style(bold=True, reverse=True)
            elif place in near:
                dress = dress + Style(bold=True, underline=True)
            _put(cells, plot.cell(self.points[place]), printable_line(self.labels[place]), dress, place)
        lines: list[Line] = [self._head(cursor, width, style)]
        for y in range(plot.height):
            lines.append(_line(cells, y, width))
        lines.append(((f"{number(plot.left)} … {number(plot.right)}  {self.x_axis} →", style.axis),))
        owners = {spot: owner for spot, (_, _, owner) in cells.items() if owner >= 0}

        def found(x: int, y: int) -> Cursor | None:
            near_by = [
                (abs(dx) + 2 * abs(dy), owners.get((x + dx, y - 1 + dy))) for dx in (-1, 0, 1) for dy in (-1, 0, 1)
            ]
            hits = [(distance, owner) for distance, owner in near_by if owner is not None]
            return (min(hits)[1], 0) if hits else None

        return Drawing(tuple(lines), found)

    def _head(self, cursor: Cursor | None, width: int, style: ChartStyle) -> Line:
        reading = printable_line(self.reading(cursor)) if cursor is not None else ""
        axis = f"{self.y_axis} ↑" if self.y_axis else ""
        if len(reading) + len(axis) + 2 > width:
            axis = ""
        return (
            (reading, style.cursor),
            (" " * max(1, width - len(reading) - len(axis)), style.axis),
            (axis, style.axis),
        )


@dataclass(frozen=True)
class _Plot:
    """Where points come to stand: one unit is equally long both ways, as far as cells allow."""

    left: float
    right: float
    top: float
    bottom: float
    width: int
    height: int

    @classmethod
    def of(cls, shown: Scatter, width: int, height: int) -> "_Plot":
        places = [*shown.points, *(place for way in shown.ways for place in way)]
        known = [(x, y) for x, y in places if math.isfinite(x) and math.isfinite(y)] or [(0.0, 0.0)]
        low_x, high_x = min(x for x, _ in known), max(x for x, _ in known)
        low_y, high_y = min(y for _, y in known), max(y for _, y in known)
        longest = max(cell_len(printable_line(label)) for label in shown.labels)
        columns, rows = max(2, width - longest), max(2, height)
        unit = max((high_x - low_x) / (columns - 1), (high_y - low_y) / ((rows - 1) * CELL_RATIO), 1e-12)
        unit_x = min(unit * 2, max((high_x - low_x) / (columns - 1), 1e-12)) if high_x > low_x else unit
        unit_y = (high_y - low_y) / (rows - 1) if high_y > low_y else unit * CELL_RATIO
        middle_x, middle_y = (low_x + high_x) / 2, (low_y + high_y) / 2
        half_x, half_y = unit_x * (columns - 1) / 2, unit_y * (rows - 1) / 2
        return cls(middle_x - half_x, middle_x + half_x, middle_y + half_y, middle_y - half_y, columns, rows)

    def cell(self, place: tuple[float, float]) -> tuple[int, int]:
        x, y = place
        if not (math.isfinite(x) and math.isfinite(y)):
            return 0, 0
        column = round((x - self.left) / (self.right - self.left) * (self.width - 1))
        row = round((self.top - y) / (self.top - self.bottom) * (self.height - 1))
        return min(max(column, 0), self.width - 1), min(max(row, 0), self.height - 1)


def _put(
    cells: dict[tuple[int, int], tuple[str, Style, int]], spot: tuple[int, int], text: str, style: Style, owner: int
) -> None:
    x, y = spot
    if cell_len(text) != len(text):
        text = "?"
    for place, character in enumerate(text):
        cells[x + place, y] = (character, style, owner)


def _line(cells: dict[tuple[int, int], tuple[str, Style, int]], y: int, width: int) -> Line:
    parts: list[tuple[str, Style]] = []
    blank = Style()
    for x in range(width):
        character, style, _ = cells.get((x, y), (" ", blank, -1))
        if parts and parts[-1][1] == style:
            parts[-1] = (parts[-1][0] + character, style)
        else:
            parts.append((character, style))
    return tuple(parts)
