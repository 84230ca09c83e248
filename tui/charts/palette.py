"""The colours and markers of curves: told apart by people with every kind of colour vision."""

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

GLYPHS: tuple[str, ...] = ("braille", "•", "×", "○", "+", "▪", "◇", "▵")
"""What tells curves apart without colours: "braille" is a line of dots, the others mark cells."""

ASCII: tuple[str, ...] = ("*", "o", "+", "x", "#", "@", "%", "=")
"""The same on a terminal that shows ASCII only."""


def colour(index: int) -> str:
    """Return the colour of the n-th curve; after the last the first comes again."""
    return PALETTE[index % len(PALETTE)]
