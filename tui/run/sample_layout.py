"""Samples as text: wrapped into lines whose pieces have roles, and written to a file. Nothing in them is read as markup."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.log import SampleRecord
from torchtty.engine.contract.settings.fields import show

NEW, SEEN = "●", "○"
GROWING = "·"
SHORT = 28  # cells: an item up to this wide is set in columns
COLUMN, WIDEST_COLUMN = 15, 22  # cells a column takes
MOST_COLUMNS = 5  # so that ten items make two full rows
UNLIMITED = {"top_k": 0, "top_p": 1.0}  # limits that limit nothing
TAB = "    "
MOST_PER_CELL = 4  # characters; more than that is a heap of combining marks, which no terminal shows well
FILE_NAME = "samples.txt"

_PIECE = re.compile(r"^\s+|\S+\s*")


class Piece(NamedTuple):
    """A run of text and its role: one of head, detail, text, new, seen, problem."""

    text: str
    role: str


Line = tuple[Piece, ...]


class SampleLayout:
    """The lines of one sample at one width. Text that grows is only broken where it is new."""

    record: SampleRecord
    note: str

    def __init__(self, width: int) -> None:
        self.width = max(8, width)
        self.lines: list[Line] = []
        self._wrapped: list[tuple[str, Wrapped]] = []

    def show(self, record: SampleRecord, note: str = "") -> None:
        """Lay out a record, or its grown successor; `note` says what it waits for."""
        self.record, self.note = record, note
        self.lines = [_heading(record, self.width)]
        if record.unknown:
            self._plain(f"Ignored (not in the vocabulary): {' '.join(map(_symbol, record.unknown))}", "detail")
        self.lines += _columns(record, self.width) if _are_items(record) else self._running(record)
        if record.failed:
            self._plain(record.failed, "problem")
        if note:
            self._plain(note, "detail")

    def _plain(self, text: str, role: str) -> None:
        self.lines += plain_lines(text, self.width, role)

    def _running(self, record: SampleRecord) -> list[Line]:
        several = len(record.texts) > 1
        indent = 3 if several else 0
        lines: list[Line] = []
        for index, text in enumerate(record.texts):
            rows = self._rows(index, text, self.width - indent)
            mark = _mark(record, index)
            for number, row in enumerate(rows):
                lead = (mark if number == 0 else Piece(" " * indent, "detail"),) if several else ()
                lines.append((*lead, Piece(row, "text")))
        return lines

    def _rows(self, index: int, text: str, width: int) -> list[str]:
        if index == len(self._wrapped):
            self._wrapped.append(("", Wrapped(width)))
        before, wrapped = self._wrapped[index]
        if wrapped.width != width or not text.startswith(before):
            before, wrapped = "", Wrapped(width)
        wrapped.append(text[len(before) :])
        self._wrapped[index] = (text, wrapped)
        return wrapped.lines


def plain_lines(text: str, width: int, role: str) -> list[Line]:
    """Break a message into lines of one role."""
    return [(Piece(row, role),) for row in wrap(printable_line(text), width)]


def _heading(record: SampleRecord, width: int) -> Line:
    head = f"step {record.step:,}"
    parts = []
    if record.prompt:
        parts.append(f"“{_shown(record.prompt)}”")
    settings = record.settings
    if not record.automatic or record.prompt:
        for name, label in (("temperature", "T"), ("top_k", "top-k"), ("top_p", "top-p"), ("seed", "seed")):
            if settings.get(name) is not None and settings[name] != UNLIMITED.get(name):
                parts.append(f"{label} {show(settings[name])}")
    if record.automatic and not record.prompt:
        parts.append("automatic")
    if record.cancelled:
        parts.append("cancelled")
    detail = _shortened("  " + "  ".join(parts), width - len(head)) if parts else ""
    return (Piece(head, "head"), Piece(detail, "detail"))


def _are_items(record: SampleRecord) -> bool:
    """Whether the texts are short enough to stand in columns, as names do."""
    many = len(record.texts) > 1 or bool(record.known)
    return many and all("\n" not in text and cell_len(text) <= SHORT for text in record.texts)


def _columns(record: SampleRecord, width: int) -> list[Line]:
    """Set items in columns that stand at the same places in every sample; a long item takes several of them."""
    columns = max(1, min(MOST_COLUMNS, width // COLUMN))
    column = min(width // columns, WIDEST_COLUMN)
    lines: list[Line] = []
    line: list[Piece] = []
    used = 0
    for index, text in enumerate(record.texts):
        shown = printable_line(text) or "(empty)"
        seen = index < len(record.known) and record.known[index]
        spanned = -(-(cell_len(shown) + 3) // column)  # a mark, a space, the text, and at least one space behind
        if line and used + spanned > columns:
            lines.append(tuple(line))
            line, used = [], 0
        room = max(0, spanned * column - 2 - cell_len(shown))
        line += [_mark(record, index), Piece(shown + " " * room, "detail" if seen or not text else "text")]
        used += spanned
    return [*lines, tuple(line)]


def _mark(record: SampleRecord, index: int) -> Piece:
    if index < len(record.known):
        return Piece(f"{SEEN} ", "seen") if record.known[index] else Piece(f"{NEW} ", "new")
    if _are_items(record):
        return Piece(f"{GROWING} ", "detail")
    return Piece(f"{index + 1:<2} ", "detail")


def _shown(text: str) -> str:
    return _shortened(printable_line(text), 40)


def _symbol(name: str) -> str:
    """Return the name of a symbol that the vocabulary lacks; workers put a single character in quotes."""
    return _shown(name[1:-1] if len(name) == 3 and name[0] == name[-1] == "'" else name)


def _shortened(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""


def plain_text(record: SampleRecord) -> str:
    """Return a sample as it is copied: its texts, safe to paste, one a paragraph."""
    return "\n".join(printable(text) for text in record.texts)


def write_samples(run: RunDirectory, newest_first: Iterable[SampleRecord]) -> str:
    """Write the samples that have a text, the oldest first; return a sentence that reports it, empty if there are none."""
    records = [record for record in newest_first if record.texts]
    if not records:
        return ""
    try:
        write_atomically(run.path / FILE_NAME, samples_text(reversed(records)))
    except OSError as error:
        return f"The samples could not be saved: {error.strerror or error}."
    return f"Saved {len(records)} samples to {run.path / FILE_NAME}."


def samples_text(oldest_first: Iterable[SampleRecord]) -> str:
    """Return all samples as a text, each below its step."""
    whole = (f"step {record.step}\n{plain_text(record)}" for record in oldest_first if record.texts)
    return "\n\n".join(whole) + "\n"


class Wrapped:
    """Text as lines no wider than `width`; growing it costs as much as the text that is added."""

    def __init__(self, width: int) -> None:
        self.width = max(1, width)
        self.lines: list[str] = []
        self._open = ""  # the last line as it was written: it may still grow

    def append(self, text: str) -> None:
        """Add text; what would act on the terminal becomes a visible sign."""
        if not text:
            return
        safe = printable(text).replace("\t", TAB)
        if self.lines:
            self.lines.pop()
        for paragraph in (self._open + safe).split("\n"):
            rows = wrap(paragraph, self.width)
            self.lines.extend(row if cell_len(row) <= self.width else row.rstrip() for row in rows)
            self._open = rows[-1]


def wrap(paragraph: str, width: int) -> list[str]:
    """Break one paragraph at spaces, and inside words that are wider than a line; at least one line comes back.

    Spaces at a line's end stay there even where they hang over it.
    """
    rows: list[str] = []
    row, used = "", 0
    for piece in _PIECE.findall(paragraph):
        word = piece.rstrip() or piece[:width]
        if row and (used + cell_len(word) > width or len(row) + len(piece) > width * MOST_PER_CELL):
            rows.append(row)
            row, used = "", 0
        if cell_len(word) <= width and len(piece) <= width * MOST_PER_CELL:
            row, used = row + piece, used + cell_len(piece)
            continue
        for character in piece:
            size = cell_len(character)
            if (used + size > width and not character.isspace()) or len(row) >= width * MOST_PER_CELL:
                rows.append(row)
                row, used = "", 0
            row, used = row + character, used + size
    return [*rows, row]
