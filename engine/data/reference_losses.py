"""What a loss is to be compared with: chance, and what counting single tokens and pairs would reach."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class ReferenceLosses:
    """Mean negative log-likelihoods in nats a token; None where there is nothing to count."""

    chance: float
    unigram: float | None
    bigram: float | None


def reference_losses(train: Ids, val: Ids, vocab_size: int) -> ReferenceLosses:
    """Reference lines for a corpus of token ids.

    Counts are taken on `train` (T,) with one added to each, so that nothing has probability 0, and evaluated on `val`
    (T',), or on `train` where `val` has fewer than two tokens. For items pass the concatenation
    `[0, a, n, n, a, 0, b, …, 0]` in which the terminator 0 stands before, between and after them.

    chance = ln V; unigram = -mean ln (n_b + 1) / (N + V); bigram = -mean ln (n_ab + 1) / (n_a + V).
    """
    train, val = np.asarray(train, dtype=np.int64), np.asarray(val, dtype=np.int64)
    if len(val) < 2:
        val = train
    if len(train) < 2:
        return ReferenceLosses(math.log(vocab_size), None, None)
    # Pairs as one number each; V x V counts would not fit for GPT-2's vocabulary.
    pairs, pair_counts = np.unique(train[:-1] * vocab_size + train[1:], return_counts=True)
    asked = val[:-1] * vocab_size + val[1:]
    place = np.minimum(np.searchsorted(pairs, asked), len(pairs) - 1)
    found = np.where(pairs[place] == asked, pair_counts[place], 0)
    given = np.bincount(train[:-1], minlength=vocab_size)[val[:-1]]
    bigram = -np.mean(np.log((found + 1) / (given + vocab_size)))
    # The first token is a context, never predicted.
    singles = np.bincount(train[1:], minlength=vocab_size)[val[1:]]
    unigram = -np.mean(np.log((singles + 1) / (len(train) - 1 + vocab_size)))
    return ReferenceLosses(math.log(vocab_size), float(unigram), float(bigram))
