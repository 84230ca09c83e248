"""Reading pictures from files, and bringing every picture to the same square shape."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from torchtty.engine.contract.errors import UserError

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
        files = "its only picture" if len(broken) == 1 else f"none of its {len(broken):,} pictures"
        cannot = "cannot" if len(broken) == 1 else "can"
        raise UserError(f"Of {path.parent} {files} {cannot} be read: {path.name} {reason}. Repair or remove it.")
    return np.stack(pictures), broken


def broken_note(broken: Sequence[tuple[Path, str]]) -> str:
    """Say which files were left out."""
    named = ", ".join(f"{path.name} ({reason})" for path, reason in broken[:FAULTS_NAMED])
    more = ", …" if len(broken) > FAULTS_NAMED else ""
    return f"{len(broken):,} broken {'picture was' if len(broken) == 1 else 'pictures were'} left out: {named}{more}."


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


def resized(pictures: np.ndarray, size: int, channels: int) -> Pixels:
    """Bring pictures (N, H, W) or (N, H, W, 3) to (N, C, size, size)."""
    return np.stack([squared(Image.fromarray(picture), size, channels) for picture in pictures])


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
