"""From a dataset's name or a folder to pictures of one size, ready to be learnt from."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.catalogue import Dataset, catalogue, embedded_alternative
from torchtty.engine.data.image_files import Pixels, broken_note, find_pictures, read_pictures

CHOICE_SEED = 42  # the pictures that a limit keeps are the same for every run, so that runs can be compared
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
    pixels = _digits(size, channels, limit) if entry.embedded else _downloaded(entry, size, channels, limit)
    return Pictures(entry.name, pixels, (_summary(entry.title, pixels),))


def glance(dataset: str, size: int, channels: int, limit: int | None = None) -> Pictures:
    """Return a few pictures of a dataset, quickly: for one that would have to be fetched or unpacked, noise in their place.

    Raises `UserError` as far as that shows what is wrong.
    """
    entry = catalogue().get(dataset)
    if entry is not None and entry.kind == "images" and not entry.embedded:
        noise = np.random.default_rng(CHOICE_SEED).integers(0, 256, (GLANCE, channels, size, size), np.uint8)
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


def chosen(count: int, limit: int | None) -> list[int]:
    """Return which of `count` pictures a limit keeps, in their order."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(np.random.default_rng(CHOICE_SEED).permutation(count)[:limit].tolist())


def resized(pictures: np.ndarray, size: int, channels: int) -> Pixels:
    """Bring pictures (N, H, W) or (N, H, W, 3) to (N, C, size, size)."""
    from PIL import Image

    from torchtty.engine.data.image_files import squared

    return np.stack([squared(Image.fromarray(picture), size, channels) for picture in pictures])


def _digits(size: int, channels: int, limit: int | None) -> Pixels:
    values = _digit_values()  # (1797, 8, 8), grey from 0 to 16
    kept = values[chosen(len(values), limit)]
    return resized((kept * (255 / 16)).round().astype(np.uint8), size, channels)


def _digit_values() -> np.ndarray:
    """Read the table that `sklearn.datasets.load_digits` reads, without the seconds that importing it takes."""
    package = find_spec("sklearn")
    folders = [Path(place) for place in (package.submodule_search_locations or ())] if package else []
    for folder in folders:
        table = folder / "datasets" / "data" / "digits.csv.gz"
        if table.is_file():
            return np.loadtxt(table, delimiter=",")[:, :64].reshape(-1, 8, 8)  # the last column is the label
    from sklearn.datasets import load_digits

    values: np.ndarray = load_digits().images
    return values


def _downloaded(entry: Dataset, size: int, channels: int, limit: int | None) -> Pixels:
    from torchtty.engine.data.image_downloads import downloaded_pictures

    return downloaded_pictures(entry, size, channels, limit)


def _existing_folder(dataset: str) -> Path:
    path = Path(dataset).expanduser()
    if not path.exists():
        names = ", ".join(entry.name for entry in catalogue().values() if entry.kind == "images")
        raise UserError(
            f"data.dataset: there is no set of pictures called '{dataset}', nor a folder of that name. "
            f"Choose one of {names}, or give the path of a folder."
        )
    return path


def _folder(folder: Path, size: int, channels: int, limit: int | None) -> Pictures:
    found, links = find_pictures(folder)
    pixels, broken = read_pictures([found[index] for index in chosen(len(found), limit)], size, channels)
    notes = [_summary(folder.name or str(folder), pixels)]
    if broken:
        notes.append(broken_note(broken))
    if links:
        notes.append(f"{links:,} links that lead elsewhere were not followed.")
    return Pictures(folder.resolve().name, pixels, tuple(notes))


def _summary(title: str, pixels: Pixels) -> str:
    count, channels, size, _ = pixels.shape
    return f"{title}: {count:,} pictures at {size}x{size}, {'grey' if channels == 1 else 'in colour'}."
