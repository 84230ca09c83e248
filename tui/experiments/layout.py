"""How a table of results is laid out in cells, in the app and on the command line alike."""

from collections.abc import Sequence

from torchtty.engine.contract.experiments.tables import Table
from torchtty.engine.contract.printable import printable_line

GAP = 2  # cells between columns


def heading_lines(heading: str) -> list[str]:
    """Put the parts of a heading below each other."""
    return printable_line(heading).replace(", ", " · ").split(" · ")


def widths_of(table: Table, texts: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column has to be."""
    return [
        max(map(len, (*heading_lines(table.headings[place]), *(row[place] for row in texts))))
        for place in range(len(table.headings))
    ]


def is_text(table: Table, place: int) -> bool:
    """Whether a column stands to the left."""
    return place == 0 or all(isinstance(row[place], str) for row in table.rows)


def slices(widths: Sequence[int], width: int) -> list[list[int]]:
    """Cut columns that are too wide for a screen into several parts of about as many, each with the first of them."""
    parts = _cut(widths, width, len(widths))
    evenly = _cut(widths, width, -(-(len(widths) - 1) // len(parts)))
    return evenly if len(evenly) == len(parts) else parts


def _cut(widths: Sequence[int], width: int, most: int) -> list[list[int]]:
    found, taken = [[0]], widths[0] + GAP
    for place, needed in enumerate(widths[1:], 1):
        if (taken + needed > width and len(found[-1]) > 1) or len(found[-1]) > most:
            found.append([0])
            taken = widths[0] + GAP
        found[-1].append(place)
        taken += needed + GAP
    return found
