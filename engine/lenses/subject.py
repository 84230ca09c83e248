"""What a lens looks into: a copy of a run's task with a model of its own, as it is now or as it was at a checkpoint.

A lens may do with that model what it likes: train it, put other weights in, register hooks. The task itself is shared, so that a
lens draws no batch from `next_batch` and does no `train_step`; `windows.draw` with a generator of its own gives it batches.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.training.checkpoint import read_checkpoint
from torchtty.engine.training.task import Task

SIGNIFICANT = 4  # digits of a number that is sent to be shown

T = TypeVar("T", bound=Task)


@dataclass(frozen=True)
class Moment:
    """The run that is looked into, and the step at which its model stands."""

    run: RunDirectory
    step: int


def set_apart(task: T) -> T:
    """Return the task with a copy of its model. What it names of that model, such as one of two networks, is of the copy too."""
    apart = copy.copy(task)
    model: nn.Module = task.model  # type: ignore[attr-defined]
    names = {module: name for name, module in model.named_modules()}
    own = copy.deepcopy(model)
    for attribute, value in list(vars(task).items()):
        if isinstance(value, nn.Module) and value in names:
            setattr(apart, attribute, own.get_submodule(names[value]))
    vars(apart).pop("step", None)  # it moves the weights that are trained
    return apart


def at_checkpoint(task: T, run: RunDirectory, step: int) -> T:
    """Return the task set apart, with the weights of the checkpoint of a step; raise `UserError` if there is none."""
    known = run.checkpoints()
    if step not in known:
        there = ", ".join(f"{one:,}" for one in known) or "none yet"
        raise UserError(f"{run.name} has no checkpoint at step {step:,}. Its checkpoints: {there}.")
    saved = read_checkpoint(run, step, with_training=False)
    apart = set_apart(task)
    apart.load_weights(saved.weights)
    return apart


def refuse_diverged(task: Task) -> None:
    """Raise `UserError` if the weights of a task's model are no numbers any more."""
    model: nn.Module = task.model  # type: ignore[attr-defined]
    finite = [weight.detach().isfinite().all() for weight in model.parameters()]
    if finite and not bool(torch.stack(finite).all()):
        raise UserError(
            "The model's weights have become NaN or infinite, as they do when training diverges: there is nothing to see in "
            "them. Look into an earlier checkpoint with the option step, or train again with a lower learning_rate."
        )


def thinned(steps: list[int], most: int) -> list[int]:
    """Return at most so many of the steps, evenly spread, the first and the last among them."""
    if len(steps) <= most:
        return steps
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)]


def values(tensor: Tensor, digits: int = SIGNIFICANT) -> Any:
    """Return a tensor as nested lists of numbers with so many significant digits; what is no finite number becomes None."""
    return _rounded(tensor.detach().double().cpu().tolist() if tensor.is_floating_point() else tensor.tolist(), digits)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, list):
        return [_rounded(part, digits) for part in value]
    if isinstance(value, float):
        if value - value != 0:  # NaN and the infinities
            return None
        return float(f"{value:.{digits}g}")
    return value


def apart_over(task: T, run: RunDirectory, steps: list[int]) -> Iterator[tuple[int, T]]:
    """Go through checkpoints, each as its step and the task with its weights; one that is gone by now is left out."""
    for step in steps:
        try:
            yield step, at_checkpoint(task, run, step)
        except UserError:
            if step in run.checkpoints():
                raise
