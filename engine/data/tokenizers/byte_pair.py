"""Byte-pair encoding: the base of tokenizers of byte strings, learning merges from a corpus, and the tokenizer learnt."""

import codecs
import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers.base import Ids, TextStream, Tokenizer, damaged, stored_flag

if TYPE_CHECKING:
    import tiktoken

# How GPT-2 cuts text before merging (Radford et al. 2019, encoder.py), in the equivalent form that tiktoken uses.
SPLIT_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

_LONGEST_SPACE = 10_000
# A whole run; looking back keeps a run from being tried again from each of its places.
_LONG_SPACE = re.compile(rf"(?<!\s)\s{{{_LONGEST_SPACE},}}")


def valid_unicode(text: str) -> str:
    """Return a text with U+FFFD in place of lone surrogates, which no UTF encodes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class ByteLevelTokenizer(Tokenizer):
    """Base of tokenizers whose tokens are byte strings; every text can be encoded.

    `ranks` are the tokens in order of merging: a token's place is its id. After them comes the terminator, if any.
    Round trip: `decode(encode(text)) == text` for any text that is valid Unicode; a lone surrogate is encoded as U+FFFD.
    """

    terminator_text = "<|endoftext|>"

    ranks: tuple[bytes, ...]

    @property
    def vocab_size(self) -> int:
        return len(self.ranks) + (self.terminator_id is not None)

    @cached_property
    def encoding(self) -> "tiktoken.Encoding":
        import tiktoken

        return tiktoken.Encoding(
            self.kind,
            pat_str=SPLIT_PATTERN,
            mergeable_ranks={token: rank for rank, token in enumerate(self.ranks)},
            special_tokens={} if self.terminator_id is None else {self.terminator_text: self.terminator_id},
        )

    def encode(self, text: str) -> list[int]:
        return self.encode_array(text).tolist()

    def encode_array(self, text: str) -> Ids:
        # With nothing disallowed, the terminator's name inside a text is text like any other.
        try:
            encoded = [self.encoding.encode_to_numpy(part, disallowed_special=()) for part in self._parts(text)]
        except UnicodeEncodeError:
            return self.encode_array(valid_unicode(text))
        return np.concatenate(encoded).astype(np.int64)

    @staticmethod
    def _parts(text: str) -> list[str]:
        """The text, cut inside long runs of white space, which the split pattern's look-ahead cannot take whole."""
        runs = [range(*match.span(), _LONGEST_SPACE) for match in _LONG_SPACE.finditer(text)]
        cuts = [0, *(place for run in runs for place in run[1:]), len(text)]
        return [text[start:end] for start, end in pairwise(cuts)]

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of one token; the terminator's are its name."""
        self.check_id(token_id)
        return self.terminator_text.encode() if token_id == self.terminator_id else self.ranks[token_id]

    def decode_token(self, token_id: int) -> str:
        """One token by itself; bytes that are no whole character are shown as U+FFFD."""
        return self.token_bytes(token_id).decode("utf-8", "replace")

    def stream(self) -> TextStream:
        return _Utf8Stream(self)

    def unknown(self, text: str) -> set[str]:  # noqa: ARG002
        return set()


class _Utf8Stream(TextStream):
    """Holds back the bytes of a character until it is whole."""

    tokenizer: ByteLevelTokenizer

    def __init__(self, tokenizer: ByteLevelTokenizer) -> None:
        super().__init__(tokenizer)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        return self.decoder.decode(self.tokenizer.token_bytes(token_id))

    def finish(self) -> str:
        return self.decoder.decode(b"", final=True)


Pair = tuple[int, int]

# A corpus without spaces would otherwise be one word whose every merge touches all of it.
_LONGEST_WORD = 200


def learn_merges(texts: Iterable[str], vocab_size: int) -> list[Pair]:
    """The merges that byte-pair encoding learns, at most `vocab_size` - 256, fewer where no pair occurs twice any more.

    Ids 0 to 255 are the bytes; merge number i makes id 256 + i of two earlier ids. Each round merges the most frequent
    pair, among equals the one of the smallest ids (Sennrich et al. 2016, on bytes as in GPT-2). Only the words that
    hold the pair are touched, so a round costs as much as the pair is frequent.
    """
    import regex  # type: ignore[import-untyped]

    pattern = regex.compile(SPLIT_PATTERN)
    counted = Counter(piece for text in texts for piece in pattern.findall(text))
    words: list[list[int]] = []
    counts: list[int] = []
    for piece, count in counted.items():
        data = valid_unicode(piece).encode()
        for start in range(0, len(data), _LONGEST_WORD):
            words.append(list(data[start : start + _LONGEST_WORD]))
            counts.append(count)
    return _Merger(words, counts).merges(vocab_size - 256)


class _Merger:
    def __init__(self, words: list[list[int]], counts: list[int]) -> None:
        self.words, self.counts = words, counts
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.pair_counts: Counter[Pair] = Counter()
        self.where: defaultdict[Pair, set[int]] = defaultdict(set)
        for index, word in enumerate(words):
            for pair in pairwise(word):
                self.pair_counts[pair] += counts[index]
                self.where[pair].add(index)
        # Entries go stale as counts change; the count in an entry tells.
        self.heap = [(-count, pair) for pair, count in self.pair_counts.items()]
        heapq.heapify(self.heap)

    def merges(self, wanted: int) -> list[Pair]:
        known = {token: token_id for token_id, token in enumerate(self.tokens)}
        merges: list[Pair] = []
        while len(merges) < wanted and (pair := self._most_frequent()):
            token = self.tokens[pair[0]] + self.tokens[pair[1]]
            # Two ways to the same bytes are one token: ranks are looked up by bytes.
            if token not in known:
                known[token] = len(self.tokens)
                self.tokens.append(token)
                merges.append(pair)
            self._merge(pair, known[token])
        return merges

    def _most_frequent(self) -> Pair | None:
        while self.heap:
            negative, pair = heapq.heappop(self.heap)
            if (count := self.pair_counts[pair]) == -negative:
                return pair if count >= 2 else None
        return None

    def _merge(self, pair: Pair, merged: int) -> None:
        changed: Counter[Pair] = Counter()
        for index in self.where.pop(pair):
            word, count = self.words[index], self.counts[index]
            new = _replaced(word, pair, merged)
            if len(new) == len(word):
                continue
            for old_pair in pairwise(word):
                changed[old_pair] -= count
            for new_pair in pairwise(new):
                changed[new_pair] += count
                self.where[new_pair].add(index)
            self.words[index] = new
        for other, difference in changed.items():
            if difference:
                self.pair_counts[other] += difference
                heapq.heappush(self.heap, (-self.pair_counts[other], other))
        self.pair_counts.pop(pair, None)


def _replaced(word: list[int], pair: Pair, merged: int) -> list[int]:
    first, second = pair
    new, position, last = [], 0, len(word) - 1
    while position <= last:
        if position < last and word[position] == first and word[position + 1] == second:
            new.append(merged)
            position += 2
        else:
            new.append(word[position])
            position += 1
    return new


LARGEST_VOCABULARY = 100_000


class BytePairTokenizer(ByteLevelTokenizer):
    """The 256 bytes and the learnt merges, and for items a terminator with the last id.

    `merges[i]` are the two ids that id 256 + i consists of.
    """

    kind: ClassVar[str] = "byte-pair"

    def __init__(self, merges: Iterable[Sequence[int]], terminator: bool = False) -> None:
        self.merges: tuple[Pair, ...] = tuple((int(first), int(second)) for first, second in merges)
        tokens = [bytes([byte]) for byte in range(256)]
        for first, second in self.merges:
            tokens.append(tokens[first] + tokens[second])
        self.ranks = tuple(tokens)
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
