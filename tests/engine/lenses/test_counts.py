"""The lens counts: pairs as plain Python counts them, and what a model of pairs makes of them."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import SMALL, computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.lenses import counts
from torchtty.engine.training.task import build_task

NAMES = ["emma", "olivia", "ava", "mia", "amelia", "anna", "maya", "emily", "quinn", "una"]


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES), encoding="utf-8")
    return path


@pytest.fixture
def counted(configured: Callable[..., Any], names: Path) -> Any:
    flags = {"data__dataset": str(names), "data__unit": "items", "data__val_fraction": "0"}
    task = build_task(configured("ngram", model__n="2", model__smoothing="0", **flags))
    task.train_step(0)
    return task


def looked_at(task: Any, **options: Any) -> dict[str, Any]:
    return computed(counts.compute, task, LENSES["counts"].complete(options))


def test_every_pair_is_counted_with_beginnings_and_ends(counted: Any) -> None:
    pairs = Counter(pair for name in NAMES for pair in zip(f".{name}", f"{name}.", strict=True))
    result = looked_at(counted, word="anna")
    symbols = result["symbols"]
    assert symbols == sorted({".", *"".join(NAMES)})
    for row, first in enumerate(symbols):
        for column, second in enumerate(symbols):
            assert result["counts"][row][column] == pairs[first, second]
    assert result["total"] == pairs.total()
    assert [count for *_, count in result["pairs"]] == sorted(pairs.values(), reverse=True)
    after_a = sum(count for (first, _), count in pairs.items() if first == "a")
    assert result["followed"][symbols.index("a")] == after_a
    word = [(one, other, count) for one, other, count, *_ in result["word"]]
    assert word == [(one, other, pairs[one, other]) for one, other in zip(".anna", "anna.", strict=True)]
    assert result["word"][-1][3] == pytest.approx(pairs["a", "."] / after_a, rel=1e-3)


def test_the_losses_are_those_of_the_counts_of_the_model_and_of_chance(counted: Any) -> None:
    result = looked_at(counted)
    pairs = Counter(pair for name in NAMES for pair in zip(f".{name}", f"{name}.", strict=True))
    followed = Counter(first for name in NAMES for first in f".{name}")
    exact = -sum(count * math.log(count / followed[pair[0]]) for pair, count in pairs.items()) / pairs.total()
    assert result["nats"]["counts"] == pytest.approx(exact, abs=1e-4)
    assert result["nats"]["model"] == pytest.approx(exact, abs=1e-4), "a model of pairs is its counts"
    assert result["nats"]["uniform"] == pytest.approx(math.log(len(result["symbols"])), abs=1e-4)


def test_a_table_that_is_learnt_shows_the_softmax_of_its_rows(configured: Callable[..., Any]) -> None:
    task = build_task(configured("bigram"))
    result = looked_at(task)
    expected = task.model.table.weight.detach().double().softmax(1)
    assert torch.allclose(torch.tensor(result["model"], dtype=torch.float64), expected, rtol=6e-3)


def test_texts_drawn_with_one_seed_are_the_same_and_chance_knows_no_pairs(counted: Any) -> None:
    first, again, other = (looked_at(counted, seed=seed)["samples"] for seed in (3, 3, 4))
    assert first == again != other
    pairs = {pair for name in NAMES for pair in zip(f".{name}", f"{name}.", strict=True)}
    for text in first["counts"]:
        assert set(zip(f".{text}", text, strict=False)) <= pairs, "only pairs that were seen"
    assert any(not set(zip(f".{text}", text, strict=False)) <= pairs for text in first["uniform"])


def test_of_a_large_vocabulary_the_commonest_tokens_have_rows(configured: Callable[..., Any], tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(150) for _ in range(150 - number)]
    path = tmp_path / "words.txt"
    path.write_text(" ".join(words * 2), encoding="utf-8")
    flags = {"data__dataset": str(path), "tokenizer__kind": "word", "data__val_fraction": "0"}
    result = looked_at(build_task(configured("ngram", model__n="2", **flags)))
    assert len(result["symbols"]) == 100
    assert "w0" in result["symbols"]
    assert "w149" not in result["symbols"]
    assert result["vocabulary"] >= 150


@pytest.mark.parametrize("name", [name for name in SMALL if name != "dcgan"])
def test_every_model_of_text_is_asked_what_follows_a_token(configured: Callable[..., Any], name: str) -> None:
    result = looked_at(build_task(configured(name)))
    sums = torch.tensor(result["model"], dtype=torch.float64).sum(1)
    assert torch.allclose(sums, torch.ones_like(sums), atol=0.02), "rounded to three digits each"
    assert result["nats"]["counts"] <= result["nats"]["model"] + 1e-4


def test_a_run_that_has_let_its_text_go_reads_it_again_or_says_that_it_is_gone(
    configured: Callable[..., Any], text: Path
) -> None:
    task = build_task(configured("mlp"))
    before = looked_at(task)
    task.forget_training()
    assert looked_at(task) == before
    text.unlink()
    with pytest.raises(UserError, match=r"text\.txt"):
        looked_at(task)
