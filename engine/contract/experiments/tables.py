"""A table as values, and how it is written as Markdown, CSV, LaTeX and JSON."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.kinds import ExportKind, checked_target, new_file
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.snapshot import Action

Cell = str | float | int | None

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "±": r"$\pm$",
    "−": "$-$",
    "·": r"$\cdot$",
    "≤": r"$\le$",
    "Δ": r"$\Delta$",
    "–": "--",
    "×": r"$\times$",
    "²": "$^2$",
}
_FORMULA = "=+-@\t\r"  # with which a text begins that a spreadsheet would compute


@dataclass(frozen=True)
class Table:
    """Rows of values under headings. A row of `quiet`, by its place, stands behind the others, such as the course's figures."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    quiet: frozenset[int] = frozenset()

    def texts(self) -> list[list[str]]:
        """Return the rows as text, safe to show."""
        return [[printable_line(written(cell)) for cell in row] for row in self.rows]


def written(cell: Cell) -> str:
    """Write a value: counts in full, a measured value with four significant digits or places, whichever are fewer."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    if not math.isfinite(cell):
        return "–" if math.isnan(cell) else ("∞" if cell > 0 else "−∞")
    size = abs(cell)
    text = f"{cell:,.0f}" if size >= 1000 else f"{cell:.{_places(size)}f}"
    if size and size < 0.001:
        mantissa, _, exponent = f"{cell:.1e}".partition("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def _places(size: float) -> int:
    return 1 if size >= 100 else 2 if size >= 10 else 4 if size < 1 else 3


def markdown(tables: Sequence[Table]) -> str:
    """Write tables as Markdown."""
    parts = []
    for table in tables:
        rows = [[_md(text) for text in row] for row in table.texts()]
        head = [_md(printable_line(heading)) for heading in table.headings]
        lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
        lines.insert(1, "|" + "---|" * len(head))
        notes = [f"- {printable_line(note)}" for note in table.notes]
        title = [f"**{_md(printable_line(table.title))}**", ""] if table.title else []
        parts.append("\n".join([*title, *lines, *(["", *notes] if notes else [])]))
    return "\n\n".join(parts) + "\n"


def _md(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`").replace("*", "\\*")


def comma_separated(tables: Sequence[Table]) -> str:
    """Write tables as CSV with every digit, one after the other with an empty line between them; notes are left out.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for number, table in enumerate(tables):
        if number:
            stream.write("\n")
        writer.writerow([_inert(heading) for heading in table.headings])
        writer.writerows([_value(cell) for cell in row] for row in table.rows)
    return stream.getvalue()


def _value(cell: Cell) -> str | float | int:
    if cell is None:
        return ""
    return _inert(cell) if isinstance(cell, str) else cell


def _inert(text: str) -> str:
    safe = printable_line(text)
    return f"'{safe}" if safe[:1] and safe[0] in _FORMULA else safe


def latex(tables: Sequence[Table]) -> str:
    """Write tables as LaTeX with the rules of the package booktabs."""
    parts = []
    for table in tables:
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(table.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.headings) - 1)}}}",
            r"\toprule",
            " & ".join(_tex(heading) for heading in table.headings) + r" \\",
            r"\midrule",
            *(" & ".join(_tex(text) for text in row) + r" \\" for row in table.texts()),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        parts.append("\n".join([*lines, *(f"% {printable_line(note)}" for note in table.notes)]))
    return "\n\n".join(parts) + "\n"


def _tex(text: str) -> str:
    return re.sub(".", lambda sign: _LATEX.get(sign.group(), sign.group()), printable_line(text))


def as_json(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Return tables as JSON values."""
    found: list[dict[str, Any]] = []
    for table in tables:
        about: Mapping[str, Any] = {"title": table.title, "headings": list(table.headings)}
        found.append({**about, "rows": [list(row) for row in table.rows], "notes": list(table.notes)})
    return found


FORMATS = {"md": markdown, "csv": comma_separated, "latex": latex}
"""How tables are written, by the name of the format."""

SUFFIXES = {
    ".md": markdown,
    ".csv": comma_separated,
    ".tex": latex,
    ".json": lambda tables: json.dumps(as_json(tables)),
}
"""How tables are written to a file, by the ending of its name."""
_KIND = ExportKind("a file of tables", "results of a group", Action.EXPORT_METRICS, tuple(SUFFIXES), is_text=True)


def write_tables(tables: Sequence[Table], target: str) -> Path:
    """Write tables to a new file whose ending says how; return its path. Raises `UserError`, and replaces nothing."""
    if not _KIND.names_file(target):
        raise UserError(f"The ending says how: {', '.join(SUFFIXES)} for Markdown, CSV, LaTeX or JSON.")
    path = checked_target(target, _KIND)
    with new_file(path) as file:
        file.write(SUFFIXES[path.suffix.lower()](tables).encode())
    return path
