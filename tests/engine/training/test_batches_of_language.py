"""What a step learns from: a batch drawn at random, or the whole split; and what it lowers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.task import build_task

Make = Callable[..., LanguageTask]


@pytest.fixture
def task_for(names_file: Path) -> Make:
    """Make a task on a small list of names."""

    def make(kind: str, **flags: Any) -> LanguageTask:
        settings = {"data.dataset": str(names_file), "training.device": "cpu", "training.eval_batches": "0"}
        settings |= {name.replace("__", "."): str(value) for name, value in flags.items()}
        task = build_task(with_flags(starting_tree(kind), settings))
        assert isinstance(task, LanguageTask)
        return task

    return make


def test_a_batch_as_large_as_the_split_is_the_split(task_for: Make) -> None:
    task = task_for("mlp", training__batch_size=65536)
    before = task.evaluate(thorough=True)["train_eval_loss"]
    assert float(task.train_step(0)["train_loss"]) == pytest.approx(before, abs=1e-5)
    assert task.tokens_per_step == len(task.windows["train"])


def test_batch_norm_refuses_a_batch_of_one(task_for: Make) -> None:
    for kind, flags in (("wavenet", {}), ("mlp", {"model__batch_norm": "yes"})):
        with pytest.raises(UserError, match=r"training\.batch_size must be at least 2"):
            task_for(kind, training__batch_size=1, **flags)


@pytest.mark.parametrize("loss", ["nll", "mse", "l1", "bce", "bce-with-logits"])
def test_whatever_is_lowered_the_curves_show_cross_entropy(task_for: Make, loss: str) -> None:
    task = task_for("bigram", training__loss=loss, training__batch_size=65536)
    before = task.evaluate(thorough=True)["train_eval_loss"]
    first = task.train_step(0)
    assert float(first["train_loss"]) == pytest.approx(before, abs=1e-5)
    for step in range(1, 100):
        last = task.train_step(step)
    assert float(last["objective"]) < float(first["objective"])


def test_another_objective_moves_the_weights_elsewhere(task_for: Make) -> None:
    tables = []
    for loss in ("cross-entropy", "l1"):
        task = task_for("bigram", training__loss=loss, training__batch_size=65536)
        for step in range(3):
            metrics = task.train_step(step)
        assert ("objective" in metrics) is (loss != "cross-entropy")
        tables.append(task.weights()["table.weight"])
    assert not torch.allclose(*tables)


def test_clipping_by_value_bounds_every_number_of_the_step(task_for: Make) -> None:
    task = task_for("mlp", training__grad_clip=1e-4, training__grad_clip_kind="value", optimizer__learning_rate=1)
    before = {name: value.clone() for name, value in task.weights().items()}
    assert float(task.train_step(0)["grad_norm"]) > 1e-3
    for name, value in task.weights().items():
        assert (value - before[name]).abs().max() <= 1e-4 * (1 + 1e-3), name


def test_a_model_with_batch_norm_is_evaluated_by_its_running_averages(task_for: Make) -> None:
    task = task_for("wavenet")
    for step in range(20):
        task.train_step(step)
    averages = {name: value.clone() for name, value in task.weights().items() if "running" in name}
    first = task.evaluate()
    assert task.evaluate() == first
    for name, value in averages.items():
        assert torch.equal(task.weights()[name], value), "evaluating must not move them"
    assert task.model.training
