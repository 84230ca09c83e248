"""A run as one file: packing its folder into a .tar.gz or .zip.

What may stand in an archive is what a run directory may hold, by `MAY_HOLD`; requests and locks stay behind.
"""

import io
import os
import re
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import open_regular

CHUNK = 1024 * 1024  # bytes copied at once

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}"
MAY_HOLD = re.compile(
    rf"config\.toml|worker\.log|{_NAME}\.jsonl?|{_NAME}\.txt"
    rf"|steps/{_NAME}\.json"
    rf"|steps/[0-9]{{6,18}}/({_NAME}\.(json|safetensors)|training\.pt)"
    rf"|media/{_NAME}\.(png|json)"
)
"""Paths in a run, each a whole match. None of these is read as anything but text, JSON, tensors or a picture."""


def pack(run: RunDirectory, file: BinaryIO, *, as_zip: bool) -> int:
    """Write a run into an archive, all below one folder of its name; return how many files it holds.

    A run that is live is packed as it is: files that grow are cut at the length they have, and a checkpoint that is removed
    meanwhile is left out as a whole.
    """
    packed = 0
    if as_zip:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, source, size in _contents(run):
                about = zipfile.ZipInfo(f"{run.name}/{name}", time.localtime(os.fstat(source.fileno()).st_mtime)[:6])
                about.compress_type, about.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                with archive.open(about, "w", force_zip64=size > 2**31) as into:
                    _copy(source, into.write, size)
                packed += 1
    else:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            for name, source, size in _contents(run):
                entry = tarfile.TarInfo(f"{run.name}/{name}")
                entry.size, entry.mtime, entry.mode = size, int(os.fstat(source.fileno()).st_mtime), 0o644
                archive.addfile(entry, _Exactly(source, size))
                packed += 1
    return packed


def _contents(run: RunDirectory) -> Iterator[tuple[str, BinaryIO, int]]:
    """Yield (path, open file, size) of what is packed, the configuration first."""
    groups = [["config.toml"], _files(run.path, ""), _files(run.steps, "steps/"), _files(run.media, "media/")]
    groups += [_files(run.checkpoint_path(step), f"steps/{step:06d}/") for step in run.checkpoints()]
    for group in groups:
        names = [name for name in group if MAY_HOLD.fullmatch(name) and (name != "config.toml" or group is groups[0])]
        with ExitStack() as stack, suppress(FileNotFoundError):
            # All of them are opened before any is packed.
            files = [stack.enter_context(open_regular(run.path / name)) for name in names]
            for name, source in zip(names, files, strict=True):
                yield name, source, os.fstat(source.fileno()).st_size


def _files(folder: Path, prefix: str) -> list[str]:
    try:
        return sorted(prefix + entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    except OSError:
        return []


def _copy(source: BinaryIO, write: Callable[[bytes], object], size: int) -> None:
    left = size
    while left and (data := source.read(min(CHUNK, left))):
        write(data)
        left -= len(data)


class _Exactly(io.RawIOBase):
    """A file that reads as exactly `size` bytes, whatever is appended or cut off meanwhile."""

    def __init__(self, source: BinaryIO, size: int) -> None:
        self._source, self._left = source, size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._source.read(wanted)
        data += b"\n" * (wanted - len(data))
        self._left -= wanted
        return data
