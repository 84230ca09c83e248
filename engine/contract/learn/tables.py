"""Tables whose every number knows where it comes from, and the operations that make one from others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Value = float | str
Values = tuple[tuple[Value, ...], ...]
EPSILON = 1e-5  # what layer normalisation adds to the variance, as torch does


@dataclass(frozen=True)
class Source:
    """Cells of a table that a number comes from."""

    table: "Table"
    rows: range
    columns: range

    def holds(self, row: int, column: int) -> bool:
        """Whether a cell is one of them."""
        return row in self.rows and column in self.columns


@dataclass(frozen=True)
class Trace:
    """How a number was computed: a sentence, the numbers that went into it in aligned columns, and their sources.

    `footers` are lines of the same columns that sum the others up; the last one holds the number itself.
    """

    sentence: str
    header: tuple[str, ...] = ()
    lines: tuple[tuple[Value, ...], ...] = ()
    footers: tuple[tuple[Value, ...], ...] = ()
    sources: tuple[Source, ...] = ()


Explain = Callable[["Table", int, int], Trace]


def _given(_table: "Table", _row: int, _column: int) -> Trace:
    return Trace("A weight: it is drawn at the start, and training is what changes it.")


@dataclass(frozen=True, eq=False)
class Table:
    """A matrix with named rows and columns. `key` finds its title and sentence; a `group` is a part of a step."""

    key: str
    symbol: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Values
    explain: Explain = _given
    group: str = ""

    def __post_init__(self) -> None:
        assert len(self.rows) == len(self.values), self.key
        assert all(len(line) == len(self.columns) for line in self.values), self.key

    def trace(self, row: int, column: int) -> Trace:
        """Say where a cell comes from."""
        return self.explain(self, row, column)

    def number(self, row: int, column: int) -> float:
        """Return a cell that is a number."""
        value = self.values[row][column]
        assert not isinstance(value, str), self.key
        return value

    def line(self, row: int) -> list[float]:
        """Return a row of numbers."""
        return [self.number(row, column) for column in range(len(self.columns))]

    def column(self, column: int) -> list[float]:
        """Return a column of numbers."""
        return [self.number(row, column) for row in range(len(self.rows))]

    def of_row(self, row: int) -> Source:
        """Return a whole row as a source."""
        return Source(self, range(row, row + 1), range(len(self.columns)))

    def of_column(self, column: int) -> Source:
        """Return a whole column as a source."""
        return Source(self, range(len(self.rows)), range(column, column + 1))

    def of_cell(self, row: int, column: int) -> Source:
        """Return one cell as a source."""
        return Source(self, range(row, row + 1), range(column, column + 1))


def numbered(count: int) -> tuple[str, ...]:
    """Name rows or columns by number, from 1."""
    return tuple(str(number) for number in range(1, count + 1))


def looked_up(
    key: str, symbol: str, embedding: Table, ids: Sequence[int], rows: Sequence[str], group: str = ""
) -> Table:
    """Return the rows of an embedding table that token ids name."""

    def explain(_: Table, row: int, column: int) -> Trace:
        says = f"Copied from row {ids[row]} of {embedding.symbol}, since {ids[row]} is the id of “{rows[row]}”."
        return Trace(says, sources=(embedding.of_cell(ids[row], column),))

    return Table(key, symbol, tuple(rows), embedding.columns, tuple(embedding.values[i] for i in ids), explain, group)


def product(key: str, symbol: str, left: Table, right: Table, group: str = "", *, bias: Table | None = None) -> Table:
    """Return the matrix product of two tables, and a bias (one row) added to each row."""
    values = []
    columns = [right.column(j) for j in range(len(right.columns))]
    for i in range(len(left.rows)):
        line = left.line(i)
        sums = [sum(a * b for a, b in zip(line, column, strict=True)) for column in columns]
        values.append(tuple(s + bias.number(0, j) for j, s in enumerate(sums)) if bias else tuple(sums))

    def explain(table: Table, row: int, column: int) -> Trace:
        pairs = list(zip(left.line(row), right.column(column), strict=True))
        lines = tuple((name, a, b, a * b) for name, (a, b) in zip(left.columns, pairs, strict=True))
        footers: tuple[tuple[Value, ...], ...] = ()
        sources: tuple[Source, ...] = (left.of_row(row), right.of_column(column))
        if bias is not None:
            footers = (("", "", bias.symbol, bias.number(0, column)),)
            sources = (*sources, bias.of_cell(0, column))
        says = (
            f"Row “{left.rows[row]}” of {left.symbol} times column “{right.columns[column]}” of {right.symbol}, summed"
        )
        says += f", plus the bias {bias.symbol}." if bias else "."
        header = ("", left.symbol, right.symbol, "product")
        return Trace(says, header, lines, (*footers, ("", "", "sum", table.number(row, column))), sources)

    return Table(key, symbol, left.rows, right.columns, tuple(values), explain, group)


def dot_products(key: str, symbol: str, queries: Table, keys: Table, group: str = "") -> Table:
    """Return the dot product of every row of one table with every row of another: Q Kᵀ."""
    values = tuple(
        tuple(sum(a * b for a, b in zip(queries.line(i), keys.line(j), strict=True)) for j in range(len(keys.rows)))
        for i in range(len(queries.rows))
    )

    def explain(table: Table, row: int, column: int) -> Trace:
        pairs = zip(queries.columns, queries.line(row), keys.line(column), strict=True)
        lines = tuple((name, a, b, a * b) for name, a, b in pairs)
        says = f"The query of “{queries.rows[row]}” times the key of “{keys.rows[column]}”: large where they point the same way."
        footers = (("", "", "sum", table.number(row, column)),)
        sources = (queries.of_row(row), keys.of_row(column))
        return Trace(says, ("", queries.symbol, keys.symbol, "product"), lines, footers, sources)

    return Table(key, symbol, queries.rows, keys.rows, values, explain, group)


def sum_of(key: str, symbol: str, one: Table, two: Table, group: str = "") -> Table:
    """Return the sum of two tables of one shape, cell by cell."""
    values = tuple(tuple(a + b for a, b in zip(one.line(i), two.line(i), strict=True)) for i in range(len(one.rows)))

    def explain(table: Table, row: int, column: int) -> Trace:
        lines = ((one.symbol, one.number(row, column)), (two.symbol, two.number(row, column)))
        says = f"The same cell of {one.symbol} and of {two.symbol}, added."
        sources = (one.of_cell(row, column), two.of_cell(row, column))
        return Trace(says, (), lines, (("sum", table.number(row, column)),), sources)

    return Table(key, symbol, one.rows, one.columns, values, explain, group)


def divided(key: str, symbol: str, table: Table, by: float, why: str, group: str = "") -> Table:
    """Return a table with every number divided; `why` names the divisor, such as `√d_k = √4`."""
    values = tuple(tuple(value / by for value in table.line(i)) for i in range(len(table.rows)))

    def explain(own: Table, row: int, column: int) -> Trace:
        lines = ((table.symbol, table.number(row, column)), (f"÷ {why}", by))
        says = f"The score divided by {why}."
        return Trace(says, (), lines, (("", own.number(row, column)),), (table.of_cell(row, column),))

    return Table(key, symbol, table.rows, table.columns, values, explain, group)


def masked(
    key: str, symbol: str, table: Table, forbidden: Callable[[int, int], bool], filling: float, group: str = ""
) -> Table:
    """Return a table in which forbidden cells hold another number, minus infinity where it is done right."""
    values = tuple(
        tuple(filling if forbidden(i, j) else value for j, value in enumerate(table.line(i)))
        for i in range(len(table.rows))
    )

    def explain(own: Table, row: int, column: int) -> Trace:
        if not forbidden(row, column):
            return Trace("Allowed: the score stays as it is.", sources=(table.of_cell(row, column),))
        shown = "−∞, which the softmax turns into exactly 0" if filling == -math.inf else f"{filling:g}"
        says = f"Forbidden: “{own.rows[row]}” must not see “{own.columns[column]}”. The score becomes {shown}."
        return Trace(says, sources=(table.of_cell(row, column),))

    return Table(key, symbol, table.rows, table.columns, values, explain, group)


def softmax(key: str, symbol: str, scores: Table, group: str = "") -> Table:
    """Return the softmax of every row. The largest score is subtracted first, so that nothing overflows."""
    values = []
    for i in range(len(scores.rows)):
        line = scores.line(i)
        top = max(line)
        powers = [math.exp(value - top) for value in line]
        total = sum(powers)
        values.append(tuple(power / total for power in powers))

    def explain(table: Table, row: int, column: int) -> Trace:
        line = scores.line(row)
        top = max(line)
        powers = [math.exp(value - top) for value in line]
        lines = tuple(zip(scores.columns, line, powers, table.line(row), strict=True))
        says = (
            f"e to the power of each score of row “{scores.rows[row]}” (less the largest, {top:.4g}, which changes no share), "
            "divided by their sum."
        )
        footers = (
            ("sum", "", sum(powers), sum(table.line(row))),
            (table.columns[column], "", "", table.number(row, column)),
        )
        header = ("", "score", "e^", "share")
        return Trace(says, header, lines, footers, (scores.of_row(row),))

    return Table(key, symbol, scores.rows, scores.columns, tuple(values), explain, group)


def rectified(key: str, symbol: str, table: Table, group: str = "") -> Table:
    """Return a table with negative numbers set to zero: ReLU."""
    values = tuple(tuple(max(0.0, value) for value in table.line(i)) for i in range(len(table.rows)))

    def explain(_: Table, row: int, column: int) -> Trace:
        value = table.number(row, column)
        says = (
            "Above zero: it stays." if value > 0 else "Below zero: it becomes 0, and this unit is silent for this word."
        )
        return Trace(
            says, (), ((table.symbol, value),), (("max(0, ·)", max(0.0, value)),), (table.of_cell(row, column),)
        )

    return Table(key, symbol, table.rows, table.columns, values, explain, group)


def side_by_side(key: str, symbol: str, parts: Sequence[Table], group: str = "") -> Table:
    """Return tables of the same rows as one: the heads of an attention."""
    places = [(part, column) for part in parts for column in range(len(part.columns))]
    values = tuple(tuple(part.number(i, column) for part, column in places) for i in range(len(parts[0].rows)))
    names = tuple(f"{part.symbol}.{part.columns[column]}" for part, column in places)

    def explain(_: Table, row: int, column: int) -> Trace:
        part, own = places[column]
        says = f"Copied from {part.symbol}, column {part.columns[own]}: the heads stand side by side."
        return Trace(says, sources=(part.of_cell(row, own),))

    return Table(key, symbol, parts[0].rows, names, values, explain, group)


@dataclass(frozen=True)
class Normalisation:
    """The tables of a layer normalisation: mean and variance of each row, and the normalised rows."""

    statistics: Table
    normalised: Table


def normalised(
    keys: tuple[str, str], symbol: str, table: Table, group: str = "", *, of_samples: bool = False
) -> Normalisation:
    """Return (x - mean) / sqrt(variance + epsilon) of each row (Ba, Kiros & Hinton, 2016), gain 1 and offset 0.

    The variance is that of the numbers there are (divided by n). `of_samples` is the common slip: the sample's standard deviation
    (n - 1) plus epsilon.
    """
    rows = range(len(table.rows))
    means = [sum(table.line(i)) / len(table.columns) for i in rows]
    squares = [sum((value - means[i]) ** 2 for value in table.line(i)) for i in rows]
    count = len(table.columns) - of_samples
    variances = [total / count for total in squares]
    spreads = [math.sqrt(v) + EPSILON if of_samples else math.sqrt(v + EPSILON) for v in variances]

    def explain_statistic(_: Table, row: int, column: int) -> Trace:
        line, mean = table.line(row), means[row]
        header = ("", table.symbol, "− mean", "squared")
        lines = tuple((name, x, x - mean, (x - mean) ** 2) for name, x in zip(table.columns, line, strict=True))
        total: tuple[Value, ...] = ("sum", sum(line), "", squares[row])
        how = f"÷ {count}" if column else f"÷ {len(line)}"
        last: tuple[Value, ...] = (how, means[row], "", "") if column == 0 else (how, "", "", variances[row])
        says = ("The mean of the row.", "The mean of the squared distances from the mean.", "")[column]
        footers: tuple[tuple[Value, ...], ...] = (total, last)
        if column == 2:
            says = "The sample's standard deviation, plus ε." if of_samples else "The square root of variance + ε."
            footers = (total, last, ("spread", "", "", spreads[row]))
        return Trace(says, header, lines, footers, (table.of_row(row),))

    columns = ("mean", "variance", "spread")
    lines = tuple(zip(means, variances, spreads, strict=True))
    statistics = Table(keys[0], f"stats {symbol}", table.rows, columns, lines, explain_statistic, group)
    values = tuple(tuple((value - means[i]) / spreads[i] for value in table.line(i)) for i in rows)

    def explain(own: Table, row: int, column: int) -> Trace:
        lines = (
            (table.symbol, table.number(row, column)),
            ("− mean", means[row]),
            ("÷ spread", spreads[row]),
        )
        says = "Its distance from the row's mean, in units of the row's spread."
        sources = (table.of_cell(row, column), statistics.of_row(row))
        return Trace(says, (), lines, (("", own.number(row, column)),), sources)

    return Normalisation(statistics, Table(keys[1], symbol, table.rows, table.columns, values, explain, group))
