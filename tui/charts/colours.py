"""Colours for values: a scale from dark to bright, one that diverges from the middle, and shades where there is no colour."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color
from rich.style import Style

RGB = tuple[int, int, int]

BRIGHTENING = ("#0c0a24", "#2d1160", "#6b1d81", "#b63679", "#ee605e", "#feb078", "#fcfdbf")
"""From dark to bright, as evenly to the eye as can be: after magma (van der Walt & Smith, 2015, CC0)."""
DIVERGING = ("#7fd4e8", "#3a7fb8", "#1f3552", "#20202a", "#57301f", "#c05a26", "#f6b26b")
"""Blue below, orange above, dark in the middle: told apart with any colour vision."""
SHADES, ASCII_SHADES = " ░▒▓█", " .:-=+*#%@"
LEVELS = 48  # steps of a scale: more are not told apart, and fewer styles are sent


@dataclass(frozen=True)
class Scale:
    """How values become places between 0 and 1: evenly between `low` and `high`, or by their logarithms or square roots."""

    low: float
    high: float
    kind: str = "linear"  # linear, log or sqrt
    diverging: bool = False

    def place(self, value: float) -> float:
        """Return the place of a value, kept between 0 and 1."""
        low, high, value = (self._bent(one) for one in (self.low, self.high, value))
        if high <= low:
            return 0.5 if self.diverging else 0.0
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def _bent(self, value: float) -> float:
        if self.kind == "log":
            return math.log10(max(value, 1e-12))
        return math.sqrt(max(value, 0.0)) if self.kind == "sqrt" else value

    def colour(self, value: float) -> RGB:
        """Return the colour of a value."""
        return _mixed(DIVERGING if self.diverging else BRIGHTENING, round(self.place(value) * LEVELS))

    def shade(self, value: float, *, unicode: bool = True) -> str:
        """Return the character of a value, fuller where it is larger."""
        ramp = SHADES if unicode else ASCII_SHADES
        return ramp[min(len(ramp) - 1, int(self.place(value) * len(ramp)))]


def scale_for(values: Sequence[Sequence[float]], kind: str = "linear", *, diverging: bool = False) -> Scale:
    """Return the scale that goes from the least to the greatest of rows of values; one that diverges has 0 in the middle."""
    known = [value for row in values for value in row if math.isfinite(value) and (kind != "log" or value > 0)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    return Scale(low, high, kind, diverging)


@lru_cache(maxsize=256)
def _mixed(anchors: tuple[str, ...], level: int) -> RGB:
    at = level / LEVELS * (len(anchors) - 1)
    first = min(int(at), len(anchors) - 2)
    one, two = (tuple(int(anchors[place][i : i + 2], 16) for i in (1, 3, 5)) for place in (first, first + 1))
    red, green, blue = (round(a + (b - a) * (at - first)) for a, b in zip(one, two, strict=True))
    return red, green, blue


@lru_cache(maxsize=8192)
def cell_style(foreground: RGB | None, background: RGB | None, *, bold: bool = False) -> Style:
    """Return the style of a cell. A terminal of 256 colours gets the nearest of them."""
    colours = (Color.from_rgb(*rgb) if rgb else None for rgb in (foreground, background))
    return Style(color=next(colours), bgcolor=next(colours), bold=bold)


def ink_on(background: RGB) -> RGB:
    """Return black or white, whichever is read better on a background."""
    red, green, blue = background
    return (16, 16, 20) if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else (240, 240, 240)
