"""Byte-pair encoding learnt from the user's own corpus."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers.base import damaged, stored_flag
from torchtty.engine.data.tokenizers.bpe_training import Pair, learn_merges
from torchtty.engine.data.tokenizers.byte_level import ByteLevelTokenizer

LARGEST_VOCABULARY = 100_000


class BytePairTokenizer(ByteLevelTokenizer):
    """The 256 bytes and the learnt merges, and for items a terminator with the last id.

    `merges[i]` are the two ids that id 256 + i consists of.
    """

    kind: ClassVar[str] = "byte-pair"

    def __init__(self, merges: Iterable[Sequence[int]], terminator: bool = False) -> None:
        self.merges: tuple[Pair, ...] = tuple((int(first), int(second)) for first, second in merges)
        self.terminator_id = 256 + len(self.merges) if terminator else None

    @classmethod
    def train(cls, texts: str | Iterable[str], vocab_size: int, terminator: bool = False) -> "BytePairTokenizer":
        """Learn from a text, or from items (`terminator=True`), a vocabulary of `vocab_size` tokens.

        It comes out smaller where the corpus has no pair left that occurs twice. Raises a `UserError` for a size below
        256, the bytes, or above 100,000.
        """
        fewest = 256 + terminator
        if not fewest <= vocab_size <= LARGEST_VOCABULARY:
            raise UserError(
                f"A byte-pair vocabulary cannot have {vocab_size:,} tokens: it begins with the 256 bytes. "
                f"Choose a size from {fewest} to {LARGEST_VOCABULARY:,}."
            )
        return cls(learn_merges([texts] if isinstance(texts, str) else texts, vocab_size - terminator), terminator)

    @cached_property
    def ranks(self) -> tuple[bytes, ...]:
        tokens = [bytes([byte]) for byte in range(256)]
        for first, second in self.merges:
            tokens.append(tokens[first] + tokens[second])
        return tuple(tokens)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "merges": [list(pair) for pair in self.merges],
            "terminator": self.terminator_id is not None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "BytePairTokenizer":
        merges = data.get("merges")
        if not isinstance(merges, list) or len(merges) > LARGEST_VOCABULARY:
            raise damaged("merges is not a list of pairs")
        lengths = [1] * 256
        for position, pair in enumerate(merges):
            if not (
                isinstance(pair, list)
                and len(pair) == 2
                and all(type(part) is int and 0 <= part < 256 + position for part in pair)
            ):
                raise damaged(f"merge {position} is not a pair of earlier tokens")
            lengths.append(lengths[pair[0]] + lengths[pair[1]])
            if lengths[-1] > 2**16:  # 20 doublings would fill the memory
                raise damaged(f"merge {position} makes a token of {lengths[-1]:,} bytes")
        tokenizer = cls(merges, stored_flag(data, "terminator"))
        if len(set(tokenizer.ranks)) != len(tokenizer.ranks):
            raise damaged("two merges make the same token")
        return tokenizer
