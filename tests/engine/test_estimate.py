"""What a configuration amounts to, before it is run: memory by optimizer, and a step that does not fit."""

from typing import Any

import pytest
import torch

from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.models.mlp import MLP
from torchtty.engine.training.memory import gradient_memory
from torchtty.engine.training.task import task_class
from torchtty.engine.worker.estimate import prepare


def tree(kind: str = "mlp", **flags: str) -> dict[str, Any]:
    settings = {"training.device": "cpu"} | {name.replace("__", "."): value for name, value in flags.items()}
    return with_flags(starting_tree(kind), settings).tree()


def _asks_for_too_much(*_: Any) -> Any:
    return torch.empty(2**48)  # more than an address can reach: the allocator's own error


def _memory_error(*_: Any) -> Any:
    raise MemoryError


def _gpu_is_full(*_: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize("forward", [_asks_for_too_much, _memory_error, _gpu_is_full])
def test_a_step_that_does_not_fit_is_a_problem_of_the_batch_size(forward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLP, "forward", forward)
    [[path, message]] = prepare(tree())["problems"]
    assert path == "training.batch_size"
    assert "does not fit into memory. Halve it" in message


def test_a_model_that_does_not_fit_is_a_problem_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MLP, "__init__", _asks_for_too_much)
    [[path, message]] = prepare(tree())["problems"]
    assert path == "model"
    assert "allocate memory" in message


@pytest.mark.parametrize(
    ("flags", "numbers"),
    [
        ({}, 2),
        ({"optimizer__momentum": "0.9"}, 3),
        ({"optimizer__kind": "adagrad"}, 3),
        ({"optimizer__kind": "rmsprop"}, 3),
        ({"optimizer__kind": "rmsprop", "optimizer__momentum": "0.5"}, 4),
        ({"optimizer__kind": "adamw"}, 4),
        ({"optimizer__kind": "muon"}, 4),
    ],
)
def test_memory_counts_weights_gradients_and_what_the_optimizer_remembers(
    flags: dict[str, str], numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchtty.engine.worker.estimate.gradient_memory", lambda task: 0)
    answer = prepare(tree(**flags))
    assert answer["memory"] == 4 * numbers * answer["parameters"]


@pytest.mark.parametrize("kind", ["mlp", "gpt", "wavenet"])
def test_memory_counts_what_a_step_holds_at_once_and_grows_with_the_batch(kind: str) -> None:
    """The reference is a plain count of what autograd keeps for the way back, and the logits' gradient."""
    measured = []
    for batch_size in (8, 16):
        configuration = with_flags(
            starting_tree(kind), {"training.device": "cpu", "training.batch_size": str(batch_size)}
        )
        task, _ = task_class(configuration).for_timing(configuration)
        measured.append(gradient_memory(task))
        task, _ = task_class(configuration).for_timing(configuration)
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor, kept: dict[int, int] = kept) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        weights = {weight.untyped_storage().data_ptr() for weight in task.model.parameters()}  # type: ignore[attr-defined]
        batch = tuple(part.clone() for part in task.next_batch())  # type: ignore[attr-defined]
        ours = weights | {part.untyped_storage().data_ptr() for part in batch}
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss, _ = task.step.descents[0].loss(batch)  # type: ignore[attr-defined]
        needed = sum(size for place, size in kept.items() if place not in ours)
        assert needed < measured[-1] < 4 * needed + 4 * task.facts.parameters
        del loss
    assert measured[0] < measured[1]


def test_counting_needs_neither_gradients_nor_steps() -> None:
    answer = prepare(starting_tree("ngram"))
    assert answer.keys() == {"parameters", "vocab_size", "tokens", "references", "notes"}
