"""What byte-pair tokenizers share: tokens are byte strings, merged by rank at tiktoken's speed."""

import codecs
import re
from abc import abstractmethod
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from torchtty.engine.data.tokenizers.base import Ids, TextStream, Tokenizer, check_id

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

    @property
    @abstractmethod
    def ranks(self) -> tuple[bytes, ...]: ...

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
        ids: list[int] = self.encode_array(text).tolist()
        return ids

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
        check_id(token_id, self.vocab_size)
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

    def __init__(self, tokenizer: ByteLevelTokenizer) -> None:
        self.tokenizer = tokenizer
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        return self.decoder.decode(self.tokenizer.token_bytes(token_id))

    def finish(self) -> str:
        return self.decoder.decode(b"", final=True)
