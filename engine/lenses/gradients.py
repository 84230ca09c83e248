"""The lens gradients: how large each weight's gradient is, and how far one step moves it, now and over the steps.

It does one training step on a copy of model and optimizer, on a batch of its own, with the rates that the run has at that step.
"""

import copy
import math
from collections.abc import Generator, Mapping
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.memory import is_remembered, remember, remembered
from torchtty.engine.lenses.subject import Moment, apart_over, at_checkpoint, thinned, values
from torchtty.engine.training.checkpoint import is_resumable, read_checkpoint
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.optimizers import build_optimizer
from torchtty.engine.training.step import Descent, EagerStep

CHECKPOINTS = 8  # that are looked at over time
MEMORY = {"ratios": "gradients-ratio", "norms": "gradients-norm"}


def compute(task: Any, options: Mapping[str, Any], moment: Moment) -> Generator[Progress, None, dict[str, Any]]:
    """Return `weights`: of each its `norm`, that of its `gradient` and its spread, and `ratio`, ‖update‖ / ‖weight‖.

    `over` holds the course of the ratios or of the norms over the steps, where `show` asks for one.
    """
    if not isinstance(task, NeuralTask):
        raise UserError("This lens does a training step on a copy, and this model's task has none that it could do.")
    subject: Any = task  # for type checkers: a task that loads weights
    run, checkpoint = moment.run, options["step"]
    yield Progress(done=0, total=2)
    step = moment.step if checkpoint is None else checkpoint
    now = subject if checkpoint is None else at_checkpoint(subject, run, checkpoint)
    weights, remark = _weights(now, run, step, is_now=checkpoint is None)
    result: dict[str, Any] = {"weights": weights, "show": options["show"], "remark": remark}
    if checkpoint is not None:
        result["checkpoint"] = checkpoint
    else:
        _remember(run, step, weights)
    if options["show"] != "now":
        known = [one for one in run.checkpoints() if is_resumable(run, one)]
        missing = [one for one in thinned(known, CHECKPOINTS) if not is_remembered(run.path, MEMORY["norms"], one)]
        for done, (one, then) in enumerate(apart_over(subject, run, missing)):
            yield Progress(done=done, total=len(missing))
            _remember(run, one, _weights(then, run, one, is_now=False)[0])
        result["over"] = remembered(run.path, MEMORY[options["show"]])
    return result


def _remember(run: RunDirectory, step: int, weights: list[dict[str, Any]]) -> None:
    """Remember the matrices of a step: biases and norms move in other proportions."""
    matrices = [weight for weight in weights if len(weight["shape"]) >= 2]
    ratios = {weight["name"]: weight["ratio"] for weight in matrices if weight["ratio"]}
    remember(run.path, MEMORY["ratios"], step, ratios)
    remember(run.path, MEMORY["norms"], step, {weight["name"]: weight["gradient"] for weight in matrices})


def _weights(task: Any, run: RunDirectory, step: int, *, is_now: bool) -> tuple[list[dict[str, Any]], str]:
    """Do a step with the optimizer as it is at a step; return what became of the weights, and a remark on what is missing."""
    states = _optimizer_states(task, run, step, is_now=is_now)
    optimizers = {
        name: build_optimizer(task.configuration.optimizer, task.model.get_submodule(name), task.device)
        for name in task.descended
    }
    for name, optimizer in optimizers.items():
        if states:
            saved = states["optimizer"] if "optimizer" in states else states["optimizers"][name]
            optimizer.load_state_dict(copy.deepcopy(saved))  # loading takes tensors over as they are
    task.begin_anew()
    task.model.train()
    moved = {name: weight for name, weight in task.model.named_parameters() if weight.requires_grad}
    before = {name: weight.detach().clone() for name, weight in moved.items()}
    if not (descents := task.descents(optimizers)):
        raise UserError(
            "This lens does a training step on a copy, and this model's task does not say what one descends."
        )
    gradients = _stepped(task, descents, step)
    found = []
    for name, weight in moved.items():
        norm, gradient = float(before[name].norm()), gradients.get(weight)
        update = float((weight.detach() - before[name]).norm())
        ratio = update / norm if norm and states else None
        found.append(
            {
                "name": name,
                "shape": list(weight.shape),
                "norm": _short(norm),
                "gradient": _short(float(gradient.norm())) if gradient is not None else None,
                "spread": values(gradient.std(correction=0)) if gradient is not None else None,
                "ratio": _short(ratio),
            }
        )
    return found, "" if states else "No optimizer state is kept at this step, so how far a step moves is not known."


def _stepped(task: Any, descents: tuple[Descent, ...], step: int) -> dict[Tensor, Tensor]:
    """Do one step on the example batch; return the gradients as they were clipped."""
    gradients: dict[Tensor, Tensor] = {}
    with torch.enable_grad():
        for descent in descents:  # one by one: a later loss may put gradients into what an earlier one descends
            EagerStep(descent)(task.example_batch(), task.rates(step), keep_gradients=True)
            gradients |= {weight: weight.grad.detach().clone() for weight in descent.weights if weight.grad is not None}
            task.model.zero_grad(set_to_none=True)
    return gradients


def _optimizer_states(task: Any, run: RunDirectory, step: int, *, is_now: bool) -> Mapping[str, Any]:
    """Return the optimizers' states: of the training that goes on, or else of the checkpoint of a step, if it has them."""
    if is_now and (one := getattr(task, "optimizer", None)) is not None:
        return {"optimizer": one.state_dict()}
    if is_now and (several := getattr(task, "optimizers", None)):
        return {"optimizers": {name: optimizer.state_dict() for name, optimizer in several.items()}}
    if step not in run.checkpoints() or not is_resumable(run, step):
        return {}
    training = read_checkpoint(run, step, with_training=True).training
    state = training["task"] if training is not None else {}
    return {name: part for name, part in state.items() if name in ("optimizer", "optimizers")}


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")
