"""Evaluating the test split: with the weights that validation has chosen, and without a trace in training."""

import time
from collections.abc import Generator

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress, Tested
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.metrics import seven_digits
from torchtty.engine.training.task import KeepsTestSplit

INTERVAL = 0.1  # seconds between two reports of progress


def evaluated(loop: Loop) -> Generator[Progress, None, Tested]:
    """Evaluate the best weights, those at hand where none are best, on the test split and the validation split.

    The weights at hand are back afterwards, whatever happens. Raises `UserError` where there is no test split, or where the data
    are others than those that were trained on: their test split would hold what was learnt from.
    """
    task = loop.task
    if not isinstance(task, KeepsTestSplit):
        raise UserError("This model has no loss that a test split could be measured by.")
    recorded = loop.run.meta().get("data_sha256")
    if recorded and task.facts.data_sha256 and recorded != task.facts.data_sha256:
        raise UserError(
            "The data have changed since this run was trained on them, so their test split would hold what it has learnt from. "
            "Restore them to evaluate it."
        )
    chosen = loop.checkpoints.chosen(loop.step)
    before = {name: tensor.detach().clone() for name, tensor in task.weights().items()} if chosen.weights else {}
    work, reported = task.evaluate_test(), time.monotonic()
    try:
        if chosen.weights:
            task.load_weights(chosen.weights)
        while True:
            try:
                done, total = next(work)
            except StopIteration as end:
                found = end.value
                break
            if time.monotonic() - reported >= INTERVAL:
                reported = time.monotonic()
                yield Progress(done=done, total=total)
    finally:
        work.close()
        if chosen.weights:
            task.load_weights(before)
    metrics = {name: seven_digits(value) for name, value in found.items()}
    return Tested(metrics=metrics, weights="best" if chosen.is_best else "latest", weights_step=chosen.step)
