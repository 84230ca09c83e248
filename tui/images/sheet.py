"""The pictures of a grid: laid out for the room there is, and drawn in characters as half blocks or shades."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from torchtty.engine.contract.run.events import GAP_KEY, TILE_KEY

SMALL, SMALLEST = 9, 8  # pixels of a picture below which fewer are shown instead, and where there would be but few
FEW = 12
ENLARGED = 2  # how much larger than they are pictures are shown at most
MOST_PIXELS = 50_000_000
HALF = "▀"
LEVELS = 0xF8  # five bits a colour are enough for an eye, and neighbours that look alike cost nothing on the wire
SHADES = " ░▒▓█"
ASCII_SHADES = " .:-=+*#%@"

Line = tuple[Segment, ...]
Colour = tuple[int, int, int]


class Unreadable(Exception):
    """A file that is no picture, or not yet."""


@dataclass(frozen=True)
class Layout:
    """How many pictures are shown, and how large (pixels)."""

    columns: int
    rows: int
    size: int

    @property
    def width(self) -> int:
        return self.columns * (self.size + 1) - 1

    @property
    def height(self) -> int:
        return self.rows * (self.size + 1) - 1


def layout(count: int, size: int, width: int, height: int, scale: int = 1) -> Layout:
    """Return how `count` pictures of `size` pixels best fill width x height pixels, a pixel between them.

    All of them, if they can then still be told apart; else as many as there is room for. Small ones are enlarged a whole number
    of times, which keeps their pixels sharp. `scale` is how many pixels the terminal has for one of half blocks.
    """
    largest = max(1, min(size * scale * ENLARGED, width, height))

    def fitting(each: int) -> tuple[int, int]:
        return (width + 1) // (each + 1), (height + 1) // (each + 1)

    def shown(each: int) -> int:
        columns, rows = fitting(each)
        return min(count, columns * rows)

    small, smallest = (min(least * scale, size * scale, largest) for least in (SMALL, SMALLEST))
    best = next((each for each in range(largest, small - 1, -1) if shown(each) == count), small)
    if shown(best) < min(count, FEW):
        best = max(range(smallest, small + 1), key=lambda each: shown(each) * each**2)  # what covers most of the room
    if best > size:
        best -= best % size
    columns, rows = fitting(best)
    rows = max(1, min(rows, math.ceil(count / max(1, columns))))
    columns = max(1, min(columns, math.ceil(count / rows)))
    return Layout(columns, rows, best)


def tiles(path: Path) -> list[Image.Image]:
    """Return the pictures of a grid's PNG file, or the whole as one where it does not say how it is divided.

    Raises `Unreadable`.
    """
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Unreadable(f"{path.name} is too large to show")
            tile, gap = _number(picture, TILE_KEY), _number(picture, GAP_KEY)
            whole = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(f"{path.name} cannot be read") from error
    if not 0 < tile <= min(whole.size):
        return [whole]
    step = tile + gap
    return [
        whole.crop((left, top, left + tile, top + tile))
        for top in range(0, whole.height - tile + 1, step)
        for left in range(0, whole.width - tile + 1, step)
    ]


@dataclass(frozen=True)
class Sheet:
    """Pictures laid out on one, and how many of them there was room for."""

    image: Image.Image
    shown: int


def sheet(pictures: list[Image.Image], width: int, height: int, scale: int = 1) -> Sheet:
    """Draw pictures on a black sheet of at most width x height pixels, laid out for that room.

    `scale` is how many pixels the terminal has for one of them: 1 for half blocks, more for real graphics.
    """
    size = max(pictures[0].size)
    room = layout(len(pictures), size, width, height, scale)
    drawn = Image.new("RGB", (room.width, room.height))
    method = Image.Resampling.LANCZOS if room.size < size else Image.Resampling.BICUBIC
    if room.size % size == 0:
        method = Image.Resampling.NEAREST
    shown = pictures[: room.columns * room.rows]
    for place, picture in enumerate(shown):
        fraction = room.size / size
        wide, high = max(1, round(picture.width * fraction)), max(1, round(picture.height * fraction))
        left, top = place % room.columns * (room.size + 1), place // room.columns * (room.size + 1)
        drawn.paste(picture.resize((wide, high), method), (left, top))
    return Sheet(drawn, len(shown))


def _number(picture: Image.Image, key: str) -> int:
    text = str(picture.info.get(key, ""))
    return int(text) if text.isdigit() and len(text) < 6 else 0


# In characters.


def half_blocks(picture: Image.Image) -> list[Line]:
    """Return lines that show an RGB picture, each cell its upper pixel in the foreground, its lower in the background."""
    width, height = picture.size
    colours = picture.point(lambda value: value & LEVELS).tobytes()
    pixels = list(zip(colours[::3], colours[1::3], colours[2::3], strict=True))
    lines = []
    for top in range(0, height * width, 2 * width):
        upper, lower = pixels[top : top + width], pixels[top + width : top + 2 * width] or [(0, 0, 0)] * width
        runs = groupby(zip(upper, lower, strict=True))
        lines.append(tuple(_cells(len(list(run)), *pair) for pair, run in runs))
    return lines


def shades(picture: Image.Image, *, ascii_only: bool = False, inverted: bool = False) -> list[Line]:
    """Return lines that show a picture by how much of a cell is filled; `inverted` for dark text on a light ground."""
    ramp = ASCII_SHADES if ascii_only else SHADES
    if inverted:
        ramp = ramp[::-1]
    width, height = picture.size
    grey = picture.convert("L").resize((width, max(1, (height + 1) // 2)), Image.Resampling.BOX)
    pixels = grey.tobytes()
    return [
        (Segment("".join(ramp[value * len(ramp) // 256] for value in pixels[top : top + width])),)
        for top in range(0, len(pixels), width)
    ]


def _cells(count: int, upper: Colour, lower: Colour) -> Segment:
    # One colour needs no glyph, and a space shows no seam in fonts whose half blocks are not quite half.
    return Segment((" " if upper == lower else HALF) * count, _style(upper, lower))


@lru_cache(maxsize=8192)
def _style(upper: Colour, lower: Colour) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))
