"""Corpora: reading a text file, and telling a list of items from running text."""

import codecs
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torchtty.engine.contract.errors import UserError

Unit = Literal["items", "text"]

# Everything is held in memory several times over: as text, as ids, as tensors.
MAX_BYTES = 2**30

_ITEM_SHARE = 0.95
_ITEM_LENGTH = 40
_FEWEST_ITEMS = 10


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a model learns from: `items` where the unit is items, `text` where it is text; the other one is empty.

    `source` says where it came from (a path, or a dataset's title). `notes` are sentences for a person about what
    was changed or left out while reading.
    """

    name: str
    unit: Unit
    text: str = ""
    items: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    def symbols(self) -> tuple[str, ...]:
        """Every distinct character, sorted."""
        return tuple(sorted(set(self.text) if self.unit == "text" else set().union(*self.items)))


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a UTF-8 file with `\\n` line ends and without a byte-order mark, and notes on what was changed.

    Raises a `UserError` for a path that is missing, no regular file, unreadable, too large, empty, binary or not UTF-8.
    """
    return decode_text(read_bytes(path), path.name)


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file. Raises a `UserError` if it is missing, no regular file, unreadable or too large."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{path} is a folder. Give the path of a text file.")
        if not stat.S_ISREG(status.st_mode):
            # Reading a pipe or a device may never end.
            raise UserError(f"{path} is not a regular file. Give the path of a text file.")
        if status.st_size > MAX_BYTES:
            raise UserError(
                f"{path} has {status.st_size / 2**30:.1f} GiB; a corpus is held in memory and may have 1 GiB. "
                "Give a part of it."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no file {path}. Check the path; it is relative to {Path.cwd()}.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read by this user. Change its permissions or give another file.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}. Give another file.") from None
    except ValueError:  # a NUL inside the path
        raise UserError(f"{str(path)!r} is not a path. Give the path of a text file.") from None


def decode_text(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """As `read_text`, of bytes at hand; `name` is what an error calls them."""
    notes = []
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{name} is UTF-16 text. Save it as UTF-8.")
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
        notes.append("The byte-order mark at the start was left out.")
    if (position := data.find(0)) >= 0:
        raise UserError(f"{name} is not text: byte {position:,} is NUL, as in a binary file. Give a UTF-8 text file.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not UTF-8: byte {error.start:,} is 0x{data[error.start]:02x}. "
            "Save it as UTF-8 (it may be Latin-1)."
        ) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        notes.append("Carriage returns were turned into newlines.")
    if not text.strip():
        raise UserError(f"{name} is empty. Give a file with text in it.")
    return text, tuple(notes)


def item_lines(text: str) -> tuple[str, ...]:
    """The lines that are not blank, without the white space around them."""
    return tuple(item for line in text.split("\n") if (item := line.strip()))


def detect_unit(text: str) -> Unit:
    """Whether a text is a list of items, one a line.

    It is when there are at least 10 lines that are not blank, and at least 95 % of them are one item: a run of at most
    40 characters with no white space inside and at least one letter or digit.
    """
    lines = item_lines(text)
    if len(lines) < _FEWEST_ITEMS:
        return "text"
    single = sum(len(line) <= _ITEM_LENGTH and len(line.split(None, 1)) == 1 and _has_word(line) for line in lines)
    return "items" if single >= _ITEM_SHARE * len(lines) else "text"


def _has_word(line: str) -> bool:
    return any(character.isalnum() for character in line)
