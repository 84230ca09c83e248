"""The training loop: it knows tasks, steps and intervals, and no model."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import Configuration
from torchtty.engine.training.checkpoint import Saved
from torchtty.engine.training.checkpoint_manager import Keeper
from torchtty.engine.training.metrics import MetricLog
from torchtty.engine.training.run_writer import Record
from torchtty.engine.training.steering import Steering
from torchtty.engine.training.task import Task


class Loop:
    """Trains a task until its last step, a command, or a failure. `train()` may be called again after it has returned."""

    def __init__(
        self,
        task: Task,
        configuration: Configuration,
        record: Record,
        *,
        acquire_device: Callable[[], bool],
        release_device: Callable[[], None],
        max_steps: int,
    ) -> None:
        self.task, self.configuration, self.record = task, configuration, record
        self.run = record.run
        self.step = 0
        self.max_steps = max_steps
        self.metrics = MetricLog(record, task.tokens_per_step)
        self.keeper = Keeper(task, record)
        self.steering = Steering(self, acquire_device, release_device)

    def train(self) -> RunState:
        """Train from the current step on; return how it ended. Raises `Diverged`."""
        self.metrics.start_clock()
        self.record.state(RunState.RUNNING)
        if self.step == 0:
            self._evaluate()
            if self._sampling_interval():  # what the untrained model says, so that there is something to compare with
                self.steering.sample_unasked()
        while self.step < self.max_steps:
            self.steering.look()
            if self.steering.stop_requested:
                return self._end(RunState.STOPPED)
            metrics = self.task.train_step(self.step)
            self.step += 1
            self.metrics.collect(self.step, metrics, self._training("log_interval", 1))
            interval = self._training("eval_interval", 0)
            last = self.step == self.max_steps
            if interval and (self.step % interval == 0 or last):
                self._evaluate()
            if last:
                break
            if (every := self._training("checkpoint_interval", 0)) and self.step % every == 0:
                self.checkpoint()
            if (every := self._sampling_interval()) and self.step % every == 0:
                self.steering.sample_unasked()
        return self._end(RunState.FINISHED)

    def _end(self, state: RunState) -> RunState:
        if state is RunState.FINISHED:
            if not self._training("eval_interval", 0):
                self._evaluate()
            self.metrics.log_rest()
        self.checkpoint()
        self.metrics.stop_clock()
        if state is RunState.FINISHED:
            self.steering.sample_unasked()
        self.note()
        seconds = self.metrics.seconds
        self.record.event(
            EventKind.SUMMARY,
            seconds=round(seconds, 3),
            steps_per_second=round(self.step / seconds, 3) if seconds else None,
            metrics=self.metrics.losses,
            message="",
        )
        self.record.state(state)
        return state

    def fail(self, message: str) -> None:
        """Say why the run failed; the checkpoints that are there stay."""
        self.metrics.stop_clock()
        self.note()
        self.record.state(RunState.FAILED, message)

    def _evaluate(self) -> None:
        self.metrics.fetch()
        found = self.task.evaluate(self.step >= self.max_steps)
        if not found:
            return
        losses = self.metrics.evaluated(found)
        val = losses.get("val_loss")
        better = self.keeper.consider(self.step, val)
        self.note()
        self.record.event(EventKind.EVALUATION, train=losses.get("train_eval_loss"), val=val, best=better)
        self.metrics.restart_speed()
        self.metrics.check(losses)

    def note(self) -> None:
        """Put where the run stands into its status, and write out what waits to be written."""
        self.record.note(max_steps=self.max_steps)
        self.metrics.note()
        self.record.flush()

    # -- settings -------------------------------------------------------------------------------------------------

    def configure(self, configuration: Configuration) -> None:
        """Take over live settings."""
        self.configuration = configuration
        self.task.configure(configuration)

    def _training(self, name: str, default: int) -> int:
        value: int = getattr(getattr(self.configuration, "training", None), name, default)
        return value

    def _sampling_interval(self) -> int:
        interval: int = getattr(getattr(self.configuration, "sampling", None), "interval", 0)
        return interval

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Save everything. Raises `Diverged` if the loss has left the numbers, so that bad weights never replace good ones."""
        self.metrics.fetch()
        best = list(self.keeper.best) if self.keeper.best else None
        state: dict[str, Any] = {"task": self.task.training_state(), "best": best} | self.metrics.state()
        self.keeper.write(self.step, state, self.metrics.losses)
        self.metrics.restart_speed()

    def restore(self, saved: Saved, best_weights: dict[str, Tensor] | None) -> None:
        """Go back to a checkpoint; to no more than its weights where it holds nothing else."""
        self.task.load_weights(saved.weights)
        self.step = self.metrics.step = saved.step
        if saved.training is None:
            return
        self.task.load_training_state(saved.training["task"])
        self.metrics.load_state(saved.training)
        self.keeper.restore(saved.training["best"], best_weights)
