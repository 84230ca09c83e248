"""What a fork takes over of its parent's checkpoint, what its settings make begin anew, and what does not fit."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.lineage import Parent, parent_of
from torchtty.engine.contract.settings.configuration import ConfigurationError, Problem, parse, specs, with_value
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.devices import random_state_kept
from torchtty.engine.training.checkpoint import Saved, is_resumable, latest_step
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.task import HasVocabulary, Task

OPTIMIZERS = ("optimizer", "optimizers")  # parts of a training state that belong to optimizers; all others are draws
Shapes = Mapping[str, tuple[int, ...]]


def first_step_of(run: RunDirectory) -> tuple[int, Parent | None]:
    """Return the checkpoint that a run trains on from, and the parent whose it is: that of a fork without any of its own.

    Raises `UserError` if there is none.
    """
    parent, steps = parent_of(run.meta()), run.checkpoints()
    if (
        parent is None
        or parent.step not in steps
        or any(step > parent.step and is_resumable(run, step) for step in steps)
    ):
        return latest_step(run, resumable=True), None
    return parent.step, parent


def taken_over(
    saved: Saved, parent: Parent, task: Task, configuration: Configuration, checkpoints: Iterable[int]
) -> tuple[Saved, tuple[str, ...]]:
    """Return what a fork goes on with of its parent's checkpoint, and what there is to say about it.

    `checkpoints` are the steps that the fork has. Raises `ConfigurationError` if the checkpoint does not fit.
    """
    if problems := misfits(task, {name: tuple(tensor.shape) for name, tensor in saved.weights.items()}, parent):
        raise ConfigurationError(problems)
    about = about_data(task, parent, configuration)
    saved, notes = inherited(saved, parent, configuration, checkpoints)
    return saved, (*notes, about) if about else notes


def inherited(
    saved: Saved, parent: Parent, configuration: Configuration, checkpoints: Iterable[int]
) -> tuple[Saved, tuple[str, ...]]:
    """Return what of a checkpoint a fork goes on with, and sentences about what begins anew.

    `checkpoints` are the steps that the fork has: without a checkpoint of its own the best of before is forgotten.
    """
    notes: list[str] = []
    training = saved.training
    if training is None:
        notes.append(
            f"The checkpoint at step {saved.step:,} holds weights only: the optimizer and all random draws begin anew."
        )
        training = {"task": {}, "best": None, "step": saved.step, "seconds": 0.0, "losses": saved.losses, "window": []}
    state = dict(training["task"])
    live = {spec.path for spec in specs(configuration.kind, configuration.tree()) if spec.live}
    optimizer = [path for path in parent.changed if path.startswith("optimizer.") and path not in live]
    if optimizer and state:
        notes.append(f"The optimizer begins anew, with {_changes(parent, optimizer)}.")
        state = {name: part for name, part in state.items() if name not in OPTIMIZERS}
    if "training.seed" in parent.changed and state:
        notes.append(f"Batches and noise are drawn anew, with {_changes(parent, ['training.seed'])}.")
        state = {name: part for name, part in state.items() if name in OPTIMIZERS}
    best = training["best"]
    if not best or not parent.is_comparable or int(best[0]) not in checkpoints:
        best = None
    return replace(saved, training=training | {"task": state, "best": best}), tuple(notes)


def _changes(parent: Parent, paths: list[str]) -> str:
    kinds = [path for path in paths if path.endswith(".kind")]
    return replace(parent, changed={path: parent.changed[path] for path in kinds or paths}).changes()


def about_data(task: Task, parent: Parent, configuration: Configuration) -> str:
    """Return a sentence about data that are others than those the parent learnt from, empty if they are the same; raise
    `ConfigurationError` if the checkpoint's vocabulary lacks some of their symbols.
    """
    sha256 = task.facts.data_sha256
    dataset, other = configuration.tree()["data"]["dataset"], any(path.startswith("data.") for path in parent.changed)
    if not sha256 or sha256 == parent.data_sha256 or not (other or parent.data_sha256):
        return ""
    if lacking := sorted(task.unknown_symbols()) if isinstance(task, HasVocabulary) else []:
        problem = f"{dataset} does not fit the checkpoint, whose vocabulary lacks {_named(lacking)}"
        raise ConfigurationError([Problem("data.dataset", problem)])
    return f"From here on it learns from {dataset}, which is not what the parent learnt from; the vocabulary stays."


def _named(symbols: list[str]) -> str:
    shown = ", ".join(repr(symbol) for symbol in symbols[:8])
    return shown if len(symbols) <= 8 else f"{shown} and {len(symbols) - 8:,} more"


def misfits(task: Task, saved: Shapes, parent: Parent) -> list[Problem]:
    """Return why weights do not fit a task, at the settings that are to blame; nothing if they fit."""
    own: Shapes = {name: tuple(tensor.shape) for name, tensor in task.weights().items()}
    difference = _difference(saved, own)
    if not difference:
        return []
    changed = {path: values for path, values in parent.changed.items() if path.startswith("model.")}
    usual = _shapes_with(task, parent, changed, "")
    to_blame = [path for path in changed if usual and _shapes_with(task, parent, changed, path) not in (usual, None)]
    if not (to_blame or changed):
        return [Problem("model", f"does not fit the checkpoint: {difference}")]
    problem = f"does not fit the checkpoint: {difference}"
    return [Problem(path, f"{show(changed[path][1])} {problem}") for path in to_blame or changed]


def _difference(there: Shapes, here: Shapes) -> str:
    """Return the first difference between weights, from where tokens come in, in a few words; empty if there is none."""
    for name in [*here, *there]:
        if there.get(name) != here.get(name):
            return f"{name} is {_shape(there.get(name))} there and {_shape(here.get(name))} here"
    return ""


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "missing"
    return "x".join(map(str, shape)) or "a number"


def _shapes_with(task: Task, parent: Parent, changed: Iterable[str], path: str) -> Shapes | None:
    """Return the shapes of the parent's model with one of the changed settings, or none of them; None if it cannot be built."""
    if not isinstance(task, NeuralTask):
        return None
    other: Any = copy.copy(task)
    try:
        tree = task.configuration.tree()
        for each in changed:
            if each != path:
                tree = with_value(tree, each, parent.changed[each][0])
        other.configuration = parse(tree)
        with random_state_kept(), torch.device("meta"):  # shapes only: no memory, no time
            return {name: tuple(tensor.shape) for name, tensor in other.build_network().state_dict().items()}
    except Exception:  # the setting makes no sense alone, or the network cannot be built without its numbers
        return None
