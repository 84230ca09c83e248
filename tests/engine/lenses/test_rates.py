"""The lens rates: its sweep against a plain loop of PyTorch, and where it finds the steepest fall."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_models import SMALL, computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.lenses import rates
from torchtty.engine.lenses.subject import set_apart
from torchtty.engine.training.task import build_task


def looked_at(task: Any, **options: Any) -> dict[str, Any]:
    return computed(rates.compute, set_apart(task), LENSES["rates"].complete(options))


def test_the_sweep_is_a_plain_loop_over_rates_from_the_first_weights(configured: Callable[..., Any]) -> None:
    flags = {"optimizer__kind": "sgd", "optimizer__momentum": "0", "optimizer__weight_decay": "0"}
    configuration = configured("mlp", training__grad_clip="0", training__batch_size="16", **flags)
    task = build_task(configuration)
    for step in range(5):
        task.train_step(step)
    result = looked_at(task, lowest=1e-3, highest=0.1, steps=30, seed=4)

    plain = build_task(configuration).model.train()
    optimizer = torch.optim.SGD(plain.parameters(), lr=1.0)
    generator = torch.Generator().manual_seed(4)
    losses = []
    for number in range(30):
        optimizer.param_groups[0]["lr"] = 1e-3 * 100 ** (number / 29)
        x, y = task.windows["train"].draw(16, generator)
        optimizer.zero_grad()
        loss = plain(x, y)[1]
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert result["losses"] == pytest.approx(losses, rel=1e-4)
    assert result["rates"] == pytest.approx([1e-3 * 100 ** (number / 29) for number in range(30)], rel=1e-3)


def test_the_steepest_fall_is_found_on_a_curve_that_is_known() -> None:
    exponents = [-5 + 6 * at / 299 for at in range(300)]
    curve = [3 - 2 / (1 + math.exp(-6 * (x + 2))) + (4 * (x + 1.2) ** 2 if x > -1.2 else 0) for x in exponents]
    assert math.log10(rates.steepest([10**x for x in exponents], curve)) == pytest.approx(-2, abs=0.05)


def test_a_model_that_learns_at_every_rate_is_not_sent_to_the_lowest() -> None:
    exponents = [-5 + 5 * at / 299 for at in range(300)]
    curve = [2.5 + math.exp(-(x + 5)) + (2 * (x + 2.5) ** 2 if x > -2.5 else 0) for x in exponents]  # steepest at 1e-5
    lowest = exponents[min(range(300), key=curve.__getitem__)]
    assert lowest - 1.02 <= math.log10(rates.steepest([10**x for x in exponents], curve)) < lowest


def test_a_sweep_ends_where_it_diverges_and_says_so(configured: Callable[..., Any]) -> None:
    task = build_task(configured("mlp", optimizer__kind="sgd", training__grad_clip="0"))
    result = looked_at(task, lowest=0.01, highest=1000.0, steps=200)
    assert result["diverged"]
    assert len(result["rates"]) < 200
    assert result["suggested"] < result["rates"][-1]
    with pytest.raises(UserError, match="the first must be below the second"):
        looked_at(task, lowest=0.1, highest=0.01)


@pytest.mark.parametrize("name", [name for name in SMALL if name != "dcgan"])
def test_every_network_for_text_is_swept(configured: Callable[..., Any], name: str) -> None:
    task = build_task(configured(name))
    before = {key: value.clone() for key, value in task.model.state_dict().items()}
    result = looked_at(task, steps=25)
    assert len(result["rates"]) > 5
    assert result["rates"][0] <= result["suggested"] * 1.1
    assert result["suggested"] <= result["best"] * 1.1
    assert all(torch.equal(value, before[key]) for key, value in task.model.state_dict().items())
