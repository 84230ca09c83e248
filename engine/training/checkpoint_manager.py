"""Which checkpoints a run in training writes: the latest, and the one of the lowest value of the watched metric."""

import math
import time
from typing import Any, NamedTuple

from torch import Tensor

from torchtty.engine.contract.run.events import CheckpointWritten
from torchtty.engine.training.checkpoint import Saved, mark_best, prune, read_checkpoint, write_checkpoint
from torchtty.engine.training.run_writer import RunWriter
from torchtty.engine.training.task import CarriesArchitecture, Task, WritesText


class Chosen(NamedTuple):
    """Weights to judge a run by: those of a step, None for those at hand; whether they are the best, or only the latest."""

    step: int
    weights: dict[str, Tensor] | None
    is_best: bool


class CheckpointManager:
    """Writes a task's checkpoints and remembers the best weights until they have one."""

    def __init__(self, task: Task, writer: RunWriter) -> None:
        self.task, self.writer = task, writer
        self.best: tuple[int, float] | None = None  # step and value of the watched metric
        self._best_weights: dict[str, Tensor] | None = None
        self._saved_best: int | None = None  # the step of the best weights that have a checkpoint

    def consider(self, step: int, value: float | None) -> bool:
        """Remember the weights if no step has had a lower value of the watched metric; return whether none had."""
        if value is None or not math.isfinite(value) or (self.best is not None and value >= self.best[1]):
            return False
        self.best = (step, value)
        if step:  # the first weights are random: no one wants them kept
            self._best_weights = {
                name: tensor.detach().to("cpu", copy=True) for name, tensor in self.task.weights().items()
            }  # in the machine's memory: a GPU's is scarce
        self.writer.note(best=value, best_step=step)
        return True

    def chosen(self, step: int) -> Chosen:
        """Return the weights that validation has chosen up to `step`, whose weights are at hand.

        They are read from their checkpoint where they are not in memory. Raises `UserError` if that is damaged.
        """
        best = self.best[0] if self.best else self.writer.run.best_step()
        if best == step:
            return Chosen(step, None, is_best=step > 0)
        weights = self._best_weights
        if best and weights is None and best in self.writer.run.checkpoints():
            weights = read_checkpoint(self.writer.run, best, with_training=False).weights
        return (
            Chosen(best, weights, is_best=True) if best and weights is not None else Chosen(step, None, is_best=False)
        )

    def write(self, step: int, training: dict[str, Any], losses: dict[str, float]) -> None:
        """Save everything; a disk that refuses is reported and does not end the run.

        The metrics are durable before the checkpoint is: a run that goes on from it does not write the rows before it again.
        """
        began, run = time.perf_counter(), self.writer.run
        self.writer.flush(durable=True)
        try:
            if self.best and self._best_weights is not None and self._saved_best != self.best[0] != step:
                write_checkpoint(run, self._saved(self.best[0], self._best_weights, None, {}))
            write_checkpoint(run, self._saved(step, self.task.weights(), training, losses))
            if self.best and self.best[0]:
                mark_best(run, *self.best)
                self._saved_best = self.best[0]
            prune(run)
        except OSError as error:
            self.writer.warn(
                f"The checkpoint at step {step:,} could not be written: {error.strerror or error}. Training goes on; "
                "make room or restore the permission, and the next one will be."
            )
            return
        self.writer.event(
            CheckpointWritten(
                path=str(run.checkpoint_path(step).relative_to(run.path)),
                best=bool(self.best and self.best[0] == step),
                seconds=round(time.perf_counter() - began, 3),
            )
        )

    def _saved(
        self, step: int, weights: dict[str, Tensor], training: dict[str, Any] | None, losses: dict[str, float]
    ) -> Saved:
        architecture = self.task.architecture() if isinstance(self.task, CarriesArchitecture) else None
        tokenizer = self.task.tokenizer_json() if isinstance(self.task, WritesText) else None
        return Saved(step, weights, tokenizer, training, losses, architecture)

    def forget_best_weights(self) -> None:
        """Let the copy of the best weights go, once they have a checkpoint."""
        self._best_weights = None

    def restore(self, best: list[float] | None, best_weights: dict[str, Tensor] | None) -> None:
        """Take over the best step and loss as a checkpoint has them, and the weights of that step if they are others."""
        self.best = (int(best[0]), float(best[1])) if best else None
        self._best_weights, self._saved_best = best_weights, self.best[0] if self.best else None
        at, value = self.best or (None, None)
        self.writer.note(best=value, best_step=at)
