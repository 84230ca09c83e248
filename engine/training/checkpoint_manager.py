"""Which checkpoints a run in training writes: the one of now, and the one of the lowest validation loss."""

import math
import time
from typing import Any

from torch import Tensor

from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.training.checkpoint import Saved, mark_best, prune, write_checkpoint
from torchtty.engine.training.run_writer import Record
from torchtty.engine.training.task import CarriesArchitecture, Task


class Keeper:
    """Writes a task's checkpoints and remembers the best weights until they have one."""

    def __init__(self, task: Task, record: Record) -> None:
        self.task, self.record = task, record
        self.best: tuple[int, float] | None = None  # step and validation loss
        self._best_weights: dict[str, Tensor] | None = None
        self._saved_best: int | None = None  # the step of the best weights that have a checkpoint

    def consider(self, step: int, val_loss: float | None) -> bool:
        """Remember the weights if no step has had a lower validation loss; return whether none had."""
        if val_loss is None or not math.isfinite(val_loss) or (self.best is not None and val_loss >= self.best[1]):
            return False
        self.best = (step, val_loss)
        if step:  # the first weights are random: no one wants them kept
            self._best_weights = {name: tensor.detach().clone() for name, tensor in self.task.weights().items()}
        self.record.note(best_val_loss=val_loss, best_step=step)
        return True

    def write(self, step: int, training: dict[str, Any], losses: dict[str, float]) -> None:
        """Save everything; a disk that refuses is reported and does not end the run."""
        began, run = time.perf_counter(), self.record.run
        try:
            if self.best and self._best_weights is not None and self._saved_best != self.best[0] != step:
                write_checkpoint(run, self._saved(self.best[0], self._best_weights, None, {}))
            write_checkpoint(run, self._saved(step, self.task.weights(), training, losses))
            if self.best and self.best[0]:
                mark_best(run, *self.best)
                self._saved_best = self.best[0]
            prune(run)
        except OSError as error:
            self.record.warn(
                f"The checkpoint at step {step:,} could not be written: {error.strerror or error}. Training goes on; "
                "make room or restore the permission, and the next one will be."
            )
            return
        self.record.event(
            EventKind.CHECKPOINT,
            path=str(run.checkpoint_path(step).relative_to(run.path)),
            best=bool(self.best and self.best[0] == step),
            seconds=round(time.perf_counter() - began, 3),
        )

    def _saved(
        self, step: int, weights: dict[str, Tensor], training: dict[str, Any] | None, losses: dict[str, float]
    ) -> Saved:
        architecture = self.task.architecture() if isinstance(self.task, CarriesArchitecture) else None
        return Saved(step, weights, self.task.tokenizer_json(), training, losses, architecture)

    def restore(self, best: list[float] | None, best_weights: dict[str, Tensor] | None) -> None:
        """Take over the best step and loss as a checkpoint has them, and the weights of that step if they are others."""
        self.best = (int(best[0]), float(best[1])) if best else None
        self._best_weights, self._saved_best = best_weights, self.best[0] if self.best else None
        step, val_loss = self.best or (None, None)
        self.record.note(best_val_loss=val_loss, best_step=step)
