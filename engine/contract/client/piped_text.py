"""Text that is piped in: kept in a file among the runs, since a run that is resumed needs it again."""

import hashlib
from pathlib import Path

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.files import write_atomically

PIPE = "-"  # what a person writes for standard input
MAX_BYTES = 2**30
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
    path = runs_folder() / _FOLDER / hashlib.sha256(data).hexdigest()[:16] / "piped.txt"
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        if not path.is_file() or path.stat().st_size != len(data):
            write_atomically(path, data)
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
