"""Taking a run out of an archive that somebody made elsewhere: everything in it is checked, and nothing of it is run."""

import gzip
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from pydantic_core import from_json

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.archive import CHUNK, MAY_HOLD
from torchtty.engine.contract.exports.kinds import UMASK
from torchtty.engine.contract.exports.safetensors_header import read_header
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run import directory
from torchtty.engine.contract.run.access import PRIVATE, SHARED, access_to_new_runs
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import SMALL, open_regular, read_small, write_atomically
from torchtty.engine.contract.run.log import LARGEST_RESULT
from torchtty.engine.contract.run.status import RunState, Status

MOST_FILES = 100_000
TOO_MANY = f"it holds more than {MOST_FILES:,} files"
SPARE = 256 * 1024 * 1024  # bytes that stay free on the disk
LARGEST_READ = 16 * 1024 * 1024  # bytes that reading an entry's description may ask for at once
_GIB = 1024**3
_LIMITS = (
    (re.compile(r"config\.toml|meta\.json|status\.json|steps/[^/]*\.json|steps/\d+/(checkpoint|architecture)\.json"), SMALL),
    (re.compile(r".*\.jsonl"), 16 * _GIB),
    (re.compile(r".*\.(json|txt|log|png)"), LARGEST_RESULT),
    (re.compile(r".*"), 64 * _GIB),
)  # fmt: skip
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    gzip.BadGzipFile,
    NotImplementedError,
    ValueError,
)


def import_run(archive: Path, name: str | None = None) -> RunDirectory:
    """Unpack the run in an archive into the runs folder and return it; raise `UserError`, and then nothing stays.

    It is called `name`, or as in the archive, with a number where there is such a run already. A run that was live comes in as
    stopped, or as lost where it has no checkpoint.
    """
    root = runs_folder()
    if name is not None:
        directory.check_name(name)
        if os.path.lexists(root / name):
            raise directory.taken(root / name)
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".importing-", dir=root))
    except OSError as error:
        raise UserError(f"Nothing can be imported into {root}: {error.strerror or error}.") from None
    try:
        packed_as = _unpack(archive, temporary)
        run = RunDirectory(temporary)
        _check(run, archive)
        _settle(run, archive)
        return RunDirectory(_put_in_place(temporary, root, name, packed_as, run))
    except OSError as error:
        raise UserError(f"{archive} cannot be imported: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


# Unpacking.


def _unpack(archive: Path, target: Path) -> str:
    """Unpack an archive's files below `target`; return the folder that all of them stand in there."""
    room = shutil.disk_usage(target).free - SPARE
    top = ""
    with _entries(archive) as entries:
        for path, source in entries:
            first, _, inside = path.partition("/")
            if top and first != top:
                raise _refused(archive, f"it holds more than one folder: {_shown(top)} and {_shown(first)}")
            top = first
            if not MAY_HOLD.fullmatch(inside):
                raise _refused(archive, f"{_shown(path)} is no file of a run")
            limit = next(most for pattern, most in _LIMITS if pattern.fullmatch(inside))
            room -= _write(source, target / inside, min(limit, room), archive, path)
    if not top:
        raise _refused(archive, "it is empty")
    return top


def _write(source: IO[bytes], target: Path, most: int, archive: Path, path: str) -> int:
    """Write an entry to a file that is not there yet; return its size, which the entry itself is not believed about."""
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 & ~UMASK)
    except FileExistsError:
        raise _refused(archive, f"{_shown(path)} stands in it twice") from None
    with os.fdopen(handle, "wb") as file:
        while data := source.read(CHUNK):
            size += len(data)
            if size > most:
                raise _refused(
                    archive, f"{_shown(path)} is larger than such a file may be, or than the disk has room for"
                )
            file.write(data)
    return size


@contextmanager
def _entries(archive: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Open an archive and yield its files as (path, open file). Raises `UserError` for what no archive of a run holds."""
    try:
        file = open_regular(archive)
    except OSError as error:
        raise UserError(f"{archive} cannot be read: {error.strerror or error}.") from None
    with file:
        try:
            yield _in_zip(file, archive) if zipfile.is_zipfile(file) else _in_tar(file, archive)
        except _DAMAGED as error:
            reason = "its end is missing" if isinstance(error, EOFError) else "it is damaged, or no .tar.gz or .zip"
            raise _refused(archive, reason) from None


def _in_tar(file: BinaryIO, archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    file.seek(0)
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    plain = gzip.GzipFile(fileobj=file) if packed else file
    with tarfile.open(fileobj=_Careful(plain), mode="r:") as tar:  # type: ignore[call-overload]
        for number, entry in enumerate(tar):
            if number >= MOST_FILES:
                raise _refused(archive, TOO_MANY)
            path = _checked_path(entry.name, archive)
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise _refused(archive, f"{_shown(path)} is a link or a device, not a file")
            source = tar.extractfile(entry)
            assert source is not None
            yield path, source


class _Careful:
    """A file for tarfile, which reads descriptions of entries whole, as large as they claim to be."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_READ:
            raise tarfile.ReadError("an entry's description is too large")
        data: bytes = self._file.read(size)
        return data


def _in_zip(file: BinaryIO, archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as packed:
        if len(packed.infolist()) > MOST_FILES:
            raise _refused(archive, TOO_MANY)
        for entry in packed.infolist():
            path = _checked_path(entry.filename, archive)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir():
                continue
            if kind not in (0, stat.S_IFREG):
                raise _refused(archive, f"{_shown(path)} is a link or a device, not a file")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _refused(archive, "it is encrypted, or packed in a way that is not read")
            with packed.open(entry) as source:
                yield path, source


def _checked_path(path: str, archive: Path) -> str:
    """Return the path of an entry; raise `UserError` where it could lead out of the folder."""
    parts = path.removesuffix("/").split("/")
    if parts[0] == ".":  # as `tar -C runs ./name` writes it
        parts = parts[1:]
    if "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise _refused(archive, f"{_shown(path)} leads out of the run's folder")
    return "/".join(parts)


# Checking.


def _check(run: RunDirectory, archive: Path) -> None:
    """Raise `UserError` where something in an unpacked run cannot be what its name says."""
    if not run.config_path.is_file():
        raise _refused(archive, "it holds no config.toml, so it is no run")
    try:
        run.configuration()
        for path in sorted(run.path.rglob("*.safetensors")):
            read_header(path)
    except UserError as error:
        raise _refused(archive, str(error).rstrip(".").replace(str(run.path) + "/", "")) from None
    for path in (run.meta_path, run.status_path, *sorted(run.steps.rglob("*.json"))):
        try:
            whole = from_json(read_small(path, LARGEST_RESULT)) if path.exists() else {}
        except ValueError:
            raise _refused(archive, f"{path.relative_to(run.path)} is not valid JSON") from None
        if not isinstance(whole, dict):
            raise _refused(archive, f"{path.relative_to(run.path)} is no JSON object")
    for step in run.checkpoints():
        missing = [
            name
            for name in ("model.safetensors", "checkpoint.json")
            if not (run.checkpoint_path(step) / name).is_file()
        ]
        if missing:
            raise _refused(archive, f"its checkpoint at step {step:,} lacks {' and '.join(missing)}")


def _settle(run: RunDirectory, archive: Path) -> None:
    """Turn an unpacked folder into a run of this machine that nobody works on."""
    for folder, mode in ((run.inbox, PRIVATE), (run.steps, SHARED), (run.media, SHARED)):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
    status = run.written_status()
    gone = {"pid": 0, "process_started": 0.0, "host": "", "serving": False, "waiting_for": "", "place": 0, "gpu": ""}
    if status.state.is_live:
        state = RunState.STOPPED if run.checkpoints() else RunState.LOST
        gone |= {
            "state": state,
            "message": f"It was {status.state.value} when it was exported, at step {status.step:,}.",
        }
    run.write_status(Status.model_validate(status.model_dump() | gone))
    meta = run.meta() | {"imported": {"time": time.time(), "from": str(archive.absolute())}}
    write_atomically(run.meta_path, json.dumps(meta, indent=1))
    created = meta.get("created")
    if isinstance(created, int | float) and 0 < created < time.time():  # runs are listed by their age
        with suppress(OSError, OverflowError):
            os.utime(run.config_path, (created, created))


def _put_in_place(temporary: Path, root: Path, name: str | None, packed_as: str, run: RunDirectory) -> Path:
    if name is None:
        wanted = packed_as if directory.is_name(packed_as) else run.configuration().kind
        target = directory.claim(root, wanted, numbered=os.path.lexists(root / wanted))
    else:
        target = directory.claim(root, name, numbered=False)
    try:
        temporary.chmod(access_to_new_runs())
        temporary.rename(target)
    except OSError:
        with suppress(OSError):
            target.rmdir()
        raise
    return target


def _refused(archive: Path, reason: str) -> UserError:
    return UserError(f"{archive.name} was not imported: {reason}.")


def _shown(path: str) -> str:
    return printable_line(shortened(path))
