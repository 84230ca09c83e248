"""Reference lines against known figures and against counting by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from torchtty.engine.data.prepared import reference_losses


def name_ids(path: Path) -> np.ndarray:
    """The names as ids with 0 between them: a is 1."""
    return np.array([0 if symbol == "\n" else ord(symbol) - 96 for symbol in "\n" + path.read_text()])


def test_the_bigram_line_of_the_names_is_the_known_figure(corpora: Path) -> None:
    ids = name_ids(corpora / "names.txt")
    losses = reference_losses(ids, ids, 27)
    assert round(losses["bigram"], 4) == 2.4546
    assert losses["chance"] == math.log(27)
    assert losses["bigram"] < losses["unigram"] < losses["chance"]


def test_counts_are_taken_on_train_and_evaluated_on_val() -> None:
    losses = reference_losses(np.array([0, 1, 0, 1, 0]), np.array([1, 1, 2]), 3)
    # train predicts 1, 0, 1, 0: (n + 1) / (4 + 3) for the 1 and the unseen 2
    assert losses["unigram"] == pytest.approx(-(math.log(3 / 7) + math.log(1 / 7)) / 2)
    # after 1 (seen twice) neither 1 nor 2 ever came: (0 + 1) / (2 + 3)
    assert losses["bigram"] == pytest.approx(math.log(5))


def test_a_huge_vocabulary_needs_no_table_of_pairs() -> None:
    ids = np.random.default_rng(0).integers(0, 50_257, 10_000)
    losses = reference_losses(ids[:9_000], ids[9_000:], 50_257)
    assert losses["bigram"] == pytest.approx(losses["chance"], abs=0.01)


def test_nothing_to_count_leaves_chance_alone() -> None:
    losses = reference_losses(np.array([3]), np.array([]), 10)
    assert losses == {"chance": math.log(10)}
