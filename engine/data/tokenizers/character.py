"""One token a character."""

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from torchtty.engine.data.tokenizers.base import Ids, Tokenizer, damaged, stored_flag, stored_strings


class CharacterTokenizer(Tokenizer):
    """The sorted characters of a corpus, and for items a terminator before them with id 0, shown as ".".

    Characters that the vocabulary lacks are left out when a prompt is encoded, and reported by `unknown`.
    Round trip: `decode(encode(text)) == text` for any text of its own characters.
    """

    kind: ClassVar[str] = "character"

    def __init__(self, symbols: Iterable[str], terminator: bool = False) -> None:
        self.symbols = tuple(sorted(symbols))
        assert all(len(symbol) == 1 for symbol in self.symbols)
        assert len(set(self.symbols)) == len(self.symbols)
        self.terminator_id = 0 if terminator else None
        # A full stop that is a character of the corpus must not look like the end.
        shown = ["." if "." not in self.symbols else "␃"] if terminator else []
        self.tokens = (*shown, *self.symbols)
        self._ids = {symbol: position + len(shown) for position, symbol in enumerate(self.symbols)}
        codes = [ord(symbol) for symbol in self.symbols]
        # Code point -> id, -1 for what is not in the vocabulary; the last entry stands for all higher code points.
        self._table = np.full(max(codes, default=0) + 2, -1, dtype=np.int64)
        self._table[codes] = np.arange(len(codes)) + len(shown)

    @classmethod
    def from_text(cls, text: str) -> "CharacterTokenizer":
        """The tokenizer of a running text."""
        return cls(set(text))

    @classmethod
    def from_items(cls, items: Iterable[str]) -> "CharacterTokenizer":
        """The tokenizer of items, with a terminator."""
        return cls(set().union(*items), terminator=True)

    def encode(self, text: str) -> list[int]:
        return [self._ids[symbol] for symbol in text if symbol in self._ids]

    def encode_array(self, text: str) -> Ids:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        ids = self._table[np.minimum(codes, len(self._table) - 1)]
        return ids[ids >= 0]

    def unknown(self, text: str) -> set[str]:
        return set(text) - self._ids.keys()

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "symbols": list(self.symbols), "terminator": self.terminator_id is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CharacterTokenizer":
        symbols = stored_strings(data, "symbols")
        if not symbols or any(len(symbol) != 1 for symbol in symbols) or symbols != sorted(symbols):
            raise damaged("symbols are not single characters in order")
        return cls(symbols, stored_flag(data, "terminator"))
