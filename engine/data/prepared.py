"""A corpus made ready for training: tokenized, split, and cut into windows."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.data import (
    BytePairTokens,
    CharacterTokens,
    GPT2Tokens,
    TextData,
    Tokens,
    WordPieceTokens,
    WordTokens,
)
from torchtty.engine.data.batches import Windows, item_windows, text_windows
from torchtty.engine.data.catalogue import corpus_of
from torchtty.engine.data.files import fingerprint
from torchtty.engine.data.pair_counts import PairCounts
from torchtty.engine.data.text import Corpus, limited, split, split_items
from torchtty.engine.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    GPT2Tokenizer,
    Tokenizer,
    WordPieceTokenizer,
    WordTokenizer,
    tokenizer_from_json,
)

SPLIT_SEED = 42  # the split of items is the same for every run, so that runs can be compared


class PreparedText:
    """A tokenized corpus. `splits` maps train, val and test to what they hold; empty ones are left out.

    Items are separated by a terminator, `start_id`; a running text starts from its newline, or its first token.
    """

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, splits: Mapping[str, Any]) -> None:
        self.corpus, self.tokenizer = corpus, tokenizer
        self.terminator = tokenizer.terminator_id if corpus.unit == "items" else None
        encode: Any = (
            tokenizer.encode_array if corpus.unit == "text" else lambda part: list(map(tokenizer.encode, part))
        )
        self.splits: dict[str, Any] = {name: encode(part) for name, part in splits.items() if part}
        self.known = frozenset(splits.get("train", ())) if corpus.unit == "items" else frozenset()
        self.notes = (self._summary(), *corpus.notes) if splits else corpus.notes
        self.start_id = self.terminator if self.terminator is not None else self._newline()

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the corpus as it is learnt from, cleaned and limited; empty where it is gone."""
        if not self.splits:
            return ""
        text = "\n".join(self.corpus.items) if self.corpus.unit == "items" else self.corpus.text
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def unknown_symbols(self) -> set[str]:
        """Return what of the corpus the tokenizer has no token for, which is left out or becomes the unknown token."""
        corpus = self.corpus
        return self.tokenizer.unknown("".join(corpus.items) if corpus.unit == "items" else corpus.text)

    def _newline(self) -> int:
        newline = self.tokenizer.encode("\n")
        if len(newline) == 1 and not self.tokenizer.unknown("\n"):
            return newline[0]
        return int(self.splits["train"][0]) if len(self.splits.get("train", ())) else 0

    def _summary(self) -> str:
        corpus = self.corpus
        items, text = f"{len(corpus.items):,} items, one a line", f"{len(corpus.text):,} characters of running text"
        return f"{corpus.name}: {items if corpus.unit == 'items' else text}; {self.tokenizer.vocab_size:,} different tokens."

    @property
    def token_counts(self) -> dict[str, int]:
        """How many tokens each split predicts."""
        if self.terminator is None:
            return {name: len(part) for name, part in self.splits.items()}
        return {name: sum(len(item) + 1 for item in part) for name, part in self.splits.items()}

    @property
    def characters(self) -> int | None:
        """How many characters the tokens of all splits stand for, one a terminator; None where the corpus is gone."""
        if not self.splits:
            return None
        corpus = self.corpus
        return len(corpus.text) if corpus.unit == "text" else sum(len(item) + 1 for item in corpus.items)

    def windows(self, split: str, block_size: int, every_position: bool) -> Windows:
        """Cut a split for a model that sees `block_size` tokens."""
        part = self.splits[split]
        if self.terminator is not None:
            return item_windows(part, self.terminator, block_size, every_position)
        return text_windows(torch.from_numpy(np.asarray(part, dtype=np.int64)), block_size, every_position)

    def references(self) -> dict[str, float]:
        """Return chance, unigram and bigram losses in nats, for the reference lines of a chart."""
        if "train" not in self.splits:
            return {}
        train = self.stream("train")
        val = self.stream("val") if "val" in self.splits else train
        found = reference_losses(train, val, self.tokenizer.vocab_size)
        return {name: round(value, 4) for name, value in found.items()}

    @cached_property
    def pair_counts(self) -> PairCounts | None:
        """What counting the training split comes to; None where that is gone, or has no pair."""
        stream = self.stream("train") if "train" in self.splits else np.empty(0)
        return PairCounts.of(np.asarray(stream, dtype=np.int64), self.tokenizer.vocab_size) if len(stream) > 1 else None

    def stream(self, split: str) -> np.ndarray:
        """Return a split as one row of ids (S,): running text as it is, items with terminators before, between and after them."""
        part = self.splits[split]
        if self.terminator is None:
            return np.asarray(part)
        stream = [self.terminator]
        for item in part:
            stream += [*item, self.terminator]
        return np.array(stream, dtype=np.int64)


def read_text(
    section: TextData,
    tokens: Tokens,
    saved_tokenizer: dict[str, Any] | None = None,
    *,
    may_be_gone: bool = False,
    without: bool = False,
) -> PreparedText:
    """Prepare what a `data` and a `tokenizer` section describe, with the tokenizer of a checkpoint if given; raise `UserError`.

    Without one, what was read last is used again while its files stay as they are. With `may_be_gone`, a text that cannot be
    read any more is done without; `without` one it is not looked for.
    """
    if saved_tokenizer is None:
        path = tokens.path if isinstance(tokens, GPT2Tokens | WordPieceTokens) else ""
        return _read_once(section, tokens, (_state(section.dataset), _state(path)))
    tokenizer = tokenizer_from_json(saved_tokenizer)
    if not without:
        try:
            return prepare_text(section, tokens, tokenizer)
        except UserError:
            if not may_be_gone:
                raise
    items = tokenizer.terminator_id is not None and (
        not isinstance(tokenizer, GPT2Tokenizer) or section.unit == "items"
    )
    return prepared_without_corpus(tokenizer, items=items)


def _state(path: str) -> tuple[Any, ...]:
    """Tell one state of files from a later one, so that what was edited is read again; a catalogued text does not change."""
    return () if not path or path in catalogue() else fingerprint(expanded(path))


@lru_cache(maxsize=2)
def _read_once(section: TextData, tokens: Tokens, _files: tuple[Any, ...]) -> PreparedText:
    return prepare_text(section, tokens)


def prepare_text(section: TextData, tokens: Tokens, tokenizer: Tokenizer | None = None) -> PreparedText:
    """Load, clean, split and tokenize what a `data` and a `tokenizer` section describe; raise `UserError`.

    A tokenizer that came with a checkpoint is used as it is.
    """
    corpus = corpus_of(section)
    if isinstance(tokens, WordTokens | WordPieceTokens):  # these know no end of an item
        corpus = _as_running_text(corpus)
    tokenizer = tokenizer or build_tokenizer(tokens, corpus)
    if tokenizer.terminator_id is None:
        corpus = _as_running_text(corpus)
    corpus = limited(corpus, section.limit, SPLIT_SEED)  # the vocabulary is the whole corpus's, whatever is learnt from
    if corpus.unit == "items":
        splits: Any = split_items(corpus.items, section.val_fraction, section.test_fraction, SPLIT_SEED)
    else:
        splits = split(corpus.text, section.val_fraction, section.test_fraction)
    return PreparedText(corpus, tokenizer, splits)


def _as_running_text(corpus: Corpus) -> Corpus:
    """Return items as one text, one a line; a text as it is."""
    if corpus.unit == "text":
        return corpus
    return Corpus(corpus.name, "text", "\n".join(corpus.items), (), corpus.source, corpus.notes)


def prepared_without_corpus(tokenizer: Tokenizer, items: bool) -> PreparedText:
    """Return what sampling needs when the text itself is gone."""
    return PreparedText(Corpus("the text", "items" if items else "text"), tokenizer, {})


def read_again(data: PreparedText, section: TextData, tokens: Tokens) -> PreparedText:
    """Return the text with its splits, read again with the same tokenizer where they were let go; raise `UserError`."""
    return data if data.splits else prepare_text(section, tokens, data.tokenizer)


def without_text(data: PreparedText) -> PreparedText:
    """Return what sampling needs of a text, and let the text go where it is kept for the next look at a configuration."""
    _read_once.cache_clear()
    kept = copy(data)
    kept.corpus, kept.splits = Corpus(data.corpus.name, data.corpus.unit), {}
    return kept


def build_tokenizer(tokens: Tokens, corpus: Corpus) -> Tokenizer:
    """Build the tokenizer of a `tokenizer` section for a corpus; raise `UserError` that names the setting at fault."""
    items = corpus.unit == "items"
    match tokens:
        case CharacterTokens():
            return CharacterTokenizer.from_items(corpus.items) if items else CharacterTokenizer.from_text(corpus.text)
        case WordTokens():
            return WordTokenizer.from_text(
                corpus.text, split=tokens.split, lower_case=tokens.lower_case, special_tokens=tokens.special_tokens
            )
        case BytePairTokens():
            with _about("tokenizer.vocab_size"):
                texts = corpus.items if items else corpus.text
                return BytePairTokenizer.train(texts, tokens.vocab_size, terminator=items)
        case GPT2Tokens():
            with _about("tokenizer.path"):
                path = Path(tokens.path).expanduser() if tokens.path else None
                return GPT2Tokenizer.load(path.parent if path and path.is_file() else path or "")
        case WordPieceTokens():
            with _about("tokenizer.path"):
                return WordPieceTokenizer.from_file(
                    Path(tokens.path).expanduser(), tokens.lower_case, tokens.sentence_marks
                )


@contextmanager
def _about(setting: str) -> Iterator[None]:
    """Say which setting an error is about, so that a form can show it there."""
    try:
        yield
    except UserError as error:
        raise type(error)(str(error) if setting in str(error) else f"{setting}: {error}") from None


def reference_losses(train: NDArray[np.integer], val: NDArray[np.integer], vocab_size: int) -> dict[str, float]:
    """Return what a loss is to be compared with, in nats a token: chance, and counting single tokens and pairs.

    Counts are taken on `train` (T,) with one added to each, so that nothing has probability 0, and evaluated on `val`
    (T',), or on `train` where `val` has fewer than two tokens. For items pass the concatenation
    `[0, a, n, n, a, 0, b, …, 0]` in which the terminator 0 stands before, between and after them.

    chance = ln V; unigram = -mean ln (n_b + 1) / (N + V); bigram = -mean ln (n_ab + 1) / (n_a + V).
    """
    train, val = np.asarray(train, dtype=np.int64), np.asarray(val, dtype=np.int64)
    if len(val) < 2:
        val = train
    if len(train) < 2:
        return {"chance": math.log(vocab_size)}
    counts = PairCounts.of(train, vocab_size)
    bigram, unigram = -np.mean(np.log(counts.bigram(val))), -np.mean(np.log(counts.unigram(val)))
    return {"chance": math.log(vocab_size), "unigram": float(unigram), "bigram": float(bigram)}
