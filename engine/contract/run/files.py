"""Writing files so that a reader never sees half of one, and following files of JSON lines as they grow."""

import contextlib
import errno
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import from_json

SMALL = 1024 * 1024  # bytes: more than any file of a run has that is read at once
_umask = os.umask(0o077)
os.umask(_umask)


def set_umask(umask: int) -> None:
    """Set the process's umask, which `write_atomically` heeds."""
    global _umask
    _umask = umask
    os.umask(umask)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; raise OSError for what is no regular file, such as a FIFO, which would never end."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "It is no regular file", str(path))
    return file


def read_small(path: Path, limit: int = SMALL) -> bytes:
    """Return the content of a small file; raise OSError if it is no regular file or has more than `limit` bytes."""
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"It has more than {limit:,} bytes", str(path))
    return content


def read_json(path: Path, limit: int = SMALL) -> Any:
    """Return the value of a small JSON file; raise OSError, or ValueError for what is no JSON or nested too deeply."""
    return from_json(read_small(path, limit), allow_inf_nan=True)


def write_atomically(path: Path, data: str | bytes, *, durable: bool = False, mode: int | None = None) -> None:
    """Write to a temporary file beside `path` and rename it into place; `durable` also waits for the disk.

    Without a `mode` the file gets that of the user's other files.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask if mode is None else mode)  # not mkstemp's private one
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # mostly it has become `path`
            os.unlink(temporary)


class JsonLinesTail:
    """Reads what was appended since the last look.

    A torn last line waits for its rest, an unreadable line is skipped, and a file that shrank or was replaced is
    read again from its start (`restarted` is then true for that look).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restarted = False
        self._offset = 0
        self._identity: tuple[int, int] | None = None
        self._torn = b""

    def skip(self) -> None:
        """Pass over what is there already, unread."""
        try:
            with open_regular(self.path) as file:
                found = os.fstat(file.fileno())
        except OSError:
            return  # not there yet: nothing to pass over
        self._offset, self._torn, self._identity = found.st_size, b"", (found.st_dev, found.st_ino)

    def read(self, limit: int = 64 * 1024 * 1024) -> list[dict[str, Any]]:
        """Return the complete objects appended since the last call, reading at most `limit` bytes."""
        self.restarted = False
        try:
            with open_regular(self.path) as file:
                found = os.fstat(file.fileno())
                identity = (found.st_dev, found.st_ino)
                if self._identity is not None and (identity != self._identity or found.st_size < self._offset):
                    self._offset, self._torn, self.restarted = 0, b"", True
                self._identity = identity
                if found.st_size == self._offset:
                    return []
                file.seek(self._offset)
                data = file.read(min(limit, found.st_size - self._offset))  # a buffer of `limit` may be too large
        except OSError:  # not there yet, or for a moment not readable: the next look will tell
            return []
        self._offset += len(data)
        whole, newline, torn = (self._torn + data).rpartition(b"\n")
        if not newline:
            self._torn = self._torn + data
            return []
        self._torn = torn
        return parse_lines(whole)


def parse_lines(data: bytes) -> list[dict[str, Any]]:
    """Parse complete JSON lines; lines that are no JSON object are skipped."""
    lines = [line for line in data.split(b"\n") if line and not line.isspace()]
    try:  # one call for the whole block is twice as fast as one a line
        parsed = from_json(b"[" + b",".join(lines) + b"]", allow_inf_nan=True)
        if len(parsed) == len(lines):
            return [item for item in parsed if isinstance(item, dict)]
    except ValueError:
        pass  # a torn line inside: look at them one by one
    found = []
    for line in lines:
        try:
            item = from_json(line, allow_inf_nan=True)
        except ValueError:
            continue
        if isinstance(item, dict):
            found.append(item)
    return found


def json_line(record: dict[str, Any]) -> bytes:
    """Encode one record as a line; NaN and infinities are written as `NaN` and `Infinity`, which the reader takes."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def ends_torn(path: Path) -> bool:
    """Whether the file's last line lacks its newline, as a killed writer leaves it."""
    try:
        with open_regular(path) as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False
