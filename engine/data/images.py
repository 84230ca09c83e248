"""From a dataset's name or a folder to pictures of one size: files are read, sets downloaded, and all brought to a square.

torchvision knows the addresses and hashes of sets; its own download waits for a silent network without end, and wants one more
package for CelebA. Nothing is unpacked onto the disk, and CIFAR-10's pickles are read by a reader that makes arrays alone.
"""

import gzip
import os
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.paths import data_folder, expanded
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.settings.catalogue import Dataset, catalogue, embedded_alternative
from torchtty.engine.data.download import RemoteFile, fetch

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 100_000_000  # of one picture: a file of a few kilobytes can claim billions
FAULTS_NAMED = 3
THREADS = 4  # pillow decodes without holding Python's lock
_SUBSET_SEED = 42  # the pictures that a limit keeps are the same for every run, so that runs can be compared

Pixels = NDArray[np.uint8]


def find_pictures(folder: Path) -> tuple[list[Path], int]:
    """Return the picture files below a folder in order of their names, and how many links were left out.

    Links that lead out of the folder are left out, and links to folders too, which could lead around in circles.
    Raises `UserError` if the folder cannot be read or holds none.
    """
    try:
        root = folder.resolve(strict=True)
        if not root.is_dir():
            raise UserError(f"{folder} is a file: pictures are read from a folder. Give the folder that holds them.")
        os.listdir(root)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read: {error.strerror or error}.") from None
    found: list[Path] = []
    links = 0
    for place, folders, files in os.walk(root, followlinks=False):
        links += sum(os.path.islink(os.path.join(place, name)) for name in folders)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                links += 1
            else:
                found.append(path)
    if not found:
        outside = f" ({links} links that lead elsewhere were not followed)" if links else ""
        raise UserError(
            f"There are no PNG, JPEG or WebP pictures in {folder}{outside}. Choose another folder, or digits."
        )
    return found, links


def read_pictures(paths: Sequence[Path], size: int, channels: int) -> tuple[Pixels, list[tuple[Path, str]]]:
    """Return pictures (N, C, size, size) and, for each file that is none, the reason.

    Raises `UserError` that names a file if not one of them can be read.
    """
    pictures: list[Pixels] = []
    broken: list[tuple[Path, str]] = []
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as threads:
        for path, result in zip(paths, threads.map(lambda path: _read(path, size, channels), paths), strict=True):
            if isinstance(result, str):
                broken.append((path, result))
            else:
                pictures.append(result)
    if not pictures:
        path, reason = broken[0]
        cannot = "its only picture cannot" if len(broken) == 1 else f"none of its {len(broken):,} pictures can"
        raise UserError(f"Of {path.parent} {cannot} be read: {path.name} {reason}. Repair or remove it.")
    return np.stack(pictures), broken


def _left_out(broken: Sequence[tuple[Path, str]]) -> list[str]:
    """Return a note on the files that were left out, if there are any."""
    if not broken:
        return []
    named = ", ".join(f"{path.name} ({reason})" for path, reason in broken[:FAULTS_NAMED])
    more = ", …" if len(broken) > FAULTS_NAMED else ""
    return [f"{len(broken):,} broken {'picture was' if len(broken) == 1 else 'pictures were'} left out: {named}{more}."]


def squared(picture: Image.Image, size: int, channels: int) -> Pixels:
    """Cut a picture square around its middle and resize it, as (C, size, size); transparent parts become white."""
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    if picture.mode.startswith("I;16"):  # 16 bits a pixel: `convert` would cut them off at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    colours = picture.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(ImageOps.fit(colours, (size, size), Image.Resampling.BICUBIC), dtype=np.uint8)
    return np.ascontiguousarray(pixels.reshape(size, size, channels).transpose(2, 0, 1))  # (C, size, size)


def _resized(pictures: np.ndarray, size: int, channels: int, limit: int | None) -> Pixels:
    """Bring those of the pictures (N, H, W) or (N, H, W, 3) that a limit keeps to (n, C, size, size)."""
    kept = pictures[subset(len(pictures), limit)]
    return np.stack([squared(Image.fromarray(picture), size, channels) for picture in kept])


def subset(count: int, limit: int | None) -> list[int]:
    """Return which of `count` pictures a limit keeps, in their order."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(np.random.default_rng(_SUBSET_SEED).permutation(count)[:limit].tolist())


def _read(path: Path, size: int, channels: int) -> Pixels | str:
    """Return the picture in a file, or why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is below pillow's error
            with Image.open(path, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    return f"claims {width:,} x {height:,} pixels, more than {MOST_PIXELS:,}"
                picture.draft("L" if channels == 1 else "RGB", (size * 2, size * 2))  # JPEG: decode at a lower scale
                turned = ImageOps.exif_transpose(picture)
                return squared(turned or picture, size, channels)
    except Image.DecompressionBombError:
        return f"claims more than {MOST_PIXELS:,} pixels"
    except Image.UnidentifiedImageError:
        return "is no PNG, JPEG or WebP picture"
    except (OSError, ValueError, SyntaxError, TypeError, IndexError) as error:  # what pillow raises on broken files
        return f"is damaged ({str(error).splitlines()[0][:80] if str(error) else type(error).__name__})"


GLANCE = 64  # pictures that are looked at where the others do not matter yet


@dataclass(frozen=True)
class Pictures:
    """Pictures as bytes: `pixels` (N, C, H, W)."""

    name: str
    pixels: Pixels
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)


def load_pictures(dataset: str, size: int, channels: int, limit: int | None = None) -> Pictures:
    """Load the pictures of a dataset, cut square and resized to `size`, with 1 (grey) or 3 (colour) channels.

    `dataset` is a name of the catalogue or the path of a folder; `limit` keeps so many, drawn at random but always the same.
    Raises `UserError`, for a download that fails too.
    """
    entry = catalogue().get(dataset)
    if entry is None:
        return _folder(_existing_folder(dataset), size, channels, limit)
    if entry.kind != "images":
        raise UserError(
            f"data.dataset {entry.name} holds text, and this model learns from pictures. "
            f"Choose {embedded_alternative('images').name}, or a folder of pictures."
        )
    pixels = (_table if entry.embedded else downloaded_pictures)(entry, size, channels, limit)
    return Pictures(entry.name, pixels, (_summary(entry.title, pixels),))


def glance(dataset: str, size: int, channels: int, limit: int | None = None) -> Pictures:
    """Return a few pictures of a dataset, quickly: for one that would have to be fetched or unpacked, noise in their place.

    Raises `UserError` as far as that shows what is wrong.
    """
    entry = catalogue().get(dataset)
    if entry is not None and entry.kind == "images" and not entry.embedded:
        noise = np.random.default_rng(0).integers(0, 256, (GLANCE, channels, size, size), np.uint8)
        return Pictures(entry.name, noise, (f"{entry.title}: {entry.description}",))
    if entry is not None:
        return load_pictures(dataset, size, channels, limit)
    folder = _existing_folder(dataset)
    found, _ = find_pictures(folder)
    pixels, broken = read_pictures(found[:GLANCE], size, channels)
    count = f"{folder.name}: {min(len(found), limit or len(found)):,} pictures."
    return Pictures(folder.name, pixels, (count, *_left_out(broken)))


def _table(entry: Dataset, size: int, channels: int, limit: int | None) -> Pixels:
    """Read pictures of 8x8 from a table in the assets: 64 greys from 0 to 16 a line, then a label."""
    packed = resources.files("torchtty.assets").joinpath("pictures", entry.file).read_bytes()
    greys = np.loadtxt(BytesIO(gzip.decompress(packed)), np.float64, delimiter=",")[:, :64].reshape(-1, 8, 8)
    return _resized((greys * (255 / 16)).round().astype(np.uint8), size, channels, limit)


def _existing_folder(dataset: str) -> Path:
    path = expanded(dataset)
    if not os.path.exists(path):
        names = ", ".join(entry.name for entry in catalogue().values() if entry.kind == "images")
        raise UserError(
            f"data.dataset: there is no set of pictures called '{shortened(dataset)}', nor a folder of that name. "
            f"Choose one of {names}, or give the path of a folder."
        )
    return path


def _folder(folder: Path, size: int, channels: int, limit: int | None) -> Pictures:
    found, links = find_pictures(folder)
    pixels, broken = read_pictures([found[index] for index in subset(len(found), limit)], size, channels)
    notes = [_summary(folder.name or str(folder), pixels), *_left_out(broken)]
    if links:
        notes.append(f"{links:,} links that lead elsewhere were not followed.")
    return Pictures(folder.resolve().name, pixels, tuple(notes))


def _summary(title: str, pixels: Pixels) -> str:
    count, channels, size, _ = pixels.shape
    return f"{title}: {count:,} pictures at {size}x{size}, {'grey' if channels == 1 else 'in colour'}."


_UNREADABLE = (OSError, EOFError, ValueError, KeyError, tarfile.TarError, zipfile.BadZipFile, pickle.UnpicklingError)
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
    except _UNREADABLE as error:
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
    for address in archive.addresses:
        try:
            return fetch(RemoteFile(f"{entry.name}/{archive.file}", address, 0, "", archive.md5), instead=instead)
        except UnreachableError as error:
            reason = f"data.dataset: {error}"
    raise UnreachableError(reason)


def _idx_pictures(paths: list[Path], size: int, channels: int, limit: int | None) -> Pixels:
    """Read MNIST's format: magic number 2051, count, rows and columns as big-endian integers, then bytes."""
    parts = []
    for path in paths:
        data = gzip.decompress(path.read_bytes())
        magic, count, rows, columns = np.frombuffer(data, ">i4", 4)
        if magic != 2051:
            raise ValueError(f"{path.name} holds no pictures")
        parts.append(np.frombuffer(data, np.uint8, count * rows * columns, 16).reshape(count, rows, columns))
    return _resized(np.concatenate(parts), size, channels, limit)


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of numpy arrays, and refuses whatever else a pickle can ask for."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "scalar"})

    def find_class(self, module: str, name: str) -> Any:
        of_numpy = module.partition(".")[0] == "numpy" and name in self.ALLOWED
        if of_numpy or (module, name) == ("_codecs", "encode"):
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
    return _resized(np.concatenate(parts).transpose(0, 2, 3, 1), size, channels, limit)  # of (N, 32, 32, 3)


def _zipped_pictures(paths: list[Path], size: int, channels: int, limit: int | None) -> Pixels:
    with zipfile.ZipFile(paths[0]) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        names = [names[index] for index in subset(len(names), limit)]
        pictures = np.empty((len(names), channels, size, size), np.uint8)
        for place, name in enumerate(names):
            picture = Image.open(BytesIO(archive.read(name)), formats=("JPEG",))
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"{name} claims too many pixels")
            pictures[place] = squared(picture, size, channels)
    return pictures


_READERS: dict[str, Callable[[list[Path], int, int, int | None], Pixels]] = {
    "mnist": _idx_pictures,
    "fashion-mnist": _idx_pictures,
    "cifar10": _cifar_pictures,
    "celeba": _zipped_pictures,
}
