"""Pinned checkpoints: those of a run that a person has asked to keep, whatever retention would remove."""

import json
import time

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import read_json, write_atomically

PATIENCE = 0.3  # seconds in which a checkpoint that was being removed comes back, see `prune`


def pinned_steps(run: RunDirectory) -> frozenset[int]:
    """Return the steps whose checkpoints are kept, whether or not they are there."""
    try:
        steps = read_json(run.path / "pinned.json")["steps"]
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    return frozenset(step for step in steps if type(step) is int) if isinstance(steps, list) else frozenset()


def pin(run: RunDirectory, step: int, *, keep: bool = True) -> None:
    """Pin the checkpoint at a step, or let it go again; raise `UserError` if there is none, or if the disk refuses.

    The pin is written before the checkpoint is looked for: a worker that removes checkpoints looks the other way round.
    """
    before = pinned_steps(run)
    if keep and step not in run.checkpoints():
        raise UserError(f"{run.name} has no checkpoint at step {step:,}. {there_are(run)}")
    if not keep and step not in before:
        raise UserError(f"The checkpoint of {run.name} at step {step:,} is not pinned. {_pinned(before)}")
    _write(run, before | {step} if keep else before - {step})
    until = time.monotonic() + PATIENCE
    while keep and step not in run.checkpoints():
        if time.monotonic() > until:
            _write(run, before)
            raise UserError(f"The checkpoint of {run.name} at step {step:,} was removed just now. {there_are(run)}")
        time.sleep(PATIENCE / 10)


def there_are(run: RunDirectory) -> str:
    """Say in a sentence which checkpoints a run has."""
    steps = [f"{step:,}" for step in run.checkpoints()]
    if not steps:
        return "It has none."
    return f"There is one at {steps[0]}." if len(steps) == 1 else f"There are those at {', '.join(steps)}."


def _pinned(steps: frozenset[int]) -> str:
    return f"Those at {', '.join(f'{step:,}' for step in sorted(steps))} are." if steps else "None is."


def _write(run: RunDirectory, steps: frozenset[int]) -> None:
    try:
        write_atomically(run.path / "pinned.json", json.dumps({"steps": sorted(steps)}), durable=True)
    except OSError as error:
        raise UserError(f"The pins of {run.name} cannot be written: {error.strerror or error}.") from None
