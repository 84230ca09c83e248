"""The lens gradients: against autograd on the formula of the model, and updates against the formulas of the optimizers."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_models import SMALL, computed
from torch.nn import functional as F

from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.run.directory import create
from torchtty.engine.lenses import gradients
from torchtty.engine.lenses.subject import Moment, set_apart
from torchtty.engine.training.checkpoint import Saved, write_checkpoint
from torchtty.engine.training.task import build_task


def looked_at(task: Any, configuration: Any, step: int = 0, run: Any = None, **options: Any) -> dict[str, Any]:
    moment = Moment(run or create(configuration), step)
    return computed(gradients.compute, set_apart(task), LENSES["gradients"].complete(options), moment)


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {weight["name"]: weight for weight in result["weights"]}


def gradients_by_formula(task: Any) -> dict[str, torch.Tensor]:
    """Differentiate cross-entropy of tanh(E[x] W1 + b1) W2 + b2 written out here."""
    weights = {name: value.detach().clone().requires_grad_() for name, value in task.model.named_parameters()}
    x, y = task.example_batch()
    hidden = torch.tanh(
        F.linear(weights["embedding.weight"][x].flatten(1), weights["hidden.weight"], weights["hidden.bias"])
    )
    logits = F.linear(hidden, weights["head.weight"], weights["head.bias"])
    loss = (logits.logsumexp(1) - logits.gather(1, y)[:, 0]).mean()
    return dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


def test_gradients_and_updates_of_plain_descent_are_those_of_the_formula(configured: Callable[..., Any]) -> None:
    flags = {"optimizer__kind": "sgd", "optimizer__learning_rate": "0.3", "schedule__kind": "constant"}
    configuration = configured("mlp", training__grad_clip="0", **flags)
    task = build_task(configuration)
    expected, weights = gradients_by_formula(task), task.model.state_dict()
    found = by_name(looked_at(task, configuration))
    assert found.keys() == expected.keys()
    momentum = configuration.optimizer.momentum
    for name, weight in found.items():
        assert weight["gradient"] == pytest.approx(float(expected[name].norm()), rel=1e-3, abs=1e-7)
        assert weight["spread"] == pytest.approx(float(expected[name].std(correction=0)), rel=1e-3, abs=1e-7)
        assert weight["norm"] == pytest.approx(float(weights[name].norm()), rel=1e-3)
        if weight["norm"] and not momentum:
            ratio = 0.3 * float(expected[name].norm()) / float(weights[name].norm())
            assert weight["ratio"] == pytest.approx(ratio, rel=2e-2)


def test_an_update_goes_on_from_what_the_optimizer_remembers(configured: Callable[..., Any]) -> None:
    flags = {"optimizer__kind": "adam", "optimizer__learning_rate": "0.01", "schedule__kind": "constant"}
    configuration = configured("mlp", training__grad_clip="0", **flags)
    task = build_task(configuration)
    for step in range(5):
        task.train_step(step)
    gradient = gradients_by_formula(task)["hidden.weight"]
    parameters = [weight for weight in task.model.parameters() if weight.dim() >= 2]
    at = next(place for place, weight in enumerate(parameters) if weight is task.model.hidden.weight)
    state = task.optimizer.state_dict()["state"][at]
    beta1, beta2 = configuration.optimizer.beta1, configuration.optimizer.beta2
    mean = beta1 * state["exp_avg"] + (1 - beta1) * gradient
    square = beta2 * state["exp_avg_sq"] + (1 - beta2) * gradient.square()
    update = 0.01 * (mean / (1 - beta1**6)) / ((square / (1 - beta2**6)).sqrt() + 1e-8)  # Kingma & Ba, 2015
    ratio = by_name(looked_at(task, configuration, step=5))["hidden.weight"]["ratio"]
    assert ratio == pytest.approx(float(update.norm() / task.model.hidden.weight.detach().norm()), rel=1e-2)


def test_the_course_knows_checkpoints_and_moments_that_were_looked_at(configured: Callable[..., Any]) -> None:
    configuration = configured("mlp")
    task, run = build_task(configuration), create(configuration)
    task.train_step(0)
    training = {"task": task.training_state(), "best": None}
    write_checkpoint(run, Saved(1, task.weights(), task.tokenizer_json(), training, {}))
    task.train_step(1)
    looked_at(task, configuration, 2, run)
    over = looked_at(task, configuration, 3, run, show="ratios")["over"]
    assert over["steps"] == [1, 2, 3]
    assert over["names"] == ["embedding.weight", "hidden.weight", "head.weight"]
    assert all(value and 0 < value < 1 for row in over["values"] for value in row)


def test_a_checkpoint_without_the_optimizers_state_says_so(configured: Callable[..., Any]) -> None:
    configuration = configured("mlp")
    task, run = build_task(configuration), create(configuration)
    write_checkpoint(run, Saved(1, task.weights(), task.tokenizer_json(), None, {}))
    options = LENSES["gradients"].complete({"step": 1})
    result = computed(gradients.compute, set_apart(task), options, Moment(run, 5))
    assert result["remark"].startswith("No optimizer state")
    assert all(weight["ratio"] is None and weight["gradient"] is not None for weight in result["weights"])


@pytest.mark.parametrize("name", SMALL)
def test_every_network_is_stepped_on_a_copy_alone(configured: Callable[..., Any], name: str) -> None:
    configuration = configured(name)
    task = build_task(configuration)
    task.train_step(0)
    before = {key: value.clone() for key, value in task.model.state_dict().items()}
    state = str(task.training_state())
    found = by_name(looked_at(task, configuration, 1))
    assert found.keys() == {key for key, weight in task.model.named_parameters() if weight.requires_grad}
    assert all(weight["gradient"] is not None for weight in found.values())
    assert sum(bool(weight["ratio"]) for weight in found.values()) >= 1
    assert all(not weight["ratio"] or 1e-9 < weight["ratio"] < math.inf for weight in found.values())
    assert all(torch.equal(value, before[key]) for key, value in task.model.state_dict().items())
    assert str(task.training_state()) == state
