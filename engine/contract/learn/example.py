"""The example that is computed by hand: its text, its sizes, and weights that are given or drawn from a seed."""

import math
import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from torchtty.engine.contract.errors import UserError

START, END = "<start>", "<end>"
LONGEST_SENTENCE = 12  # words
LONGEST_WORD = 20  # characters
_WORD = re.compile(r"\w+(?:['’-]\w+)*")

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Sizes:
    """The sizes of the transformer. Raises `UserError` for those that cannot be."""

    d_model: int = 6
    d_k: int = 4
    n_head: int = 1
    d_ff: int = 8

    LIMITS = {"d_model": (2, 16), "d_k": (1, 8), "n_head": (1, 4), "d_ff": (1, 32)}

    def __post_init__(self) -> None:
        for name, (low, high) in self.LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} must be from {low} to {high}, so that the tables can be read.")
        if self.d_model % 2:
            raise UserError("d_model must be even: a position's columns go in pairs of a sine and a cosine.")


@dataclass(frozen=True)
class Example:
    """What is computed: the sentence that is read, what is written so far, and the weights."""

    corpus: tuple[tuple[str, ...], ...]
    sentence: tuple[str, ...]
    written: tuple[str, ...]
    following: str  # the word that the text has next, "" if nobody knows
    sizes: Sizes = Sizes()
    seed: int = 1
    given: Mapping[str, Matrix] = field(default_factory=dict)
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every distinct word in the order of the text, behind the signs for start and end."""
        words = [word for sentence in (*self.corpus, self.sentence, self.written) for word in sentence]
        return tuple(dict.fromkeys((START, END, *words)))

    def weights(self, name: str, rows: int, columns: int) -> Matrix:
        """Return a weight matrix: the given one if it has this shape, else one drawn from the seed and the name.

        Drawn weights have the variance 1 / rows, so that a product keeps the size of its input, and two decimals.
        """
        found = self.given.get(name)
        if found is not None and (len(found), len(found[0])) == (rows, columns):
            return found
        return self._drawn(name, rows, columns, math.sqrt(3 / rows))

    def embedding(self) -> Matrix:
        """Return a row for every word of the vocabulary, those that are given and drawn ones between -1 and 1."""
        d_model = self.sizes.d_model
        return tuple(
            row
            if (row := self.embeddings.get(word)) is not None and len(row) == d_model
            else self._drawn(f"embedding of {word}", 1, d_model, 1.0)[0]
            for word in self.vocabulary
        )

    def _drawn(self, name: str, rows: int, columns: int, reach: float) -> Matrix:
        source = random.Random(f"{self.seed} {name}")
        return tuple(tuple(round(source.uniform(-reach, reach), 2) for _ in range(columns)) for _ in range(rows))

    def with_text(self, sentence: str, written: str, sizes: Sizes, seed: int) -> "Example":
        """Return the example with a person's own text, sizes and seed; raise `UserError` if it has no words or too many."""
        read, so_far = words(sentence), words(written)
        if not read:
            raise UserError("The sentence has no word. Write at least one.")
        for what, found, most in (
            ("The sentence", read, LONGEST_SENTENCE),
            ("What is written", so_far, LONGEST_SENTENCE - 1),
        ):
            if len(found) > most:
                raise UserError(f"{what} has {len(found)} words, and {most} is the most: the tables are to be read.")
            if long := next((word for word in found if len(word) > LONGEST_WORD), None):
                raise UserError(f"The word {long[:LONGEST_WORD]}… is longer than {LONGEST_WORD} characters.")
        example = replace(self, sentence=read, written=so_far, sizes=sizes, seed=seed, following="")
        return replace(example, following=_word_after(so_far, (*self.corpus, read)))


def words(text: str) -> tuple[str, ...]:
    """Cut a text into words in lower case; punctuation is dropped."""
    return tuple(_WORD.findall(text.lower()))


def _word_after(so_far: Sequence[str], corpus: Sequence[tuple[str, ...]]) -> str:
    """Return the word that follows in the first sentence that begins so, END after its last one, "" where none does."""
    for sentence in corpus:
        if sentence[: len(so_far)] == tuple(so_far):
            return sentence[len(so_far)] if len(sentence) > len(so_far) else END
    return ""


@cache
def built_in() -> Example:
    """Return the example that ships."""
    content = read_asset("by-hand")
    corpus = tuple(map(words, content["corpus"]))
    return Example(
        corpus,
        words(content["sentence"]),
        words(content["written"]),
        content["next"],
        Sizes(**content["sizes"]),
        content["seed"],
        {name: tuple(map(tuple, rows)) for name, rows in content["weights"].items()},
        {word: tuple(row) for word, row in content["embedding"].items()},
    )


def read_asset(name: str) -> dict[str, Any]:
    """Read a file of `assets/learn`."""
    return tomllib.loads((resources.files("torchtty.assets") / "learn" / f"{name}.toml").read_text(encoding="utf-8"))
