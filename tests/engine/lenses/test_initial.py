"""The lens initial: the first loss, whatever has been trained since, and the steps from logits to probabilities in numpy."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import SMALL, computed

from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.lenses import initial
from torchtty.engine.lenses.subject import set_apart
from torchtty.engine.training.task import build_task


def looked_at(task: Any, **options: Any) -> dict[str, Any]:
    return computed(initial.compute, set_apart(task), LENSES["initial"].complete(options))


@pytest.mark.parametrize(("scheme", "verdict"), [("unscaled", "confidently wrong"), ("fan-in", "fine")])
def test_the_first_loss_is_that_of_a_new_run_also_once_it_has_trained(
    configured: Callable[..., Any], scheme: str, verdict: str
) -> None:
    configuration = configured("mlp", model__initialisation=scheme, training__batch_size="32")
    task, new = build_task(configuration), build_task(configuration)
    for step in range(20):
        task.train_step(step)
    x, y = new.example_batch()
    with torch.no_grad():
        logits = new.model(x)[0][:, 0].double().numpy()
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), y[:, 0].numpy()]
    result = looked_at(task)
    assert result["loss"] == pytest.approx(losses.mean(), abs=2e-4)
    assert result["chance"] == pytest.approx(math.log(task.facts.vocab_size), abs=1e-4)
    assert result["verdict"] == verdict
    assert result["now"] < result["loss"]


def test_equal_logits_are_flat(configured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    task = set_apart(build_task(configured("mlp")))
    built = task.build_network

    def without_a_head() -> Any:
        network = built()
        torch.nn.init.zeros_(network.head.weight)
        return network

    monkeypatch.setattr(task, "build_network", without_a_head)
    result = computed(initial.compute, task, LENSES["initial"].complete({}))
    assert result["verdict"] == "flat"
    assert result["loss"] == pytest.approx(result["chance"], abs=1e-3)


def test_the_steps_are_exponentials_their_shares_and_the_softmax(configured: Callable[..., Any]) -> None:
    result = looked_at(build_task(configured("mlp", model__initialisation="unscaled")), example=3)
    logits = np.array(result["logits"])
    assert np.allclose(result["counts"], np.exp(logits), rtol=5e-3)
    assert np.allclose(result["probabilities"], np.exp(logits) / np.exp(logits).sum(), rtol=2e-2, atol=1e-8)
    assert np.allclose(result["shifted"], result["probabilities"], rtol=1e-3, atol=1e-8)
    assert np.allclose(result["map"][3], result["probabilities"], rtol=1e-2, atol=1e-6)


def test_beyond_float32_counts_overflow_and_the_shift_mends_it(configured: Callable[..., Any]) -> None:
    task = build_task(configured("mlp"))
    plain, added = looked_at(task), looked_at(task, add=95.0)
    assert all(value is None for value in added["counts"]), "infinite"
    assert all(value is None for value in added["probabilities"]), "infinite by infinite is no number"
    assert np.allclose(added["shifted"], plain["shifted"], rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "dcgan"])
def test_every_network_for_text_has_a_first_loss(configured: Callable[..., Any], name: str) -> None:
    task = build_task(configured(name))
    result = looked_at(task)
    assert result["loss"] == result["now"], "it has not trained yet"
    assert result["verdict"] in ("fine", "confidently wrong", "flat")


def test_examples_are_predictions_that_training_makes_and_none_beyond_an_items_end(
    configured: Callable[..., Any], text: Path
) -> None:
    text.write_text("a quick brown fox\n" + "lazy\n" * 39, encoding="utf-8")
    task = build_task(configured("gpt", data__unit="items", data__val_fraction="0", model__block_size="60"))
    _, y = task.example_batch()
    short = int((y[:, -1] < 0).nonzero()[0])  # its item ends before the window does
    result = looked_at(task, example=short)
    assert "".join(result["context"]).endswith("lazy")
    assert (result["examples"][short], result["target"]) == ("lazy", ".")
    assert result["target_loss"] == pytest.approx(
        -math.log(result["shifted"][result["symbols"].index(result["target"])]), abs=2e-3
    )


def test_the_first_weights_of_a_run_that_was_loaded_are_those_of_a_new_one(configured: Callable[..., Any]) -> None:
    configuration = configured("gpt2", **{name.replace(".", "__"): value for name, value in SMALL["gpt2"].items()})
    new = build_task(configuration)
    loaded = build_task(configuration, None, new.architecture())
    loaded.model.load_state_dict(new.model.state_dict())
    assert looked_at(loaded)["loss"] == looked_at(new)["loss"]


def test_a_first_loss_that_is_no_number_is_not_fine(
    configured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = set_apart(build_task(configured("mlp")))
    built = task.build_network

    def too_large() -> Any:
        network = built()
        torch.nn.init.constant_(network.head.weight, math.inf)
        return network

    monkeypatch.setattr(task, "build_network", too_large)
    result = computed(initial.compute, task, LENSES["initial"].complete({}))
    assert result["verdict"] == "no number"
    assert result["loss"] is None
    assert math.isfinite(result["now"])


def test_a_run_that_diverged_keeps_the_verdict_on_its_first_weights(configured: Callable[..., Any]) -> None:
    task = build_task(configured("mlp"))
    torch.nn.init.constant_(task.model.head.weight, math.nan)
    result = looked_at(task)
    assert (result["verdict"], result["now"]) == ("fine", None)
