"""Sets of pictures from the network. torchvision knows their addresses and hashes; they are fetched and read here.

torchvision's own download waits for a silent network without end, and wants one more package for CelebA. Nothing is unpacked
onto the disk, and CIFAR-10's pickles are read by a reader that makes arrays and nothing else.
"""

import gzip
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.paths import data_folder
from torchtty.engine.contract.settings.catalogue import Dataset, embedded_alternative
from torchtty.engine.data.download import RemoteFile, fetch
from torchtty.engine.data.image_files import MOST_PIXELS, Pixels, resized, squared, subset

_DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"  # a file of Google Drive, by its number


@dataclass(frozen=True)
class Archive:
    """A file of the network: its name here, its MD5, and its addresses, to be tried in order."""

    file: str
    md5: str
    addresses: tuple[str, ...]


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
    from torchvision import datasets  # takes seconds to import

    if name in ("mnist", "fashion-mnist"):
        source = datasets.MNIST if name == "mnist" else datasets.FashionMNIST
        return [
            Archive(file, md5, tuple(mirror + file for mirror in source.mirrors))
            for file, md5 in source.resources
            if "images" in file
        ]
    if name == "cifar10":
        return [Archive(datasets.CIFAR10.filename, datasets.CIFAR10.tgz_md5, (datasets.CIFAR10.url,))]
    assert name == "celeba", name
    number, md5, file = next(row for row in datasets.CelebA.file_list if row[2].endswith(".zip"))
    return [Archive(file, md5, (_DRIVE.format(number),))]


def _present(entry: Dataset, archive: Archive) -> Path:
    """Return a whole copy of an archive: the one that is here, the mirror's, or one that is fetched now."""
    instead = (
        f"Choose {embedded_alternative('images').name}, which needs no network, or put {archive.file} into "
        f"{data_folder() / entry.name}."
    )
    for place, address in enumerate(archive.addresses, 1):
        try:
            return fetch(RemoteFile(f"{entry.name}/{archive.file}", address, 0, "", archive.md5), instead=instead)
        except UnreachableError as error:
            if place == len(archive.addresses):
                raise UnreachableError(f"data.dataset: {error}") from None
    raise AssertionError("an archive has an address")


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
    return resized(pictures[subset(len(pictures), limit)], size, channels)


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
    return resized(pictures[subset(len(pictures), limit)], size, channels)


def _zipped_pictures(paths: list[Path], size: int, channels: int, limit: int | None) -> Pixels:
    with zipfile.ZipFile(paths[0]) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        names = [names[index] for index in subset(len(names), limit)]
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
