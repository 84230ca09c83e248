"""Where commands write, and how they end: exit codes, errors, pipes, and terminals without Unicode."""

import codecs
import os
import sys
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text, TextType

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable


class Exit(IntEnum):
    """What a command's exit code means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


class UsageError(UserError):
    """A command that was called with wrong arguments."""


class _Console(Console):
    def on_broken_pipe(self) -> None:  # Rich would exit with 1 on its own
        raise BrokenPipeError


# What our own sentences use beyond ASCII, for streams that cannot carry it. Braille and the rest become '?'.
_ASCII = {
    "…": "...", "·": "-", "–": "-", "—": "-", "─": "-", "━": "=", "╸": "=", "╺": "-", "│": "|", "┤": "|", "└": "+",
    "┴": "+", "┬": "+", "→": "->", "×": "x", "✓": "v", "⏎": "\\n", "⇥": "\\t", "≤": "<=", "≥": ">=", "ø": "o",
}  # fmt: skip


def _transliterated(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_ASCII.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error("torchtty.transliterate", _transliterated)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether a stream can carry box lines and braille."""
    return (stream.encoding or "ascii").lower().replace("-", "").startswith("utf")


def output() -> Console:
    """Return a console on stdout for results."""
    return _Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def messages() -> Console:
    """Return a console on stderr for progress and errors."""
    return _Console(file=sys.stderr, highlight=False, markup=False, emoji=False)


def grid(rows: Iterable[tuple[TextType, TextType]] = (), style: str = "dim", least: int | None = None) -> Table:
    """Return rows in two columns without a frame, the first in a style and at least so wide."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style=style, min_width=least, no_wrap=least is not None)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def notify(text: str) -> None:
    """Write a message to stderr, safe to show whatever it quotes."""
    messages().print(Text(printable(text)), soft_wrap=True)


def report_error(text: str) -> None:
    """Write an error to stderr: its first line is marked, further ones stand below it."""
    messages().print(Text("error: ", "bold red") + Text(printable(text), "default"), soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one JSON object or list to stdout; numbers that JSON lacks become null."""
    import json

    finite = json.loads(json.dumps(value), parse_constant=lambda _: None)  # NaN and the infinities
    sys.stdout.write(json.dumps(finite, indent=2) + "\n")


def guarded(command: Callable[[], int]) -> int:
    """Run a command and turn what it raises into a message and an exit code; no traceback for a person's mistake."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace" if speaks_unicode(stream) else "torchtty.transliterate")
    try:
        code = command()
        sys.stdout.flush()
    except UsageError as error:
        report_error(str(error))
        return Exit.USAGE
    except UserError as error:
        report_error(str(error))
        return Exit.FAILED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _drop_output()
        return Exit.DONE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return code


def _drop_output() -> None:
    """Redirect the interpreter's last flush to nowhere instead of failing once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):
            os.dup2(nowhere, stream.fileno())
