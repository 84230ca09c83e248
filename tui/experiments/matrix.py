"""The matrix: a setting against another, with mean, spread and shade of the result in every cell."""

from dataclasses import dataclass
from itertools import product

from rich.cells import cell_len, set_cell_size
from rich.style import Style

from torchtty.engine.contract.experiments.results import BEST, At, Member, Results, short_name
from torchtty.engine.contract.experiments.statistics import Spread
from torchtty.engine.contract.experiments.summaries import (
    NOT_YET,
    end_of,
    members_with,
    moment,
    name_of,
    stabilised,
    title_of,
    unit,
)
from torchtty.engine.contract.experiments.tables import Cell, written
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.recipes import Reference
from torchtty.tui.charts.colours import Scale, cell_style, ink_on, scale_for
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.heat_map import EMPTY
from torchtty.tui.charts.style import ChartStyle, Line, Run
from torchtty.tui.experiments.choices import Choices

WIDEST, HIGHEST, NARROWEST = 28, 6, 8  # cells and lines of a cell
MOST_LABEL = 22
FORMS = 3  # in which a course's figure, and when curves have stabilised, can be said, ever shorter
IN_WORDS = 2  # of those of stabilised curves, which the line below needs not explain
STABLE = "s"  # for cells that have no room for the word


@dataclass(frozen=True)
class MatrixCell:
    """What the runs of a cell have come to."""

    members: tuple[Member, ...]
    spread: Spread
    course: tuple[str, ...] = ()  # the recipe's figure, ever shorter
    stable: tuple[
        str, ...
    ] = ()  # when its curves have stabilised, ever shorter; as many forms in every cell of a matrix

    @property
    def value(self) -> float:
        return self.spread.mean

    def texts(self, room: int | None = None, form: int = 0) -> tuple[str, ...]:
        """Return the value, and what stands below it, the most important first, in words that fit into so many cells.

        `form` is that in which it is said when the curves have stabilised; beyond the last it is not.
        """
        if not self.spread.n:
            none = "diverged" if self.spread.diverged else "failed" if self.spread.failed else "…"
            return (none if self.members else "",)
        spread = f"± {written(self.spread.sd)}" if self.spread.n > 1 else ""
        missing = f"{self.spread.n} of {self.spread.runs}" if self.spread.n < self.spread.runs else ""
        fitting = [
            next((text for text in texts if room is None or len(text) <= room), "")
            for texts in ((written(self.value),), (missing,), (spread,), self.course, self.stable[form : form + 1])
        ]
        return tuple(filter(None, fitting))

    def in_words(self, form: int = 0) -> str:
        """Return all that is known of it in a line, in its longest words or in shorter ones."""
        longest = self.texts()
        if not self.spread.n:
            return "".join(longest)
        known = longest[: len(longest) - bool(self.course) - bool(self.stable)]
        figures = [forms[min(form, len(forms) - 1)] for forms in (self.course, self.stable[:IN_WORDS]) if forms]
        return "  ".join((*known, *figures))


@dataclass(frozen=True)
class MatrixColumn:
    """A value of a setting, or a moment, or both: its name over the column, what it stands for, and the shades of its cells."""

    name: str
    about: str
    scale: Scale  # columns of one moment share theirs; the lowest value of a scale is starred


@dataclass(frozen=True)
class Matrix:
    """Cells by the values of two settings, or of one and moments; the lowest is starred, that of every moment."""

    cells: tuple[tuple[MatrixCell, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[MatrixColumn, ...]
    row_axis: str
    column_axis: str
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

    def reading(self, cursor: Cursor, width: int | None = None) -> str:
        """Say what is under the cursor, in shorter words where it would not fit into so many cells."""
        cell = self.at(cursor)
        if cell is None:
            return ""
        where = ", ".join(filter(None, (f"{self.row_axis} {self.rows[cursor[0]]}", self.columns[cursor[1]].about)))
        texts = [printable_line(f"{where}  {cell.in_words(form)}") for form in range(FORMS)]
        return next((text for text in texts if width is None or cell_len(text) <= width), texts[-1])

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
        lines: list[Line] = [((self.reading(cursor, width) if cursor else "", style.cursor),)]
        head = f"{self.row_axis} ↓"[:label].ljust(label)
        axis = f"{self.column_axis} →" if self.column_axis else ""
        part = f"  {left + 1} to {left + seen} of {len(self.columns)}" if seen < len(self.columns) else ""
        form = self._form(cell - 2)
        texts = [text for row in self.cells for one in row for text in one.texts(cell - 2)]
        note = "  (…) the course's" if any(text.startswith("(") for text in texts) else ""
        if form >= IN_WORDS and any(len(one.stable) > form for row in self.cells for one in row):
            note += f"  {STABLE} … stable from"
        lines.append(((head, style.axis), (axis + part + note, style.axis)))
        names = [printable_line(column.name) for column in self.columns]
        names = [set_cell_size(name, min(cell, cell_len(name))) for name in names]
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
        for row in range(top, top + shown):
            here = cursor is not None and cursor[0] == row
            stacks = [
                self._stack(self.cells[row][place], self.columns[place].scale.low, (high, cell, form), style)
                for place in range(left, left + seen)
            ]
            for line in range(high):
                name = printable_line(self.rows[row])[: label - 1] if line == (high - 1) // 2 else ""
                runs: list[Run] = [(name.rjust(label - 1) + " ", style.cursor if here else style.label)]
                for place, stack in enumerate(stacks, left):
                    scale, under = self.columns[place].scale, (row, place) == cursor
                    runs.append(self._cell(self.cells[row][place], scale, stack[line], cell, under, style))
                lines.append(tuple(runs))
        lines.append(self._legend(label, style))

        def found(x: int, y: int) -> Cursor | None:
            column, row = (x - label) // cell, (y - 3) // high
            return (top + row, left + column) if x >= label and 0 <= column < seen and 0 <= row < shown else None

        return Drawing(tuple(lines), found)

    def _form(self, room: int) -> int:
        """Return the longest form in which every cell has room to say when it has stabilised: all say it, or none does."""
        said = [cell.stable for row in self.cells for cell in row if cell.stable]
        forms = len(said[0]) if said else 0
        return next((form for form in range(forms) if all(len(one[form]) <= room for one in said)), forms)

    @staticmethod
    def _stack(one: MatrixCell, best: float, sizes: tuple[int, int, int], style: ChartStyle) -> list[str]:
        """Return the lines of a cell, as many of its texts as it has lines and as fit, in the middle.

        `sizes` are its lines, its cells, and the form in which it is said when it has stabilised.
        """
        high, cell, form = sizes
        texts = list(one.texts(cell - 2, form)[:high]) or [one.texts()[0][:cell]]
        if one.value == best and len(texts[0]) + 4 <= cell:
            texts[0] += " ★" if style.unicode else " *"
        above = (high - len(texts)) // 2
        return [""] * above + texts + [""] * (high - above - len(texts))

    @staticmethod
    def _cell(one: MatrixCell, scale: Scale, text: str, cell: int, here: bool, style: ChartStyle) -> Run:
        known = bool(one.spread.n)
        if here and text:
            text = f"▸{text}◂" if style.unicode else f">{text}<"
        if not style.colour:
            shade = scale.shade(one.value, unicode=style.unicode) if known else " "
            side = shade * max(0, (cell - len(text) - 2) // 2)
            return f"{side} {text} {side}".center(cell)[:cell], Style(reverse=here, bold=here)
        colour = scale.colour(one.value) if known else EMPTY
        return text.center(cell), Style(reverse=True, bold=True) if here else cell_style(ink_on(colour), colour)

    def _legend(self, label: int, style: ChartStyle) -> Line:
        scale, same = self.columns[0].scale, len({column.scale for column in self.columns}) == 1
        lowest, highest = (written(scale.low), written(scale.high)) if same else ("lowest", "highest")
        between = [scale.low + (scale.high - scale.low) * place / 11 for place in range(12)]
        if style.colour:
            bar = [(" ", cell_style(None, scale.colour(value))) for value in between]
        else:
            bar = [(scale.shade(value, unicode=style.unicode), Style()) for value in between]
        return (
            (" " * label + self.title + "  " + lowest + " ", style.axis),
            *bar,
            (f" {highest}{'' if same else ' of each'}", style.axis),
        )


def matrix_of(results: Results, choices: Choices) -> Matrix | str:
    """Return the matrix of a group, or why there is none."""
    if not choices.rows:
        return "The runs of this group differ in nothing."
    each = choices.columns_of_moments(results)
    moments: list[At] = [*each] or [choices.at]
    across = results.values(choices.columns) if choices.columns else (None,)
    places = list(product(across, moments))
    cells = tuple(
        tuple(_cell(results, choices, value, other, at) for other, at in places)
        for value in results.values(choices.rows)
    )
    scales = {
        at: scale_for([[one.value for one, place in zip(row, places, strict=True) if place[1] == at] for row in cells])
        for at in moments
    }
    axis = [short_name(choices.columns)] if choices.columns else []
    return Matrix(
        cells,
        tuple(map(show, results.values(choices.rows))),
        tuple(MatrixColumn(*_named(results, choices, other, at if each else None), scales[at]) for other, at in places),
        short_name(choices.rows),
        " · ".join([*axis, *([unit(results)] if each else [])]),
        title_of(results, choices.metric) + ("" if each else f", {name_of(results, choices.at)}"),
    )


def _named(results: Results, choices: Choices, other: object, at: At | None) -> tuple[str, str]:
    """Return what stands over a column, and what it is in full: of its value, and of its moment where columns differ in it."""
    names = [show(other)] if choices.columns else []
    about = [f"{short_name(choices.columns)} {show(other)}"] if choices.columns else []
    if at is not None and not isinstance(at, str):
        names.append(written(moment(results, at)))
        about.append(name_of(results, at))
    return " · ".join(names) or "result", ", ".join(about)


def _cell(results: Results, choices: Choices, value: object, other: object, at: At) -> MatrixCell:
    members = members_with(results, {choices.rows: value, **({choices.columns: other} if choices.columns else {})})
    until = None if isinstance(at, str) else at
    when = stabilised(results, members, until)
    figure = results.reference(members, choices.metric, end_of(results, members) if until is None else until)
    course = _course(figure) if figure is not None and at != BEST else ()
    spread = results.spread(members, choices.metric, at)
    return MatrixCell(tuple(members), spread, course, _stable(results, when))


def _stable(results: Results, when: Cell) -> tuple[str, ...]:
    """Say when curves have stabilised, ever shorter; nothing where they are too short to say."""
    if when is None:
        return ()
    if when == NOT_YET:
        yet = " yet" if results.status.state.is_live else ""
        return f"not stable{yet}", "not stable", f"{STABLE} –"
    text = written(when)
    return f"stable from {unit(results)} {text}", f"stable {text}", f"{STABLE} {text}"


def _course(figure: Reference) -> tuple[str, ...]:
    if figure.value is None:
        return f"course ≤ {figure.at_most:g}", f"(≤ {figure.at_most:g})"
    spread = [f"course {figure.value:g} ± {figure.spread:g}"] if figure.spread else []
    return *spread, f"course {figure.value:g}", f"({figure.value:g})"
