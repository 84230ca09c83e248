"""Forking a run: a new one that goes on from a checkpoint of another, with changed settings.

The checkpoint is copied into the new run, which then needs its parent no more. Steps are counted on from there.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import open_regular, read_json, write_atomically
from torchtty.engine.contract.run.lineage import created, parent_of
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.pins import there_are
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.run.timed_choices import choices_of
from torchtty.engine.contract.settings.configuration import ConfigurationError, Problem, difference
from torchtty.engine.contract.settings.family import Configuration, Tree


@dataclass(frozen=True)
class ForkPoint:
    """A checkpoint that a fork begins from, and the run's settings at that step."""

    run: RunDirectory
    step: int
    settings: Tree

    @property
    def title(self) -> str:
        return f"fork of {self.run.name} at step {self.step:,}"


def fork_point(run: RunDirectory, step: int | None = None) -> ForkPoint:
    """Return where a fork of a run begins: at a step, or at its latest checkpoint. Raises `UserError` if there is none."""
    steps = run.checkpoints()
    if step is None and steps:
        step = steps[-1]
    if step is None or step not in steps:
        at = f" at step {step:,}" if step is not None else " to begin a fork from"
        raise UserError(f"{run.name} has no checkpoint{at}. {there_are(run)}")
    return ForkPoint(run, step, settings_in_force(run, step))


def nearest_fork_point(snapshot: RunSnapshot, step: float | None) -> ForkPoint:
    """Return where a fork begins that was asked for at a step: at the nearest checkpoint, without a step at the latest.

    Raises `UserError` that says why the run cannot be forked.
    """
    run = snapshot.run
    if refusal := snapshot.refusal(Action.FORK):
        raise UserError(refusal)
    return fork_point(run, nearest(run.checkpoints(), step))


def nearest(steps: list[int], step: float | None) -> int | None:
    """Return which of some ascending steps is nearest to one, of two as near the earlier; without one the last."""
    return min(steps, key=lambda each: abs(each - step)) if steps and step is not None else max(steps, default=None)


def refused(point: ForkPoint, configuration: Configuration) -> list[Problem]:
    """Return what forbids a fork with these settings, as far as the settings tell; weights may still not fit."""
    tree = configuration.tree()
    before, now = point.settings["model"]["kind"], configuration.kind
    if before != now:
        return [Problem("model.kind", f"{now} does not fit the checkpoint, whose model is a {before}")]
    problems = []
    changed = difference(point.settings, tree)
    if fixed := [path for path in changed if path.startswith("tokenizer.")]:
        path = next((path for path in fixed if path.endswith(".kind")), fixed[0])
        problems.append(Problem(path, "cannot change: the checkpoint's weights belong to its vocabulary"))
    max_steps = tree["training"].get("max_steps")
    if max_steps is not None and max_steps <= point.step:
        problems.append(Problem("training.max_steps", f"must be above {point.step:,}, the step where the fork begins"))
    return problems


def create_fork(point: ForkPoint, configuration: Configuration, name: str | None = None) -> RunDirectory:
    """Make the run of a fork with a copy of the checkpoint in it; raise `UserError`. A worker has yet to train it.

    The run is there as a whole or not at all, whatever becomes of the process meanwhile.
    """
    if problems := refused(point, configuration):
        raise ConfigurationError(problems)
    run, meta = point.run, point.run.meta()
    changed = difference(point.settings, configuration.tree())
    parent = {
        "run": run.name,
        "path": str(run.path),
        "step": point.step,
        "created": created(meta),
        "changed": {path: list(values) for path, values in changed.items()},
        "data_sha256": meta.get("data_sha256"),
        # An unchanged fork is to be its parent to the bit; another one begins as its parent stood, and times anew.
        "choices": choices_of(run, point.step if changed else run.written_status().step).model_dump(mode="json"),
    }
    known, recipe = parent_of({"parent": parent}), meta.get("recipe")
    with_best = known is not None and known.is_comparable
    return create(
        configuration,
        name=name,
        stem=_stem(run.name),
        recipe=recipe if isinstance(recipe, str) else None,
        parent=parent,
        fill=lambda made: _take_over(point, configuration, made, with_best=with_best),
    )


def _stem(parent: str) -> str:
    """Return what forks are called: `gpt-1-fork`, and so those of `gpt-1-fork-2`."""
    usable = re.sub(r"[^A-Za-z0-9._-]+", "-", parent).strip("-.") or "run"
    return re.sub(r"-fork(-\d+)?$", "", usable)[:70] + "-fork"


def _take_over(point: ForkPoint, configuration: Configuration, made: RunDirectory, *, with_best: bool) -> None:
    """Copy the checkpoint into a new run, and the best one before it, which the fork may never better."""
    run, best = point.run, _best(point.run) if with_best else None
    _copy(point, point.step, made)
    if best is not None and best["step"] in run.checkpoints() and best["step"] <= point.step:
        if best["step"] != point.step:
            _copy(point, best["step"], made)
        write_atomically(made.steps / "best.json", json.dumps(best), durable=True)
    max_steps = configuration.tree()["training"].get("max_steps", 0)
    about = {"step": point.step, "max_steps": max_steps, "device": run.written_status().device}
    made.write_status(Status(state=RunState.STARTING, heartbeat=time.time(), **about))


def _best(run: RunDirectory) -> Mapping[str, Any] | None:
    try:
        found = read_json(run.steps / "best.json")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and type(found.get("step")) is int else None


def _copy(point: ForkPoint, step: int, made: RunDirectory) -> None:
    """Copy a checkpoint, and wait for the disk; raise `UserError` if it was removed meanwhile, and OSError."""
    source, target = point.run.checkpoint_path(step), made.checkpoint_path(step)
    target.mkdir()
    try:
        for name in sorted(os.listdir(source)):
            with open_regular(source / name) as original, (target / name).open("xb") as copy:
                shutil.copyfileobj(original, copy, 1024 * 1024)
                copy.flush()
                os.fsync(copy.fileno())
        os.stat(source / "checkpoint.json")  # removed files would be missing from the list without an error
    except OSError:
        if not (source / "checkpoint.json").exists():
            raise UserError(
                f"The checkpoint of {point.run.name} at step {step:,} was removed just now. {there_are(point.run)}"
            ) from None
        raise
