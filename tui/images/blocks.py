"""Pictures as characters: two pixels a cell in half blocks, or shades where there are no colours."""

from functools import lru_cache

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

Line = tuple[Segment, ...]

HALF = "▀"
LEVELS = 0xF8  # five bits a colour are enough for an eye, and neighbours that look alike cost nothing on the wire
SHADES = " ░▒▓█"
ASCII_SHADES = " .:-=+*#%@"


def half_blocks(picture: Image.Image) -> list[Line]:
    """Return lines that show an RGB picture, each cell its upper pixel in the foreground, its lower in the background."""
    width, height = picture.size
    pixels = picture.tobytes()
    stride = width * 3
    lines = []
    for top in range(0, height, 2):
        upper = pixels[top * stride : (top + 1) * stride]
        lower = pixels[(top + 1) * stride : (top + 2) * stride] or bytes(stride)
        segments: list[Segment] = []
        run, before = 0, None
        for at in range(0, stride, 3):
            colours = (
                (upper[at] & LEVELS, upper[at + 1] & LEVELS, upper[at + 2] & LEVELS),
                (lower[at] & LEVELS, lower[at + 1] & LEVELS, lower[at + 2] & LEVELS),
            )
            if colours != before:
                if before is not None:
                    segments.append(_cells(run, before))
                run, before = 0, colours
            run += 1
        if before is not None:
            segments.append(_cells(run, before))
        lines.append(tuple(segments))
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


def _cells(count: int, colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> Segment:
    upper, lower = colours
    # One colour needs no glyph, and a space shows no seam in fonts whose half blocks are not quite half.
    return Segment((" " if upper == lower else HALF) * count, _style(upper, lower))


@lru_cache(maxsize=8192)
def _style(upper: tuple[int, int, int], lower: tuple[int, int, int]) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))
