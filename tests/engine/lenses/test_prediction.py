"""The lens prediction: against log-softmax by hand, against the loss of training, and against counting by hand."""

import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import SMALL, computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.lenses import prediction
from torchtty.engine.training.task import build_task

TEXT = "the lazy dog"
LANGUAGE = [name for name in SMALL if name != "dcgan"]


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(["anna", "emma", "ada", "otto", "hanna", "nina", "ida"] * 6), encoding="utf-8")
    return path


def windows_by_hand(task: Any, ids: list[int]) -> list[torch.Tensor]:
    """Logits after each prefix of `ids`, one window at a time, filled up on the left where the model wants a full one."""
    model = task.model.eval()
    longest = getattr(model, "longest_context", model.block_size)
    found = []
    for end in range(1, len(ids)):
        window = ids[:end][-longest:] if longest else []
        if not model.predicts_every_position:
            window = [task.data.start_id] * (longest - len(window)) + window
        with torch.no_grad():
            found.append(model(torch.tensor([window], dtype=torch.int64))[0][0, -1])
    return found


@pytest.mark.parametrize("name", [*LANGUAGE, "ngram"])
def test_every_position_is_predicted_from_what_stands_before_it(configured: Callable[..., Any], name: str) -> None:
    task: Any = build_task(configured(name))
    if name == "ngram":
        task.train_step(0)
    result = computed(prediction.compute, task, {"text": TEXT, "top": 3})
    ids = task.data.tokenizer.encode(TEXT)
    assert result["given"] == "t"
    assert [position["id"] for position in result["positions"]] == ids[1:]
    total = 0.0
    for position, logits in zip(result["positions"], windows_by_hand(task, ids), strict=True):
        exponents = [math.exp(value - float(logits.max())) for value in logits.tolist()]
        chances = [value / sum(exponents) for value in exponents]
        own = chances[position["id"]]
        total -= math.log(own)
        assert position["probability"] == pytest.approx(own, rel=2e-3)
        assert position["bits"] == pytest.approx(-math.log2(own), rel=2e-3)
        assert position["rank"] == 1 + sum(chance > own * (1 + 1e-6) for chance in chances)
        assert position["entropy"] == pytest.approx(-sum(chance * math.log2(chance) for chance in chances), rel=2e-3)
        assert [chance for _, chance in position["likeliest"]] == pytest.approx(
            sorted(chances)[: -3 - 1 : -1], rel=2e-3
        )
    assert result["totals"]["model"]["nats"] == pytest.approx(total / len(ids[1:]), abs=1e-4)
    assert result["totals"]["model"]["bits_per_character"] == result["totals"]["model"]["bits"]


def test_the_mean_over_a_window_is_the_loss_of_training(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("gpt"))
    x, y = task.example_batch()
    ids = [*x[0].tolist(), int(y[0, -1])]
    result = computed(prediction.compute, task, {"text": task.data.tokenizer.decode(ids)})
    assert len(ids) == task.model.block_size + 1
    expected = task.model(x[:1], y[:1])[1].item()
    assert result["totals"]["model"]["nats"] == pytest.approx(expected, abs=1e-4)


def test_counting_beside_it_by_hand(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("mlp"))
    result = computed(prediction.compute, task, {"text": "fo"})
    train = task.data.tokenizer.decode(task.data.splits["train"])
    size = task.data.tokenizer.vocab_size
    pairs, contexts, singles = Counter(itertools.pairwise(train)), Counter(train[:-1]), Counter(train[1:])
    [position] = result["positions"]
    assert position["bigram"] == pytest.approx(-math.log2((pairs["f", "o"] + 1) / (contexts["f"] + size)), abs=1e-3)
    assert position["unigram"] == pytest.approx(-math.log2((singles["o"] + 1) / (len(train) - 1 + size)), abs=1e-3)
    assert result["totals"]["chance"]["bits"] == pytest.approx(math.log2(size), abs=1e-4)


def test_the_count_model_agrees_with_the_pairs_counted_beside_it(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("ngram"))
    task.train_step(0)
    totals = computed(prediction.compute, task, {"text": TEXT})["totals"]
    assert totals["model"]["nats"] == pytest.approx(totals["bigram"]["nats"], abs=1e-4)


def test_an_impossible_token_is_infinitely_surprising(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("ngram", model__smoothing="0"))
    task.train_step(0)
    result = computed(prediction.compute, task, {"text": "qq"})
    [position] = result["positions"]
    assert (position["probability"], position["bits"]) == (0.0, None)
    assert result["totals"]["model"]["nats"] is None


def test_an_item_stands_between_terminators(configured: Callable[..., Any], names: Path) -> None:
    task: Any = build_task(configured("mlp", data__dataset=str(names), data__unit="items"))
    result = computed(prediction.compute, task, {"text": "adax"})
    end = task.data.tokenizer.decode_token(task.data.terminator)
    assert result["given"] == end
    assert [position["token"] for position in result["positions"]] == ["a", "d", "a", end]
    assert result["unknown"] == ["'x'"]
    model = result["totals"]["model"]
    assert model["bits_per_character"] == pytest.approx(model["bits"], abs=1e-4), "the end counts as a symbol"


def test_without_a_text_of_ones_own_it_reads_a_piece_of_the_validation_split(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("gpt"))
    result = computed(prediction.compute, task, {})
    shown = result["given"] + "".join(position["token"] for position in result["positions"])
    assert shown == task.data.tokenizer.decode(task.data.splits["val"][:64])


def test_once_training_is_over_the_text_is_read_again(configured: Callable[..., Any], text: Path) -> None:
    task: Any = build_task(configured("gpt"))
    before = computed(prediction.compute, task, {"text": TEXT})
    task.forget_training()
    assert computed(prediction.compute, task, {"text": TEXT}) == before
    text.unlink()
    without = computed(prediction.compute, task, {"text": TEXT})
    assert set(without["totals"]) == {"model", "chance"}
    with pytest.raises(UserError, match="There is no file"):
        computed(prediction.compute, task, {})
