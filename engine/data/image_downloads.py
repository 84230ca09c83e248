"""Sets of pictures from the network. torchvision knows their addresses and hashes; what they hold is read here.

Nothing is unpacked onto the disk, and CIFAR-10's pickles are read by a reader that makes arrays and nothing else.
"""

import gzip
import hashlib
import os
import pickle
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
from PIL import Image

from engine.contract.catalogue import Dataset, embedded_alternative
from engine.contract.errors import UnreachableError, UserError
from engine.contract.places import data_folder
from engine.data.image_files import MOST_PIXELS, Pixels, squared
from engine.data.images import chosen, resized


@dataclass(frozen=True)
class Archive:
    """A file of the network: its name here, its MD5, and what fetches it into a folder from an address."""

    file: str
    md5: str
    fetch: Callable[[str], None]


def downloaded_pictures(entry: Dataset, size: int, channels: int, limit: int | None) -> Pixels:
    """Fetch a set of pictures if it is not here yet, and read it as (N, C, size, size). Raises `UserError`."""
    paths = [_present(entry, archive) for archive in _archives(entry.name)]
    try:
        return _READERS[entry.name](paths, size, channels, limit)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        tarfile.TarError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        raise UserError(
            f"{entry.name} cannot be read from {paths[0].parent}: {error}. Remove its files there to fetch it anew."
        ) from None


def _archives(name: str) -> list[Archive]:
    from torchvision import datasets  # takes ten seconds to import
    from torchvision.datasets.utils import download_file_from_google_drive, download_url

    def from_addresses(addresses: list[str], file: str, md5: str) -> Archive:
        def fetch(folder: str) -> None:
            for place, address in enumerate(addresses):
                try:
                    return download_url(address, folder, file, md5)
                except (RuntimeError, URLError, OSError):
                    if place == len(addresses) - 1:
                        raise
            return None

        return Archive(file, md5, fetch)

    if name in ("mnist", "fashion-mnist"):
        source = datasets.MNIST if name == "mnist" else datasets.FashionMNIST
        return [
            from_addresses([mirror + file for mirror in source.mirrors], file, md5)
            for file, md5 in source.resources
            if "images" in file
        ]
    if name == "cifar10":
        return [from_addresses([datasets.CIFAR10.url], datasets.CIFAR10.filename, datasets.CIFAR10.tgz_md5)]
    assert name == "celeba", name
    number, md5, file = next(row for row in datasets.CelebA.file_list if row[2].endswith(".zip"))
    return [Archive(file, md5, lambda folder: download_file_from_google_drive(number, folder, file, md5))]


def _present(entry: Dataset, archive: Archive) -> Path:
    """Return a whole copy of an archive: the one that is here, the mirror's, or one that is fetched now."""
    folder = data_folder() / entry.name
    target = folder / archive.file
    if is_whole(target, archive.md5):
        return target
    mirror = os.environ.get("TORCHTTY_MIRROR", "")
    if mirror and "://" not in mirror:
        for copy in (Path(mirror).expanduser() / archive.file, Path(mirror).expanduser() / entry.name / archive.file):
            if is_whole(copy, archive.md5):
                return copy
        raise _no_download(entry, archive, f"the mirror {mirror} holds no whole {archive.file}")
    temporary = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix=".fetching-", dir=folder)
        if mirror:
            from torchvision.datasets.utils import download_url

            download_url(f"{mirror.rstrip('/')}/{archive.file}", temporary, archive.file, archive.md5)
        else:
            archive.fetch(temporary)
        os.replace(Path(temporary, archive.file), target)
    except (RuntimeError, URLError, OSError, ImportError) as error:
        raise _no_download(entry, archive, str(getattr(error, "reason", error)).splitlines()[0][:200]) from None
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def is_whole(path: Path, md5: str) -> bool:
    """Whether a file is there and has its hash."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == md5
    except OSError:
        return False


def _no_download(entry: Dataset, archive: Archive, reason: str) -> UserError:
    return UnreachableError(
        f"data.dataset {entry.name} could not be fetched: {reason}. Choose {embedded_alternative('images').name}, which needs "
        f"no network, or put {archive.file} into {data_folder() / entry.name}."
    )


def _idx_pictures(paths: list[Path], size: int, channels: int, limit: int | None) -> Pixels:
    """Read MNIST's format: magic number 2051, count, rows and columns as big-endian integers, then bytes."""
    parts = []
    for path in paths:
        with gzip.open(path) as file:
            data = file.read()
        magic, count, rows, columns = np.frombuffer(data, ">i4", 4)
        if magic != 2051:
            raise ValueError(f"{path.name} holds no pictures")
        parts.append(np.frombuffer(data, np.uint8, count * rows * columns, 16).reshape(count, rows, columns))
    pictures = np.concatenate(parts)
    return resized(pictures[chosen(len(pictures), limit)], size, channels)


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of numpy arrays, and refuses whatever else a pickle can ask for."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "scalar"})

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in self.ALLOWED:
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _cifar_pictures(paths: list[Path], size: int, channels: int, limit: int | None) -> Pixels:
    parts = []
    with tarfile.open(paths[0], "r:gz") as archive:
        for member in archive:
            if member.isfile() and "_batch" in Path(member.name).name:
                file = archive.extractfile(member)
                assert file is not None
                table = _ArraysOnly(BytesIO(file.read()), encoding="bytes").load()
                parts.append(np.asarray(table[b"data"], np.uint8).reshape(-1, 3, 32, 32))
    pictures = np.concatenate(parts).transpose(0, 2, 3, 1)  # (N, 32, 32, 3)
    return resized(pictures[chosen(len(pictures), limit)], size, channels)


def _zipped_pictures(paths: list[Path], size: int, channels: int, limit: int | None) -> Pixels:
    with zipfile.ZipFile(paths[0]) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        names = [names[index] for index in chosen(len(names), limit)]
        pictures = np.empty((len(names), channels, size, size), np.uint8)
        for place, picture in enumerate(_opened(archive, names)):
            pictures[place] = squared(picture, size, channels)
    return pictures


def _opened(archive: zipfile.ZipFile, names: list[str]) -> Iterator[Image.Image]:
    for name in names:
        picture = Image.open(BytesIO(archive.read(name)), formats=("JPEG",))
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError(f"{name} claims too many pixels")
        yield picture


_READERS: dict[str, Callable[[list[Path], int, int, int | None], Pixels]] = {
    "mnist": _idx_pictures,
    "fashion-mnist": _idx_pictures,
    "cifar10": _cifar_pictures,
    "celeba": _zipped_pictures,
}
