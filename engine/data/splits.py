"""Splitting a corpus into what is learnt from, what is validated on, and what is kept for the end."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from torchtty.engine.data.text import Corpus

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Split(Generic[Part]):
    """Three parts that share nothing and together are the whole. `val` and `test` may be empty."""

    train: Part
    val: Part
    test: Part


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
) -> Split[tuple[str, ...]]:
    """Split by item, after a shuffle that depends on `seed` alone. Parts are counted in whole items, rounded down."""
    shuffled = list(items)
    random.Random(seed).shuffle(shuffled)
    train, val = _bounds(len(shuffled), val_fraction, test_fraction)
    return Split(tuple(shuffled[:train]), tuple(shuffled[train:val]), tuple(shuffled[val:]))


def split_text(text: str, val_fraction: float, test_fraction: float = 0.0) -> Split[str]:
    """Split by position: the beginning is learnt from, the end is kept aside."""
    train, val = _bounds(len(text), val_fraction, test_fraction)
    return Split(text[:train], text[train:val], text[val:])


def _bounds(length: int, val_fraction: float, test_fraction: float) -> tuple[int, int]:
    assert val_fraction >= 0
    assert test_fraction >= 0
    assert val_fraction + test_fraction <= 1
    # Rounded first, or 1 - 0.1 - 0.2 would lose an item to the binary fraction 0.7000000000000001 or 0.69999.
    train = int(round(1 - val_fraction - test_fraction, 9) * length)
    val = int(round(1 - test_fraction, 9) * length)
    return train, val
