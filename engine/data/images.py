"""From a dataset's name or a folder to pictures of one size, ready to be learnt from."""

import gzip
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.settings.catalogue import Dataset, catalogue, embedded_alternative
from torchtty.engine.data.image_downloads import downloaded_pictures
from torchtty.engine.data.image_files import Pixels, broken_note, find_pictures, read_pictures, resized, subset

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
    notes = (
        f"{folder.name}: {min(len(found), limit or len(found)):,} pictures.",
        *((broken_note(broken),) if broken else ()),
    )
    return Pictures(folder.name, pixels, notes)


def _table(entry: Dataset, size: int, channels: int, limit: int | None) -> Pixels:
    """Read pictures of 8x8 from a table in the assets: 64 greys from 0 to 16 a line, then a label."""
    with (
        resources.files("torchtty.assets").joinpath("pictures", entry.file).open("rb") as packed,
        gzip.open(packed) as file,
    ):
        greys = np.loadtxt(file, np.float64, delimiter=",")[:, :64].reshape(-1, 8, 8)
    kept = greys[subset(len(greys), limit)]
    return resized((kept * (255 / 16)).round().astype(np.uint8), size, channels)


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
    notes = [_summary(folder.name or str(folder), pixels)]
    if broken:
        notes.append(broken_note(broken))
    if links:
        notes.append(f"{links:,} links that lead elsewhere were not followed.")
    return Pictures(folder.resolve().name, pixels, tuple(notes))


def _summary(title: str, pixels: Pixels) -> str:
    count, channels, size, _ = pixels.shape
    return f"{title}: {count:,} pictures at {size}x{size}, {'grey' if channels == 1 else 'in colour'}."
