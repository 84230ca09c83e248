"""A person's own texts: a file or a folder of them, plain or as records, whole or only a beginning."""

import os
import stat
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.data.encoding import decode_text
from torchtty.engine.data.records import SUFFIXES, joined, read_records

# Everything is held in memory several times over: as text, as ids, as tensors.
MAX_BYTES = 2**30
MAX_FILES = 20_000  # of a folder: more are likely a mistake, such as a home directory
_FAULTS_NAMED = 3
_LOOK = 2**14  # bytes at the beginning of a file by which a folder's texts are told from other files


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: the settings of the same names, with `auto` and an empty field for what is to be told."""

    format: Literal["auto", "plain", "json-lines", "csv"] = "auto"
    field: str = ""
    encoding: str = "auto"


@dataclass(frozen=True, slots=True)
class Source:
    """What files hold: their text, and the same as `records` where they hold such. `read` is None where all was read."""

    text: str
    records: tuple[str, ...] | None
    encoding: str
    size: int
    files: int
    notes: tuple[str, ...]
    read: int | None = None


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """The text of a file with `\\n` line ends and without a byte-order mark, and notes on what was changed.

    Raises a `UserError` for a path that is missing, no regular file, unreadable, too large, empty, binary or of an
    encoding that cannot be told.
    """
    decoded = decode_text(read_bytes(path), printable_line(path.name))
    return decoded.text, decoded.notes


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """The bytes of a regular file, or `most` of them from its beginning.

    Raises a `UserError` if it is missing, no regular file, unreadable, or has more than 1 GiB where all are wanted.
    """
    shown = printable_line(str(path))
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{shown} is a folder. Give the path of a text file.")
        if not stat.S_ISREG(status.st_mode):
            # Reading a pipe or a device may never end.
            raise UserError(f"{shown} is not a regular file. Give the path of a text file, or pipe its text into '-'.")
        if most is not None:
            with path.open("rb") as file:
                return file.read(min(most, status.st_size))
        if status.st_size > MAX_BYTES:
            raise _too_large(shown, status.st_size)
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no file {shown}. Check the path; it is relative to {Path.cwd()}.") from None
    except PermissionError:
        raise UserError(f"{shown} may not be read by this user. Change its permissions or give another file.") from None
    except OSError as error:
        raise UserError(f"{shown} cannot be read: {error.strerror or error}. Give another file.") from None
    except ValueError:  # a NUL inside the path
        raise UserError(f"{str(path)!r} is not a path. Give the path of a text file.") from None


def _too_large(shown: str, size: int) -> UserError:
    return UserError(
        f"{shown} has {size / 2**30:.1f} GiB; a corpus is held in memory and may have 1 GiB. Give a part of it."
    )


def fingerprint(path: Path) -> tuple[tuple[str, int, int, int, int], ...]:
    """Tell one state of a file, or of the texts of a folder, from a later one; empty where nothing is there."""
    try:
        paths = [path, *find_texts(path)] if path.is_dir() else [path]
        states = [(str(one), one.stat()) for one in paths]
    except (OSError, ValueError, UserError):
        return ()
    return tuple((name, at.st_mtime_ns, at.st_ctime_ns, at.st_size, at.st_ino) for name, at in states)


def read_source(path: Path, reading: Reading, *, most: int | None = None) -> Source:
    """Read a file, or the texts of a folder in the order of their names, or `most` bytes from the beginning.

    Raises a `UserError` that says what is wrong with which file, and what to do.
    """
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError):
        is_folder = False  # reading it says why
    if is_folder:
        return _read_folder(path, reading, most)
    data = read_bytes(path, most)
    size = max(len(data), os.stat(path).st_size)
    return _read(path, data, reading, size, is_whole=most is None or len(data) >= size)


def _read(path: Path, data: bytes, reading: Reading, size: int, *, is_whole: bool) -> Source:
    name = printable_line(str(path))
    decoded = decode_text(data, name, reading.encoding, is_whole=is_whole)
    text, notes, texts = decoded.text, decoded.notes, None
    if not is_whole and "\n" in text.rstrip("\n"):
        text = text[: text.rindex("\n") + 1]  # no line, and so no item or record, is cut through
    format = SUFFIXES.get(path.suffix.lower(), "plain") if reading.format == "auto" else reading.format
    if format != "plain":
        found = read_records(text, format, reading.field, name, is_whole=is_whole)
        text, texts, notes = joined(found.texts), found.texts, (*notes, found.summary)
    elif reading.field:
        raise UserError(
            f"data.field is '{printable_line(reading.field)}', and {name} is read as plain text, which has no fields. "
            "Leave it empty, or set data.format."
        )
    if size > MAX_BYTES:  # only a look gets this far
        notes = (
            *notes,
            "Too large to be learnt from: a corpus is held in memory and may have 1 GiB. Give a part of it.",
        )
    return Source(text, texts, decoded.encoding, size, 1, notes, None if is_whole else len(data))


# Folders.


def find_texts(folder: Path) -> list[Path]:
    """Return the regular files below a folder in order of their paths.

    Hidden ones are left out, and links to folders and out of this one too, which could lead around in circles.
    Raises a `UserError` if it cannot be read, holds none, or more than 20,000.
    """
    shown = printable_line(str(folder))
    try:
        root = folder.resolve(strict=True)
        os.listdir(root)
    except OSError as error:
        raise UserError(f"The folder {shown} cannot be read: {error.strerror or error}. Give another one.") from None
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(place, name) for name in sorted(files) if not name.startswith(".") and _is_inside(place, name, root)
        ]
        if len(found) > MAX_FILES:
            raise UserError(f"The folder {shown} holds more than {MAX_FILES:,} files. Give a folder below it.")
    if not found:
        raise UserError(f"The folder {shown} holds no files. Give a folder of texts, or the path of a text file.")
    return found


def _is_inside(place: str, name: str, root: Path) -> bool:
    path = os.path.join(place, name)
    try:
        if os.path.islink(path) and not Path(path).resolve(strict=True).is_relative_to(root):
            return False
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, RuntimeError):  # a link to nothing, or to itself
        return False


def _read_folder(folder: Path, reading: Reading, most: int | None) -> Source:
    paths = find_texts(folder)
    sizes = {path: os.stat(path).st_size for path in paths if os.path.exists(path)}
    sources: list[Source] = []
    left_out: list[str] = []
    unread, total = 0, 0
    for path, size in sizes.items():
        if most is not None and total >= most:
            unread += 1
            continue
        if size and not _looks_like_text(path):
            left_out.append(path.name)
        elif size:
            if total + size > MAX_BYTES and most is None:
                raise _too_large(f"The folder {printable_line(str(folder))}", sum(sizes.values()))
            data = read_bytes(path, None if most is None else most - total)
            total += len(data)
            if data.strip():
                sources.append(
                    _read(path, data, reading, max(size, len(data)), is_whole=most is None or len(data) >= size)
                )
    if not sources:
        raise UserError(
            f"The folder {printable_line(str(folder))} holds no text: none of its {len(paths):,} files is one. "
            "Give a folder of texts."
        )
    return _merged(sources, left_out, unread, sum(sizes.values()))


def _looks_like_text(path: Path) -> bool:
    """Whether the beginning of a file can be decoded; one that may not be read is reported as no text."""
    try:
        decode_text(read_bytes(path, _LOOK), path.name, is_whole=False)
    except UserError as error:
        return "is empty" in str(error)  # blank at the beginning, or all of it
    return True


def _merged(sources: list[Source], left_out: list[str], unread: int, size: int) -> Source:
    """Put the texts of a folder one after the other, with a blank line between."""
    counts = Counter(note for source in sources for note in source.notes)
    notes = [
        note if times == len(sources) == 1 else f"{times:,} file{'s' * (times > 1)}: {note}"
        for note, times in counts.items()
    ]
    if left_out:
        named = ", ".join(map(printable_line, left_out[:_FAULTS_NAMED])) + (
            ", …" if len(left_out) > _FAULTS_NAMED else ""
        )
        verb = "files are" if len(left_out) > 1 else "file is"
        notes.append(f"{len(left_out):,} {verb} no text and left out: {named}.")
    records = [source.records for source in sources if source.records is not None]
    encodings = Counter(source.encoding for source in sources)
    is_part = unread > 0 or any(source.read is not None for source in sources)
    return Source(
        "\n\n".join(source.text.strip("\n") for source in sources),
        tuple(chain.from_iterable(records)) if len(records) == len(sources) else None,
        ", ".join(encoding for encoding, _ in encodings.most_common(_FAULTS_NAMED)),
        size,
        len(sources) + unread,
        tuple(notes),
        sum(source.read or source.size for source in sources) if is_part else None,
    )
