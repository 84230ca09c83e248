"""How a frame looks: the styles of its parts and what the terminal can show."""

import locale
from dataclasses import dataclass

from rich.style import Style

from torchtty.tui.charts.palette import ASCII, GLYPHS

BOLD, DIM = Style(bold=True), Style(dim=True)


@dataclass(frozen=True)
class Look:
    """Styles without a background of their own.

    `colour` is off under NO_COLOR, `unicode` on terminals that show ASCII only.
    """

    title: Style = BOLD
    label: Style = DIM
    axis: Style = DIM
    reference: Style = DIM
    mark: Style = DIM
    cursor: Style = BOLD
    backdrop: str | None = None
    """The colour behind the chart, which raw points fade towards; None dims them with the terminal's own attribute."""
    colour: bool = True
    unicode: bool = True

    def marker(self, index: int) -> str:
        """Return the marker of the n-th curve; they differ where colours do not tell the curves apart."""
        if not self.unicode:
            return ASCII[index % len(ASCII)]
        return "braille" if self.colour else GLYPHS[index % len(GLYPHS)]

    def curve(self, colour: str) -> Style:
        """Return the style of a curve."""
        return Style(color=colour) if self.colour else Style()

    def raw(self, colour: str) -> Style:
        """Return the style of the raw points beneath a smoothed curve."""
        if not self.colour:
            return Style(dim=True)
        if self.backdrop is None:
            return Style(color=colour, dim=True)
        return Style(color=faded(colour, self.backdrop))

    def sample(self, index: int) -> str:
        """Return what stands for the n-th curve in the legend."""
        marker = self.marker(index)
        return "──" if marker == "braille" else marker * 2


PLAIN = Look()
"""What a terminal shows without a theme."""


def faded(colour: str, towards: str, share: float = 0.7) -> str:
    """Mix two colours given as #rrggbb; others are returned as they are."""
    if not (colour.startswith("#") and towards.startswith("#")):
        return colour
    one, two = (tuple(int(text[i : i + 2], 16) for i in (1, 3, 5)) for text in (colour, towards))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, two, strict=True))


def terminal_shows_unicode() -> bool:
    """Say whether the locale's encoding has box-drawing and braille characters."""
    return "utf" in locale.getpreferredencoding(False).lower()


_TO_ASCII = str.maketrans(
    {**dict.fromkeys("─━┈┄╌", "-"), **dict.fromkeys("│┃┊┆╎", "|"), **dict.fromkeys("┤├┼└┘┌┐┬┴", "+")}
)


def as_ascii(text: str) -> str:
    """Replace box-drawing characters by ASCII, and every other one beyond ASCII by a question mark."""
    return text.translate(_TO_ASCII).replace("–", "-").encode("ascii", "replace").decode("ascii")
