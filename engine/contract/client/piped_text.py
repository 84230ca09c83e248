"""Text that is piped in: kept in a file among the runs, since a run that is resumed needs it again, and as long as one does."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import config_folder, runs_folder
from torchtty.engine.contract.run.files import write_atomically

PIPE = "-"  # what a person writes for standard input
MAX_BYTES = 2**30
YOUNG = 3600.0  # seconds after it was piped in that the run which is to learn from a text may still be in the making
_FOLDER = ".piped"  # hidden: it is no run
_PIECE = 2**20  # bytes read at once


def is_piped(dataset: str) -> bool:
    """Whether a person means a pipe: `-`, or what a shell puts for `<(command)`."""
    return dataset in (PIPE, "/dev/stdin") or dataset.startswith("/dev/fd/")


def keep_piped(dataset: str) -> Path:
    """Keep what a pipe carries in a file that is named after its content, and return the file; raise `UserError`.

    The same text is kept once, whatever the number of runs that learn from it.
    """
    data = read_piped(dataset)
    remove_unneeded()
    path = runs_folder() / _FOLDER / hashlib.sha256(data).hexdigest()[:16] / "piped.txt"
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        if not path.is_file() or path.stat().st_size != len(data):
            write_atomically(path, data)
        os.utime(path)
    except OSError as error:
        raise UserError(
            f"The text cannot be kept in {path.parent}: {error.strerror or error}. "
            "Set TORCHTTY_RUNS to a folder you can write to."
        ) from None
    return path


def read_piped(dataset: str) -> bytes:
    """Read a pipe to its end; raise `UserError` where it is a terminal, empty, or carries more than 1 GiB."""
    pieces, total = [], 0
    try:
        with open(
            dataset if dataset.startswith("/dev/fd/") else 0, "rb", closefd=dataset.startswith("/dev/fd/")
        ) as stream:
            if stream.isatty():
                raise UserError(
                    "Standard input is the terminal: pipe a text into it, as in 'cat my-text.txt | torchtty train …'."
                )
            while piece := stream.read(_PIECE):
                pieces.append(piece)
                total += len(piece)
                if total > MAX_BYTES:
                    raise UserError(
                        "The pipe carries more than 1 GiB, and a corpus is held in memory. Pipe in a part of it."
                    )
    except OSError as error:
        raise UserError(f"The pipe cannot be read: {error.strerror or error}.") from None
    data = b"".join(pieces)
    if not data.strip():
        raise UserError(
            "Nothing came through the pipe. Pipe a text into it, as in 'cat my-text.txt | torchtty train …'."
        )
    return data


def remove_unneeded() -> None:
    """Remove the texts that neither a run names, be it in the trash, nor a sweep, nor a recipe of the person's own."""
    unneeded: dict[bytes, Path] = {}
    for path in (runs_folder() / _FOLDER).glob("*/piped.txt"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > YOUNG:
                unneeded[path.parent.name.encode()] = path.parent
    for naming in _naming_files() if unneeded else ():
        try:
            text = naming.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:  # what it names is not known
            return
        unneeded = {name: path for name, path in unneeded.items() if name not in text}
        if not unneeded:
            return
    for path in unneeded.values():
        shutil.rmtree(path, ignore_errors=True)


def _naming_files() -> Iterator[Path]:
    for pattern in ("*/config.toml", "*/group.json", ".trash/*/*/config.toml"):
        yield from runs_folder().glob(pattern)
    yield from (config_folder() / "recipes").glob("*.toml")
