"""Corpora: telling a list of items from running text, cleaning, and splitting."""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from torchtty.engine.contract.settings.catalogue import Normalisation

Unit = Literal["items", "text"]
Part = TypeVar("Part", str, tuple[str, ...])

_ITEM_SHARE = 0.95
_ITEM_LENGTH = 40
_FEWEST_ITEMS = 10


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a model learns from: `items` where the unit is items, `text` where it is text; the other one is empty.

    `source` says where it came from (a path, or a dataset's title). `notes` are sentences for a person about what
    was changed or left out while reading. `encoding`, `size` in bytes and `files` are those of what was read;
    `read` is how many bytes of it were, where that was only a beginning.
    """

    name: str
    unit: Unit
    text: str = ""
    items: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()
    encoding: str = ""
    size: int = 0
    files: int = 0
    read: int | None = None

    def symbols(self) -> tuple[str, ...]:
        """Every distinct character, sorted."""
        return tuple(sorted(set(self.text) if self.unit == "text" else set().union(*self.items)))


def item_lines(text: str) -> tuple[str, ...]:
    """The lines that are not blank, without the white space around them."""
    return tuple(item for line in text.split("\n") if (item := line.strip()))


def detect_unit(text: str) -> Unit:
    """Whether a text is a list of items, one a line.

    It is when there are at least 10 lines that are not blank, and at least 95 % of them are one item: a run of at most
    40 characters with no white space inside and at least one letter or digit.
    """
    lines = item_lines(text)
    if len(lines) < _FEWEST_ITEMS:
        return "text"
    short = [line for line in lines if len(line) <= _ITEM_LENGTH]
    single = sum(len(line.split(None, 1)) == 1 and any(map(str.isalnum, line)) for line in short)
    return "items" if single >= _ITEM_SHARE * len(lines) else "text"


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


def limited(corpus: Corpus, limit: int | None, seed: int) -> Corpus:
    """Return so many items of a corpus, drawn at random by `seed`, or so many characters of a running text, from its beginning."""
    size = len(corpus.items) if corpus.unit == "items" else len(corpus.text)
    if limit is None or limit >= size:
        return corpus
    note = f"Only {limit:,} of {size:,} {'items' if corpus.unit == 'items' else 'characters'} are learnt from."
    items = random.Random(seed).sample(corpus.items, limit) if corpus.unit == "items" else ()
    text = corpus.text[:limit] if corpus.unit == "text" else ""
    return replace(corpus, items=tuple(items), text=text, notes=(*corpus.notes, note))


def split_items(
    items: Sequence[str], val_fraction: float, test_fraction: float = 0.0, seed: int = 42
) -> dict[str, tuple[str, ...]]:
    """Split by item, as `split`, after a shuffle that depends on `seed` alone."""
    shuffled = list(items)
    random.Random(seed).shuffle(shuffled)
    return split(tuple(shuffled), val_fraction, test_fraction)


def split(whole: Part, val_fraction: float, test_fraction: float = 0.0) -> dict[str, Part]:
    """Split by position into `train`, `val` and `test`, of whole items or characters, rounded down; the last two may be empty."""
    # Rounded first, or 1 - 0.1 - 0.2 would lose an item to the binary fraction 0.7000000000000001 or 0.69999.
    train = int(round(1 - val_fraction - test_fraction, 9) * len(whole))
    val = int(round(1 - test_fraction, 9) * len(whole))
    return {"train": whole[:train], "val": whole[train:val], "test": whole[val:]}
