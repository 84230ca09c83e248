"""How a chart looks: its colours, markers and styles, and what the terminal can show."""

import locale
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style

if TYPE_CHECKING:
    from textual.widget import Widget

Run = tuple[str, Style]  # text in one style
Line = tuple[Run, ...]  # a line of a frame

PALETTE: tuple[str, ...] = (
    "#e8743b",  # orange: training
    "#4a9fdc",  # blue: validation
    "#2bb587",  # bluish green
    "#d98fc0",  # pink
    "#e6c84c",  # yellow
    "#9c8cf0",  # violet
    "#7fd4e8",  # light blue
    "#c9a27a",  # sand
)
"""Okabe and Ito's colours (Color Universal Design, 2008), lightened to be readable on dark and on light themes."""

TRAIN, VALID = PALETTE[0], PALETTE[1]

MARKERS: tuple[str, ...] = ("braille", "•", "×", "○", "+", "▪", "◇", "▵")
"""The markers that distinguish curves without colours: "braille" draws a line of dots, the others fill cells."""

ASCII_MARKERS: tuple[str, ...] = ("*", "o", "+", "x", "#", "@", "%", "=")
"""The markers of a terminal that shows ASCII only."""

STYLED_PARTS = ("title", "label", "axis", "reference", "mark", "cursor", "finding")
"""What the style sheet has a class for each of."""
FADED = 0.7  # how far the colour of raw points lies towards that behind them
BOLD, DIM = Style(bold=True), Style(dim=True)


def colour(index: int) -> str:
    """Return the colour of the n-th curve; after the last the first comes again."""
    return PALETTE[index % len(PALETTE)]


@dataclass(frozen=True)
class ChartStyle:
    """The styles of a chart's parts, without a background of their own.

    `colour` is off under NO_COLOR, `unicode` on terminals that show ASCII only.
    """

    title: Style = BOLD
    label: Style = DIM
    axis: Style = DIM
    reference: Style = DIM
    mark: Style = DIM
    cursor: Style = BOLD
    finding: Style = BOLD
    backdrop: str | None = None
    """The colour behind the chart, which raw points fade towards; None dims them with the terminal's own attribute."""
    colour: bool = True
    unicode: bool = True

    def marker(self, index: int) -> str:
        """Return the marker of the n-th curve; markers differ only where colours cannot distinguish the curves."""
        if not self.unicode:
            return ASCII_MARKERS[index % len(ASCII_MARKERS)]
        return "braille" if self.colour else MARKERS[index % len(MARKERS)]

    def curve(self, colour: str) -> Style:
        return Style(color=colour) if self.colour else Style()

    def raw(self, colour: str) -> Style:
        """Return the style of the raw points beneath a smoothed curve."""
        if not self.colour:
            return Style(dim=True)
        if self.backdrop is None:
            return Style(color=colour, dim=True)
        return Style(color=faded(colour, self.backdrop))

    def sample(self, index: int) -> str:
        """Return the legend's sample of the n-th curve."""
        marker = self.marker(index)
        return "──" if marker == "braille" else marker * 2


PLAIN = ChartStyle()  # the style without a theme, as the command line prints charts


def style_of(chart: "Widget") -> ChartStyle:
    """Return the style that a chart widget's style sheet and its app's theme define."""

    parts = {name: chart.get_component_rich_style(f"chart--{name}") for name in STYLED_PARTS}
    backdrop = chart.background_colors[1]
    return ChartStyle(
        # Only the foreground: a chart has the background of the widget that holds it.
        **{name: Style(color=part.color, bold=part.bold, dim=part.dim) for name, part in parts.items()},
        backdrop=None if backdrop.ansi is not None else backdrop.hex6,
        colour=not chart.app.no_color,
        unicode=terminal_shows_unicode(),
    )


def faded(colour: str, towards: str, share: float = FADED) -> str:
    """Mix two colours given as #rrggbb; others are returned as they are."""
    if not (colour.startswith("#") and towards.startswith("#")):
        return colour
    one, two = (tuple(int(text[i : i + 2], 16) for i in (1, 3, 5)) for text in (colour, towards))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(one, two, strict=True))


def terminal_shows_unicode() -> bool:
    """Return whether the locale's encoding has box-drawing and braille characters."""
    return "utf" in locale.getpreferredencoding(False).lower()


_TO_ASCII = str.maketrans(
    {**dict.fromkeys("─━┈┄╌", "-"), **dict.fromkeys("│┃┊┆╎", "|"), **dict.fromkeys("┤├┼└┘┌┐┬┴", "+"), "▁": "_"}
)


def as_ascii(text: str) -> str:
    """Replace box-drawing characters by ASCII, and every other one beyond ASCII by a question mark."""
    return text.translate(_TO_ASCII).replace("–", "-").encode("ascii", "replace").decode("ascii")
