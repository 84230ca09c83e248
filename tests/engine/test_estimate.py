"""What a configuration amounts to, before it is run: memory by optimizer, and a step that does not fit."""

from typing import Any

import pytest
import torch

from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.models.mlp import MLP
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
def test_memory_counts_weights_gradients_and_what_the_optimizer_remembers(flags: dict[str, str], numbers: int) -> None:
    answer = prepare(tree(**flags))
    assert answer["memory"] == 4 * numbers * answer["parameters"]


def test_counting_needs_neither_gradients_nor_steps() -> None:
    answer = prepare(starting_tree("ngram"))
    assert answer.keys() == {"parameters", "vocab_size", "tokens", "references", "notes"}
