"""Counts of single tokens and of pairs in a stream, with one added to each, so that nothing is impossible."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Stream = NDArray[np.integer]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class PairCounts:
    """How often each token and each pair occurs in a stream of N + 1 tokens, the first of which is a context and never predicted.

    Pairs are numbered as first·V + second; V x V counts would not fit for GPT-2's vocabulary.
    """

    vocab_size: int
    predicted: int  # N
    singles: Stream  # (V,)
    contexts: Stream  # (V,)
    pairs: Stream  # (P,), sorted
    pair_counts: Stream  # (P,)

    @classmethod
    def of(cls, stream: Stream, vocab_size: int) -> "PairCounts":
        """Count a stream (N + 1,) of two tokens at least."""
        assert len(stream) > 1
        pairs, pair_counts = np.unique(stream[:-1] * vocab_size + stream[1:], return_counts=True)
        singles = np.bincount(stream[1:], minlength=vocab_size)
        contexts = np.bincount(stream[:-1], minlength=vocab_size)
        return cls(vocab_size, len(stream) - 1, singles, contexts, pairs, pair_counts)

    def unigram(self, asked: Stream) -> Probabilities:
        """Return the probability (M,) of each token of `asked` (M + 1,) after the first: (n_b + 1) / (N + V)."""
        return (self.singles[asked[1:]] + 1) / (self.predicted + self.vocab_size)

    def bigram(self, asked: Stream) -> Probabilities:
        """Return the probability (M,) of each token of `asked` (M + 1,) after the one before it: (n_ab + 1) / (n_a + V)."""
        wanted = asked[:-1] * self.vocab_size + asked[1:]
        place = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        found = np.where(self.pairs[place] == wanted, self.pair_counts[place], 0)
        return (found + 1) / (self.contexts[asked[:-1]] + self.vocab_size)
