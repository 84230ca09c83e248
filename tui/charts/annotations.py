"""What is written and drawn around the curves: references, marks, findings, what was cut off, and the cursor."""

from dataclasses import dataclass

from rich.cells import cell_len

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import PlotArea
from torchtty.tui.charts.canvas import BLANK, Cells
from torchtty.tui.charts.curve import Curve
from torchtty.tui.charts.spec import ChartSpec, Mark, Reference
from torchtty.tui.format import number

MARK_ROWS = 3  # the upper rows in which marks are labelled
REFERENCE, MARK, CURSOR, FINDING = 1, 2, 3, 4  # the numbers of their styles
Label = tuple[int, int, str]  # row, column, text


@dataclass
class Annotations:
    """Draws around the curves of a frame where no curve is.

    Labels are placed before any line is drawn, so that the cursor and the marks displace none of them.
    """

    spec: ChartSpec
    area: PlotArea
    cells: Cells

    def draw(self, curves: list[Curve], cut: float | None, curve_style: dict[int, int]) -> None:
        """Draw all of them; `curve_style` has the number of the style of each curve, by its index."""
        spec, area, cells = self.spec, self.area, self.cells
        labels = self._cut(curves, cut, curve_style) if cut is not None else []
        inside, above, below = self._sorted_references()
        rows = {reference: area.row(area.y.fraction(spec.unit.of(reference.value))) for reference in inside}
        for place in (
            *(self._label(row, reference.title) for reference, row in rows.items()),
            self._outside(above, 0, "↑"),
            self._outside(below, area.height - 1, "↓"),
        ):
            if place is not None:
                cells.write(*place, REFERENCE)
                labels.append(place)
        places = [(mark, spec.x_fraction(mark.step, area)) for mark in spec.marks]
        marks = [(mark, area.column(at)) for mark, at in places if 0 <= at <= 1]
        mark_labels = []
        for mark, column in marks:
            if mark_label := self._mark_label(column, mark):
                cells.write(*mark_label, MARK)
                mark_labels.append(mark_label)
        for _, column in marks:
            cells.line(range(area.height), (column,), "┊", MARK)
        self._draw_bands()
        if spec.cursor is not None and (column_of_cursor := self._cursor_column(spec.cursor)) is not None:
            cells.line(range(area.height), (column_of_cursor,), "│", CURSOR)
        for row in rows.values():
            cells.line((row,), range(area.left, area.left + area.width), "┈", REFERENCE)
        for label in mark_labels:  # again, for the blanks in them, through which lines were drawn
            cells.write(*label, MARK)
        for label in labels:  # again, for the blanks beside them
            cells.write(*label, REFERENCE)

    def _sorted_references(self) -> tuple[list[Reference], list[Reference], list[Reference]]:
        """Return the references on the axis, those above it and those below."""
        y, unit = self.area.y, self.spec.unit
        inside: list[Reference] = []
        above: list[Reference] = []
        below: list[Reference] = []
        for reference in self.spec.references:
            value = unit.of(reference.value)
            (above if value > y.high else below if value < y.low else inside).append(reference)
        return inside, above, below

    def _outside(self, references: list[Reference], row: int, arrow: str) -> Label | None:
        """Name the references beyond the axis at its end, as many as there is room for."""
        names = [printable_line(reference.title) for reference in references]
        for count in range(len(names), 0, -1):
            text = f" {arrow} {' · '.join(names[:count])}"
            right = self.area.left + self.area.width - cell_len(text)
            if place := self._place(row, right, text):
                return place
        return None

    def _cut(self, curves: list[Curve], cut: float, curve_style: dict[int, int]) -> list[Label]:
        """Mark in the first row where curves were cut, and beside that, if there is room, the largest value that they reach."""
        area, last = self.area, -1
        for curve in curves:
            for point in curve.points:
                if point.y > area.y.high and 0 <= (at := area.x.fraction(point.x)) <= 1:
                    column = area.column(at)
                    self.cells.write(0, column, "▲", curve_style[curve.index])
                    last = max(last, column)
        text = f" up to {number(cut)} "
        places = range(last + 1, last + 4) if last >= 0 else ()  # the curve itself may stand in the first
        labels = [(0, column, text) for column in places if self._is_free(0, column, text)][:1]
        for label in labels:
            self.cells.write(*label, REFERENCE)
        return labels

    def _mark_label(self, column: int, mark: Mark) -> Label | None:
        """Return where to write what a mark says, at its right or left, or in short; None without room."""
        for title in map(printable_line, (mark.title, mark.short)):
            for row in range(min(MARK_ROWS, self.area.height)) if title else ():
                for start in (column + 1, column - len(title)):
                    if start >= self.area.left and self._is_free(row, start, title):
                        return row, start, title
        return None

    def _draw_bands(self) -> None:
        """Draw where something is wrong: a line down at its first step, and a bar along the bottom up to its last."""
        area, cells = self.area, self.cells
        for band in self.spec.bands:
            first, last = (self.spec.x_fraction(step, area) for step in (band.first, band.last))
            if not 0 <= first <= 1:
                continue
            begin = area.column(first)
            title = printable_line(band.title)
            for row in range(min(MARK_ROWS, area.height)):  # further down where the title of a mark stands in the first
                if title and self._is_free(row, begin + 1, title):
                    cells.write(row, begin + 1, title, FINDING)
                    break
            end = max(begin + 1, area.column(min(max(last, first), 1.0)))
            cells.line((area.height - 1,), range(begin, end), "▁", FINDING)
            cells.line(range(area.height), (begin,), "╎", FINDING)

    def _label(self, row: int, title: str) -> Label | None:
        """Return where to write a reference's label: at the right end, at the left, or anywhere between; None without room."""
        text = f" {printable_line(title)}"
        return self._place(row, self.area.left + self.area.width - cell_len(text), text)

    def _place(self, row: int, right: int, text: str) -> Label | None:
        left = self.area.left + 1
        if self._is_free(row, right, text):
            return row, right, text
        if self._is_free(row, left, text):
            return row, left, f"{text[1:]} "
        between = (column for column in range(right - 1, left, -1) if self._is_free(row, column, f"{text} "))
        return next(((row, column, f"{text} ") for column in between), None)

    def _cursor_column(self, step: float) -> int | None:
        at = self.spec.x_fraction(step, self.area)
        return self.area.column(at) if 0 <= at <= 1 else None

    def label_cursor(self, step: float) -> None:
        """Write the cursor's step on the x axis, in place of the tick labels there."""
        row, text = len(self.cells.characters) - 1, f" step {step:,.0f} "
        characters, middle = self.cells.characters[row], self._cursor_column(step)
        if middle is None:
            return
        start = min(middle - len(text) // 2, len(characters) - len(text))
        if (start := max(start, 0)) + len(text) > len(characters):
            return
        left, right = start, start + len(text)
        while left > 0 and characters[left - 1] != BLANK:
            left -= 1
        while right < len(characters) and characters[right] != BLANK:
            right += 1
        self.cells.write(row, left, BLANK * (start - left) + text + BLANK * (right - start - len(text)), CURSOR)

    def _is_free(self, row: int, column: int, text: str) -> bool:
        """Return whether there is room for text; text with wide characters appears in the legend only."""
        return cell_len(text) == len(text) and self.cells.free(row, column, len(text))
