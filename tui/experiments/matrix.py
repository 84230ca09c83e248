"""The matrix: a setting against another, with mean, spread and shade of the result in every cell."""

import math
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.style import Style

from torchtty.engine.contract.experiments.results import BEST, Member, Results, short_name
from torchtty.engine.contract.experiments.statistics import Spread
from torchtty.engine.contract.experiments.summaries import members_with, moment, stabilised, unit
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.recipes import Reference
from torchtty.tui.charts.colours import Scale, cell_style, ink_on, scale_for
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.heat_map import EMPTY
from torchtty.tui.charts.style import ChartStyle, Line, Run
from torchtty.tui.experiments.choices import NONE, Choices

WIDEST, HIGHEST, NARROWEST = 28, 6, 8  # cells and lines of a cell
MOST_LABEL = 22


@dataclass(frozen=True)
class MatrixCell:
    """What the runs of a cell have come to."""

    members: tuple[Member, ...]
    spread: Spread
    about: tuple[str, ...] = ()  # the recipe's figure, and when its curves have stabilised

    @property
    def value(self) -> float:
        return self.spread.mean

    def texts(self) -> tuple[str, ...]:
        """Return the value, and what stands below it where there is room, the most important first."""
        if not self.spread.n:
            none = "diverged" if self.spread.diverged else "failed" if self.spread.failed else "…"
            return (none if self.members else "",)
        spread = f"± {written(self.spread.sd)}" if self.spread.n > 1 else ""
        missing = f"{self.spread.n} of {self.spread.runs}" if self.spread.n < self.spread.runs else ""
        return tuple(filter(None, (written(self.value), missing, spread, *self.about)))


@dataclass(frozen=True)
class Matrix:
    """Cells by the values of two settings; the lowest is starred."""

    cells: tuple[tuple[MatrixCell, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    row_axis: str
    column_axis: str
    scale: Scale
    title: str

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        if not self.rows or not self.columns:
            return None
        row, column = (0, 0) if cursor is None else (cursor[0] + down, cursor[1] + right)
        return min(max(row, 0), len(self.rows) - 1), min(max(column, 0), len(self.columns) - 1)

    def at(self, cursor: Cursor | None) -> MatrixCell | None:
        """Return the cell under the cursor."""
        if cursor is None or cursor[0] >= len(self.rows) or cursor[1] >= len(self.columns):
            return None
        return self.cells[cursor[0]][cursor[1]]

    def reading(self, cursor: Cursor) -> str:
        cell = self.at(cursor)
        if cell is None:
            return ""
        where = f"{self.row_axis} {self.rows[cursor[0]]}" + (
            f", {self.column_axis} {self.columns[cursor[1]]}" if self.column_axis else ""
        )
        return f"{where}  {'  '.join(cell.texts())}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        longest = max((cell_len(printable_line(name)) for name in self.rows), default=1)
        label = min(max(longest, len(self.row_axis) + 2), MOST_LABEL) + 1
        cell = max(NARROWEST, min(WIDEST, (width - label) // max(1, len(self.columns))))
        seen = max(1, min(len(self.columns), (width - label) // cell))
        left = min(max(0, (cursor[1] if cursor else 0) - seen // 2), len(self.columns) - seen)
        room = max(1, (height or 40) - 4)
        high = max(1, min(HIGHEST, room // max(1, len(self.rows))))
        shown = max(1, min(len(self.rows), room // high))
        top = min(max(0, (cursor[0] if cursor else 0) - shown // 2), len(self.rows) - shown)
        lines: list[Line] = [((printable_line(self.reading(cursor)) if cursor else "", style.cursor),)]
        head = f"{self.row_axis} ↓"[:label].ljust(label)
        axis = f"{self.column_axis} →" if self.column_axis else ""
        part = f"  {left + 1} to {left + seen} of {len(self.columns)}" if seen < len(self.columns) else ""
        lines.append(((head, style.axis), (axis + part, style.axis)))
        names = [
            set_cell_size(printable_line(name), min(cell, cell_len(printable_line(name)))) for name in self.columns
        ]
        chosen = cursor[1] if cursor else -1
        lines.append(
            (
                (" " * label, style.axis),
                *(
                    (names[place].center(cell), style.cursor if place == chosen else style.label)
                    for place in range(left, left + seen)
                ),
            )
        )
        best = min((one.value for row in self.cells for one in row if one.spread.n), default=math.nan)
        for row in range(top, top + shown):
            here = cursor is not None and cursor[0] == row
            stacks = [
                self._stack(self.cells[row][place], best, high, cell, style) for place in range(left, left + seen)
            ]
            for line in range(high):
                name = printable_line(self.rows[row])[: label - 1] if line == (high - 1) // 2 else ""
                runs: list[Run] = [(name.rjust(label - 1) + " ", style.cursor if here else style.label)]
                for place, stack in enumerate(stacks, left):
                    runs.append(self._cell(self.cells[row][place], stack[line], cell, (row, place) == cursor, style))
                lines.append(tuple(runs))
        lines.append(self._legend(label, style))

        def found(x: int, y: int) -> Cursor | None:
            column, row = (x - label) // cell, (y - 3) // high
            return (top + row, left + column) if x >= label and 0 <= column < seen and 0 <= row < shown else None

        return Drawing(tuple(lines), found)

    def _stack(self, one: MatrixCell, best: float, high: int, cell: int, style: ChartStyle) -> list[str]:
        """Return the lines of a cell, as many of its texts as it has lines and as fit, in the middle."""
        texts = [text for text in one.texts() if len(text) <= cell - 2][:high] or [one.texts()[0][:cell]]
        if one.value == best and len(texts[0]) + 4 <= cell:
            texts[0] += " ★" if style.unicode else " *"
        above = (high - len(texts)) // 2
        return [""] * above + texts + [""] * (high - above - len(texts))

    def _cell(self, one: MatrixCell, text: str, cell: int, here: bool, style: ChartStyle) -> Run:
        known = bool(one.spread.n)
        if here and text:
            text = f"▸{text}◂" if style.unicode else f">{text}<"
        if not style.colour:
            shade = self.scale.shade(one.value, unicode=style.unicode) if known else " "
            side = shade * max(0, (cell - len(text) - 2) // 2)
            return f"{side} {text} {side}".center(cell)[:cell], Style(reverse=here, bold=here)
        colour = self.scale.colour(one.value) if known else EMPTY
        return text.center(cell), Style(reverse=True, bold=True) if here else cell_style(ink_on(colour), colour)

    def _legend(self, label: int, style: ChartStyle) -> Line:
        low, high = self.scale.low, self.scale.high
        between = [low + (high - low) * place / 11 for place in range(12)]
        if style.colour:
            bar = [(" ", cell_style(None, self.scale.colour(value))) for value in between]
        else:
            bar = [(self.scale.shade(value, unicode=style.unicode), Style()) for value in between]
        return (
            (" " * label + self.title + "  " + written(low) + " ", style.axis),
            *bar,
            (f" {written(high)}", style.axis),
        )


def matrix_of(results: Results, choices: Choices) -> Matrix | str:
    """Return the matrix of a group, or why there is none."""
    if not choices.rows:
        return "The runs of this group differ in nothing."
    values = results.values(choices.rows)
    across = results.values(choices.columns) if choices.columns else (None,)
    cells = tuple(tuple(_cell(results, choices, value, other) for other in across) for value in values)
    scale = scale_for([[one.value for one in row] for row in cells])
    at = choices.at if isinstance(choices.at, str) else f"{unit(results)} {written(moment(results, choices.at))}"
    names = tuple(show(other) for other in across) if choices.columns else ("result",)
    return Matrix(
        cells,
        tuple(map(show, values)),
        names,
        short_name(choices.rows),
        short_name(choices.columns) if choices.columns else NONE,
        scale,
        f"{choices.metric}, {at}",
    )


def _cell(results: Results, choices: Choices, value: object, other: object) -> MatrixCell:
    members = members_with(results, {choices.rows: value, **({choices.columns: other} if choices.columns else {})})
    until = None if isinstance(choices.at, str) else choices.at
    when = stabilised(results, members, until)
    figure = results.reference(members, choices.metric, results.last_step if until is None else until)
    about = [_course(figure) if figure is not None and choices.at != BEST else ""]
    if when is not None:
        about.append(
            f"stable from {unit(results)} {written(when)}" if isinstance(when, int | float) else f"stable: {when}"
        )
    spread = results.spread(members, choices.metric, choices.at)
    return MatrixCell(tuple(members), spread, tuple(filter(None, about)))


def _course(figure: Reference) -> str:
    if figure.value is None:
        return f"course ≤ {figure.at_most:g}"
    return f"course {figure.value:g}" + (f" ± {figure.spread:g}" if figure.spread else "")
