"""One token a word."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from torchtty.engine.data.tokenizers.base import TextStream, Tokenizer, damaged, stored_flag, stored_strings

Split = Literal["whitespace", "punctuation"]

PAD, UNKNOWN = "<pad>", "<unk>"
_NO_SPACE_BEFORE = frozenset(".,;:!?…)]}»%")
_NO_SPACE_AFTER = frozenset("([{«¿¡")

# A word keeps the apostrophes and dashes inside it; any other sign is a word of its own.
_WORD_OR_SIGN = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")


def split_words(text: str, split: Split, lower_case: bool) -> list[str]:
    """The words of a text, in order."""
    if lower_case:
        text = text.lower()
    return text.split() if split == "whitespace" else _WORD_OR_SIGN.findall(text)


def space_between(before: str, word: str) -> str:
    """Return the space between two words of a text that is put together again, or nothing beside such a mark."""
    return "" if word in _NO_SPACE_BEFORE or before in _NO_SPACE_AFTER else " "


class WordTokenizer(Tokenizer):
    """The words of a corpus in alphabetical order, after `<pad>` (id 0) and `<unk>` (id 1).

    With `special_tokens=False` the vocabulary is the words alone, and an unknown word is left out. Decoding joins words
    with single spaces, and with `split="punctuation"` sets no space before a comma or after an opening bracket: the
    words survive the round trip, the white space between them does not.
    """

    kind: ClassVar[str] = "word"

    def __init__(
        self,
        words: Iterable[str],
        *,
        split: Split = "punctuation",
        lower_case: bool = True,
        special_tokens: bool = True,
    ) -> None:
        self.words = tuple(words)
        self.split: Split = split
        self.lower_case = lower_case
        self.special_tokens = special_tokens
        self.tokens = (PAD, UNKNOWN, *self.words) if special_tokens else self.words
        self._ids = {word: position for position, word in enumerate(self.tokens)}
        assert len(self._ids) == len(self.tokens)

    @classmethod
    def from_text(
        cls, text: str, *, split: Split = "punctuation", lower_case: bool = True, special_tokens: bool = True
    ) -> "WordTokenizer":
        """The tokenizer of every word of a text."""
        words = set(split_words(text, split, lower_case)) - ({PAD, UNKNOWN} if special_tokens else set())
        return cls(sorted(words), split=split, lower_case=lower_case, special_tokens=special_tokens)

    def encode(self, text: str) -> list[int]:
        unknown = self._ids[UNKNOWN] if self.special_tokens else None
        found = (self._ids.get(word, unknown) for word in split_words(text, self.split, self.lower_case))
        return [token_id for token_id in found if token_id is not None]

    def stream(self) -> TextStream:
        return _JoinedWords(self)

    def unknown(self, text: str) -> set[str]:
        return {word for word in split_words(text, self.split, self.lower_case) if word not in self._ids}

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "words": list(self.words),
            "split": self.split,
            "lower_case": self.lower_case,
            "special_tokens": self.special_tokens,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "WordTokenizer":
        words = stored_strings(data, "words")
        special_tokens = stored_flag(data, "special_tokens")
        split = data.get("split")
        if split not in ("whitespace", "punctuation"):
            raise damaged("split is neither whitespace nor punctuation")
        if (special_tokens and not {PAD, UNKNOWN}.isdisjoint(words)) or not (words or special_tokens):
            raise damaged("words are missing or repeat the special ones")
        return cls(words, split=split, lower_case=stored_flag(data, "lower_case"), special_tokens=special_tokens)


class _JoinedWords(TextStream):
    """Sets the spaces between words; each space comes with the word after it."""

    tokenizer: WordTokenizer
    before: str | None = None

    def push(self, token_id: int) -> str:
        word = self.tokenizer.decode_token(token_id)
        before, self.before = self.before, word
        if before is None:
            return word
        return (" " if self.tokenizer.split == "whitespace" else space_between(before, word)) + word
