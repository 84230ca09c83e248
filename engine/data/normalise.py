"""Cleaning a corpus: small letters, letters only, no headings, dashes for spaces."""

import re
from collections.abc import Iterable

from torchtty.engine.contract.settings.catalogue import Normalisation

# A line that is nothing but "Chapter 4", "Inferno: Canto I" or the like.
_HEADING = (
    r"(?:[^\W\d_]+:\s*)?(?:act|book|canto|capitolo|chapter|libro|part|scene)\s+(?:[ivxlcdm]+|\d+)\.?"
    r"(?:\s*[.:,]\s.{0,60})?"
)
_OTHER_THAN_LETTERS = re.compile(r"[\W\d_]+")
# Items keep the dash, which stands for the space, and the letters of the English alphabet.
_LETTERS_AND_DASHES = re.compile(r"[A-Za-z-]+")


def normalise_text(text: str, options: Normalisation, headings: str = "") -> str:
    """Running text, cleaned.

    `drop_headings` removes the lines that match `headings` (without it: lines such as "Chapter 4" or
    "Inferno: Canto I"). `letters_only` turns every run of characters that are not letters, in any script, into one
    space and leaves none at either end. `spaces_to_dashes` is for items and does nothing here.
    """
    if options.drop_headings:
        pattern = rf"^[ \t]*(?:{headings or _HEADING})[ \t]*(?:\n|\Z)"
        text = re.sub(pattern, "", text, flags=re.MULTILINE if headings else re.MULTILINE | re.IGNORECASE)
    if options.lower_case:
        text = text.lower()
    if options.letters_only:
        text = _OTHER_THAN_LETTERS.sub(" ", text).strip()
    return text


def normalise_items(items: Iterable[str], options: Normalisation, headings: str = "") -> tuple[str, ...]:
    """Items, cleaned, in their order; an item that occurs twice stays twice.

    `spaces_to_dashes` turns each run of white space inside an item into one dash. `letters_only` drops an item with
    anything but a to z, A to Z and dashes. Items left empty are dropped.
    """
    heading = re.compile(headings or _HEADING, re.NOFLAG if headings else re.IGNORECASE)
    cleaned = []
    for item in items:
        item = item.strip()
        if options.drop_headings and heading.fullmatch(item):
            continue
        if options.spaces_to_dashes:
            item = "-".join(item.split())
        if options.lower_case:
            item = item.lower()
        if not item or (options.letters_only and not _LETTERS_AND_DASHES.fullmatch(item)):
            continue
        cleaned.append(item)
    return tuple(cleaned)
