"""Making text from models and files safe to show."""

import re
import unicodedata

_EMOJI = "\u2190-\u2bff\U0001f000-\U0001faff"
# C0 and C1 controls, and the marks that reorder or hide text around them; the joiner between two emoji makes them one.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
    f"|(?<![\ufe0f{_EMOJI}])\u200d|\u200d(?![{_EMOJI}])"
)


def printable(text: str) -> str:
    """Replace what would act on a terminal by a visible sign; newlines and tabs stay.

    C0 controls become their pictures (U+2400 block), everything else U+FFFD. Lone surrogates are replaced too.
    """
    safe = text.encode("utf-8", "replace").decode("utf-8")
    return _UNSAFE.sub(_sign, safe)


def printable_line(text: str) -> str:
    """As `printable`, on one line: newlines and tabs become signs too."""
    return printable(text).replace("\n", "⏎").replace("\t", "⇥")


def shortened(text: str, most: int = 80) -> str:
    """Return a text of a person's, cut where it is too long to be quoted in a sentence."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _sign(match: "re.Match[str]") -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


def symbol_name(symbol: str) -> str:
    """Name a character so that it can be read in a message: `'é'`, `space`, `U+0007`."""
    if symbol == " ":
        return "space"
    if symbol == "\n":
        return "newline"
    if unicodedata.category(symbol[:1] or " ")[0] in "CZ":
        return f"U+{ord(symbol[0]):04X}"
    return f"'{symbol}'"
