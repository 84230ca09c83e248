"""The table of what can be exported of a run, which of them a file's name means, and where an export is written to."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import LONGEST_NAME, expanded, export_target
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot

UMASK = os.umask(0o077)
os.umask(UMASK)


@dataclass(frozen=True)
class ExportKind:
    """One thing that can be exported, to a file with one of the suffixes or to a folder, where a run allows the `action`."""

    name: str
    about: str
    action: Action
    suffixes: tuple[str, ...] = ()
    folder: bool = False
    is_text: bool = False  # whether it may go to stdout

    def names_file(self, target: str) -> bool:
        """Whether a target has one of the kind's suffixes."""
        name = os.path.basename(target).lower()
        return any(name.endswith(suffix) and name != suffix for suffix in self.suffixes)


_ALL = (
    ExportKind("metrics-csv", "the curves as a table, a row a step", Action.EXPORT_METRICS, (".csv",), is_text=True),
    ExportKind("metrics-jsonl", "the curves as strict JSON, a line a step", Action.EXPORT_METRICS, (".jsonl",), is_text=True),
    ExportKind("chart-svg", "a chart to print, or to put on a page", Action.EXPORT_METRICS, (".svg",), is_text=True),
    ExportKind("chart-png", "the same chart as a picture", Action.EXPORT_METRICS, (".png",)),
    ExportKind("samples", "what the model wrote, as text", Action.EXPORT_SAMPLES, (".txt",), is_text=True),
    ExportKind("tensorboard", "event files that TensorBoard shows", Action.EXPORT_METRICS, folder=True),
    ExportKind("weights", "safetensors, and a load.py for plain PyTorch", Action.EXPORT_WEIGHTS, (".safetensors",), folder=True),
    ExportKind("transformers", "a folder that transformers loads", Action.EXPORT, folder=True),
    ExportKind("archive", "the whole run, to import elsewhere", Action.EXPORT_ARCHIVE, (".tar.gz", ".tgz", ".zip")),
)  # fmt: skip
KINDS = {kind.name: kind for kind in _ALL}
STDOUT = "-"


def kind_of(target: str, snapshot: RunSnapshot) -> ExportKind | None:
    """Return the kind that a target's name means: by its suffix, or a folder where only one can be meant; None for any other."""
    if found := next((kind for kind in _ALL if kind.names_file(target)), None):
        return found
    may_be_folder = target != STDOUT and not os.path.splitext(target)[1]
    return KINDS["transformers"] if may_be_folder and snapshot.family is not None and snapshot.family.exports else None


def refused(snapshot: RunSnapshot, kind: ExportKind) -> str:
    """Say why a run cannot be exported as a kind now; empty if it can."""
    return snapshot.refusal(kind.action)


def default_target(snapshot: RunSnapshot, kind: ExportKind) -> str:
    """Return the name of a file or folder in the present folder that is not there yet."""
    suffix = "" if kind.folder else kind.suffixes[0]
    stem = snapshot.name if kind.suffixes and not kind.folder else f"{snapshot.name}-{kind.name}"
    names = (f"{stem}{number}{suffix}" for number in ("", *(f"-{number}" for number in range(2, 1000))))
    return next((name for name in names if not os.path.lexists(name)), f"{stem}{suffix}")


def checked_target(target: str, kind: ExportKind, *, force: bool = False) -> Path:
    """Return the absolute path to write to; raise `UserError` where something is there already or it cannot be written.

    `force` lets a file be replaced. A folder with something in it never is.
    """
    path = expanded(target).absolute()
    if kind.folder and not kind.names_file(target):
        return export_target(path)
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise UserError(f"The name {path.name[:20]}… is too long for a file.")
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder, and {kind.name} is one file: name a file in it.")
    if not os.path.isdir(path.parent):
        raise UserError(f"There is no folder {path.parent} to put {path.name} in. Make it first.")
    if os.path.lexists(path) and not force:
        raise UserError(
            f"{path} is there already, and was left as it is. Name another file, or replace it with --force."
        )
    if os.path.lexists(path) and not os.path.isfile(path):
        raise UserError(f"{path} is no file that could be replaced. Name another one.")
    return path


@contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Write a file that appears whole or not at all; without `force` nothing is replaced. Raises `UserError`."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~UMASK)
            yield file
        if force:
            os.replace(temporary, path)
        else:
            _put(temporary, path)
    except FileExistsError:
        raise UserError(f"{path} has appeared meanwhile, and was left as it is. Name another file.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _put(temporary: str, path: Path) -> None:
    """Give a file its name, which nobody else must have."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.replace(temporary, path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that appears whole or not at all, in place of nothing or of an empty one. Raises `UserError`."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", dir=path.parent))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    try:
        yield temporary
        temporary.chmod(0o777 & ~UMASK)
        temporary.rename(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
