"""The training loop: it knows tasks, steps, commands and the run directory, and no model."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.contract import commands
from engine.contract.configuration import Configuration, ConfigurationError, parse, specs, with_value
from engine.contract.errors import UserError
from engine.contract.events import EventKind
from engine.contract.run_directory import RunDirectory
from engine.contract.status import METRICS, RunState
from engine.training.checkpoint import Saved, mark_best, prune, write_checkpoint
from engine.training.pictures import PictureSampler
from engine.training.record import Record
from engine.training.sampler import Sampler
from engine.training.task import CarriesArchitecture, DrawsPictures, Task

COMMAND_INTERVAL = 0.05  # seconds between two looks into the inbox
FETCH_INTERVAL = 0.1  # seconds between two transfers of metrics from the device


class Diverged(Exception):
    """The loss is no longer a finite number."""


class Loop:
    """Trains a task until its last step, a command, or a failure. `run()` may be called again after it has returned."""

    def __init__(
        self,
        task: Task,
        configuration: Configuration,
        run: RunDirectory,
        record: Record,
        *,
        acquire_device: Callable[[], bool],
        release_device: Callable[[], None],
        max_steps: int,
    ) -> None:
        self.task, self.configuration, self.run, self.record = task, configuration, run, record
        self.sampler = PictureSampler(task, record) if isinstance(task, DrawsPictures) else Sampler(task, record)
        self.step = 0
        self.max_steps = max_steps
        self.seconds = 0.0  # spent training, up to `_resumed_at`
        self.best: tuple[int, float] | None = None  # step and validation loss
        self.stop_requested = False
        self._acquire_device, self._release_device = acquire_device, release_device
        self._paused = False
        self._best_weights: dict[str, Tensor] | None = None
        self._saved_best: int | None = None
        self._losses: dict[str, float] = {}
        self._window: list[dict[str, Tensor | float]] = []  # steps since the last logged one
        self._unfetched: list[tuple[dict[str, float | int], dict[str, Tensor | float]]] = []
        self._clock = 0.0
        self._looked = self._fetched = 0.0
        self._speed: tuple[float, int] | None = None

    # -- the loop -------------------------------------------------------------------------------------------------

    def train(self) -> RunState:
        """Train from the current step on; return how it ended. Raises `Diverged`."""
        self._start_clock()
        self.record.state(RunState.RUNNING)
        if self.step == 0:
            self._evaluate()
            self._log_first_sample()
        while self.step < self.max_steps:
            self._look_for_commands()
            if self.stop_requested:
                return self._end(RunState.STOPPED)
            metrics = self.task.train_step(self.step)
            self.step += 1
            self._collect(metrics)
            interval = self._training("eval_interval", 0)
            last = self.step == self.max_steps
            if interval and (self.step % interval == 0 or last):
                self._evaluate()
            if not last and self._due("checkpoint_interval"):
                self.checkpoint()
            if (every := getattr(self._section("sampling"), "interval", 0)) and self.step % every == 0 and not last:
                self._automatic_sample()
        return self._end(RunState.FINISHED)

    def _end(self, state: RunState) -> RunState:
        if state is RunState.FINISHED and not self._training("eval_interval", 0):
            self._evaluate()
        if state is RunState.FINISHED and self._window and self.step > 1:
            self._log_window()  # the last stretch is shorter; it stays part of its average should the run go on
        self._fetch()
        self.checkpoint()
        self._stop_clock()
        if state is RunState.FINISHED:
            self._automatic_sample()
        self._note()
        self.record.event(
            EventKind.SUMMARY,
            seconds=round(self.seconds, 3),
            steps_per_second=round(self.step / self.seconds, 3) if self.seconds else None,
            metrics=self._losses,
            message="",
        )
        self.record.state(state)
        return state

    def fail(self, message: str) -> None:
        """Say why the run failed; the checkpoints that are there stay."""
        self._stop_clock()
        self._note()
        self.record.state(RunState.FAILED, message)

    def _section(self, name: str) -> Any:
        return getattr(self.configuration, name, None)

    def _training(self, name: str, default: Any) -> Any:
        return getattr(self._section("training"), name, default)

    def _due(self, name: str) -> bool:
        interval = self._training(name, 0)
        return bool(interval) and self.step % interval == 0

    # -- metrics --------------------------------------------------------------------------------------------------

    def _collect(self, metrics: dict[str, Tensor | float]) -> None:
        """Take a step's metrics without waiting for the device; average the losses since the last logged step."""
        self._window.append(metrics)
        interval = self._training("log_interval", 1)
        if self.step % interval == 0 or self.step == 1:
            self._log_window()
            if self.step != 1 or interval == 1:  # the first point is also part of the first average
                self._window.clear()
        now = time.perf_counter()
        if self._unfetched and (now - self._fetched >= FETCH_INTERVAL or self.step == 1):
            self._fetched = now
            self._fetch()
            self.record.flush_if_due()

    def _log_window(self) -> None:
        """Log the steps since the last logged one, their losses averaged."""
        logged: dict[str, Tensor | float] = {}
        for name in self._window[-1]:
            values = [entry[name] for entry in self._window if name in entry]
            tensors = [value for value in values if isinstance(value, Tensor)]
            logged[name] = torch.stack(tensors).mean() if _is_averaged(name) and tensors else values[-1]
        columns = {"step": self.step, "time": self._now(), "tokens": self.step * self.task.tokens_per_step}
        self._unfetched.append((columns, logged))

    def _fetch(self) -> None:
        """Bring the waiting metrics over in one transfer, and see whether the loss is still a number."""
        waiting, self._unfetched = self._unfetched, []
        if not waiting:
            return
        tensors = [value.float() for _, logged in waiting for value in logged.values() if isinstance(value, Tensor)]
        numbers = iter(torch.stack(tensors).tolist() if tensors else [])
        for columns, logged in waiting:
            row = {name: next(numbers) if isinstance(value, Tensor) else float(value) for name, value in logged.items()}
            speed = self._measured_speed(columns)
            rounded = {name: _rounded(value) for name, value in row.items()}
            self.record.metrics(**columns, **rounded, **({"steps_per_second": speed} if speed else {}))
            self._losses |= {name: value for name, value in rounded.items() if _is_loss(name)}
            if not all(math.isfinite(value) for name, value in row.items() if _is_loss(name)):
                self.record.flush()
                raise Diverged(_diverged(int(columns["step"]), self.run))
        self._note(_fast=True)

    def _measured_speed(self, columns: dict[str, float | int]) -> float | None:
        """Return the steps a second since the last row that had one, at least 0.2 s ago."""
        at, step = float(columns["time"]), int(columns["step"])
        if self._speed is None:
            self._speed = (at, step)
            return None
        if at - self._speed[0] < 0.2:
            return None
        speed = round((step - self._speed[1]) / (at - self._speed[0]), 2)
        self._speed = (at, step)
        self.record.note(steps_per_second=speed)
        return speed

    def _note(self, *, _fast: bool = False) -> None:
        self.record.note(
            step=self.step,
            max_steps=self.max_steps,
            seconds=round(self._now(), 3),
            train_loss=self._losses.get("train_loss"),
            val_loss=self._losses.get("val_loss", self.record.status.val_loss),
        )
        if not _fast:
            self.record.flush()

    def _evaluate(self) -> None:
        self._fetch()
        thorough = self.step >= self.max_steps
        losses = {name: _rounded(value) for name, value in self.task.evaluate(thorough).items()}
        if not losses:
            return
        self._losses |= losses
        tokens = self.step * self.task.tokens_per_step
        self.record.metrics(step=self.step, time=self._now(), tokens=tokens, **losses)
        val = losses.get("val_loss")
        better = val is not None and math.isfinite(val) and (self.best is None or val < self.best[1])
        if better and val is not None:
            self.best = (self.step, val)
            if self.step:  # the first weights are random: no one wants them kept
                self._best_weights = {name: tensor.detach().clone() for name, tensor in self.task.weights().items()}
            self.record.note(best_val_loss=val, best_step=self.step)
        self._note()
        self.record.event(EventKind.EVALUATION, train=losses.get("train_eval_loss"), val=val, best=better)
        self._speed = None  # the evaluation's time is not training's
        bad = [value for name, value in losses.items() if math.isnan(value)]
        if bad and self.step:
            raise Diverged(_diverged(self.step, self.run))

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Save everything; a disk that refuses is reported and does not end the run."""
        self._fetch()  # raises if the loss has left the numbers, so that bad weights never replace good ones
        began = time.perf_counter()
        try:
            if self.best and self._best_weights is not None and self._saved_best != self.best[0] != self.step:
                write_checkpoint(self.run, self._saved(self.best[0], self._best_weights, None, {}))
            write_checkpoint(self.run, self._saved(self.step, self.task.weights(), self._state(), self._losses))
            if self.best and self.best[0]:
                mark_best(self.run, *self.best)
                self._saved_best = self.best[0]
            prune(self.run)
        except OSError as error:
            self.record.warn(
                f"The checkpoint at step {self.step:,} could not be written: {error.strerror or error}. Training goes on; "
                "make room or restore the permission, and the next one will be."
            )
            return
        seconds = round(time.perf_counter() - began, 3)
        path = self.run.checkpoint_path(self.step).relative_to(self.run.path)
        self.record.event(
            EventKind.CHECKPOINT, path=str(path), best=bool(self.best and self.best[0] == self.step), seconds=seconds
        )
        self._speed = None

    def _saved(
        self, step: int, weights: dict[str, Tensor], training: dict[str, Any] | None, losses: dict[str, float]
    ) -> Saved:
        architecture = self.task.architecture() if isinstance(self.task, CarriesArchitecture) else None
        return Saved(step, weights, self.task.tokenizer_json(), training, losses, architecture)

    def _state(self) -> dict[str, Any]:
        return {
            "task": self.task.training_state(),
            "step": self.step,
            "seconds": self._now(),
            "best": list(self.best) if self.best else None,
            "losses": self._losses,
            "window": [
                {name: value.detach().cpu() if isinstance(value, Tensor) else value for name, value in entry.items()}
                for entry in self._window
            ],
        }

    def restore(self, saved: Saved, best_weights: dict[str, Tensor] | None) -> None:
        """Go back to a checkpoint that holds the training state."""
        assert saved.training is not None
        self.task.load_weights(saved.weights)
        self.task.load_training_state(saved.training["task"])
        self.step = saved.training["step"]
        self.seconds = saved.training["seconds"]
        best = saved.training["best"]
        self.best = (int(best[0]), float(best[1])) if best else None
        self._best_weights, self._saved_best = best_weights, self.best[0] if self.best else None
        self._losses = saved.training["losses"]
        self._window = saved.training["window"]
        self.record.note(
            best_val_loss=self.best[1] if self.best else None, best_step=self.best[0] if self.best else None
        )

    # -- commands -------------------------------------------------------------------------------------------------

    def _look_for_commands(self) -> None:
        now = time.perf_counter()
        if now - self._looked < COMMAND_INTERVAL:
            return
        self._looked = now
        self.handle_commands()
        if self._paused and not self.stop_requested:
            self._wait_while_paused()

    def handle_commands(self) -> None:
        """Do what the inbox asks for."""
        for command in commands.collect(self.run.inbox):
            if isinstance(command, str):
                self.record.warn(command)
            else:
                self._obey(command)

    def _obey(self, command: commands.Command) -> None:
        match command:
            case commands.Pause():
                self._paused = True
            case commands.Resume():
                self._paused = False
            case commands.Stop():
                self.stop_requested = True
            case commands.Checkpoint():
                self.checkpoint()
            case commands.Edit():
                self.edit(command.path, command.value)
            case commands.Sample():
                self._sample(command)
            case commands.Export():
                self.export(command)
            case commands.CancelSample():
                pass  # it has ended already: one that is being drawn hears of it through `interruptions`
            case commands.Release():
                pass  # only a worker that has finished training lets go of its model

    def edit(self, path: str, value: Any) -> None:
        """Change a live setting, or warn why it cannot be."""
        tree = self.configuration.tree()
        live = {spec.path for spec in specs(self.configuration.kind, tree) if spec.live}
        if path not in live:
            self.record.warn(f"{path} cannot be changed while training runs.")
            return
        section, _, field = path.partition(".")
        old = tree[section][field]
        try:
            changed = parse(with_value(tree, path, value))
        except ConfigurationError as error:
            self.record.warn(f"The change was refused: {error}.")
            return
        self.configuration = changed
        self.task.configure(changed)
        if path == "training.max_steps":
            self.max_steps = max(int(value), self.step)
        self._note()
        self.record.event(EventKind.EDIT, path=path, value=value, old=old)

    def export(self, command: commands.Export) -> None:
        """Write the model as it is now into a new folder that other programs read."""
        clock_runs = self._clock > 0
        self._stop_clock()
        try:
            if not isinstance(self.task, CarriesArchitecture):
                raise UserError("Only GPT-2 can be exported: no other program reads this model's form.")
            files = self.task.export(Path(command.path))
        except UserError as error:
            self.record.event(EventKind.EXPORT_FAILED, id=command.id, message=str(error))
        else:
            self.record.event(EventKind.EXPORTED, id=command.id, path=command.path, files=files)
        if clock_runs:
            self._start_clock()

    def _sample(self, command: commands.Sample) -> None:
        clock_runs = self._clock > 0
        self._fetch()
        self._stop_clock()
        self.record.flush()
        pending = self.sampler.answer(command, self.interruptions)
        if clock_runs:
            self._start_clock()
        for later in pending:
            self._obey(later)

    def interruptions(self) -> list[commands.Command]:
        """Return the commands that came while a sample is being drawn."""
        found = list(commands.collect(self.run.inbox))
        for message in found:
            if isinstance(message, str):
                self.record.warn(message)
        return [command for command in found if not isinstance(command, str)]

    def _automatic_sample(self) -> None:
        clock_runs = self._clock > 0
        self._fetch()
        self._stop_clock()
        pending = self.sampler.automatic(self.step, self.interruptions)
        if clock_runs:
            self._start_clock()
        for later in pending:
            self._obey(later)

    def _log_first_sample(self) -> None:
        """Show what the untrained model says, so that there is something to compare with."""
        if getattr(self._section("sampling"), "interval", 0):
            self._automatic_sample()

    def _wait_while_paused(self) -> None:
        self._fetch()
        self._stop_clock()
        self._note()
        self._release_device()
        self.record.state(RunState.PAUSED)
        while self._paused and not self.stop_requested:
            time.sleep(COMMAND_INTERVAL)
            self.handle_commands()
        if not self.stop_requested:
            self._acquire_device()
            self._paused = False
            self.record.state(RunState.RUNNING)
        self._start_clock()

    # -- the clock ------------------------------------------------------------------------------------------------

    def _start_clock(self) -> None:
        self._clock = time.perf_counter()
        self._speed = None

    def _stop_clock(self) -> None:
        self.seconds = self._now()
        self._clock = 0.0

    def _now(self) -> float:
        running = time.perf_counter() - self._clock if self._clock else 0.0
        return round(self.seconds + running, 4)


def _is_loss(name: str) -> bool:
    """Whether a metric is a loss: `train_loss`, `loss_d`."""
    return "loss" in name.split("_")


def _is_averaged(name: str) -> bool:
    """Whether a metric is averaged over the steps since the last logged one, and not just looked at."""
    return _is_loss(name) or (name in METRICS and METRICS[name].averaged)


def _rounded(value: float) -> float:
    """Keep the seven digits that float32 has."""
    return float(f"{value:.7g}")


def _diverged(step: int, run: RunDirectory) -> str:
    kept = run.checkpoints()
    saved = f"The last good checkpoint is that of step {kept[-1]:,}." if kept else "There was no checkpoint yet."
    return (
        f"The loss stopped being a finite number at step {step:,}: training has diverged. {saved} "
        "A lower learning_rate or a tighter grad_clip usually helps."
    )
