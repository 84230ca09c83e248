"""What a worker does with the run it was handed: train it, go on with it, or serve samples from it."""

import json
import os
import signal
import sys
import time
import traceback
from typing import Any

import torch
from filelock import Timeout

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse
from torchtty.engine.devices import choose_device
from torchtty.engine.training.checkpoint import latest_step, read_checkpoint
from torchtty.engine.training.factory import build_task
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.metrics import Diverged
from torchtty.engine.training.run_writer import Record, cut_metrics_after, new_status
from torchtty.engine.training.steering import Steering
from torchtty.engine.worker.device_queue import DeviceLock, run_lock

IDLE_SECONDS = float(os.environ.get("TORCHTTY_IDLE_SECONDS", "600"))  # how long a finished run's model stays in memory
POLL = 0.05  # seconds between two looks at what is waited for
SEEN = 0.5  # seconds that a run which cannot go on is shown as starting: an app looks a few times a second
HAND_OVER_PATIENCE = 20.0  # seconds that another worker of the run gets to let go


class Session:
    """One worker's work on one run."""

    def __init__(self, run: RunDirectory, mode: Mode, edits: dict[str, Any], idle_seconds: float | None = None) -> None:
        self.run, self.mode, self.edits = run, mode, edits
        self.idle_seconds = IDLE_SECONDS if idle_seconds is None else idle_seconds
        self.lock = run_lock(run.path)
        self.signalled = False
        self._trains = False  # whether training has begun or gone on
        self._device_lock: DeviceLock | None = None

    def work(self) -> int:
        """See the run through; return the process's exit code."""
        if not self._become_its_only_worker():
            print("another worker holds this run; this one leaves", flush=True)
            return 0
        before = self._before = self.run.written_status()
        status = new_status(before.max_steps)
        if self.mode is not Mode.TRAIN:
            kept = before.model_dump(exclude={"pid", "process_started", "host", "heartbeat", "serving"})
            status = status.model_copy(update=kept | {"state": before.state, "message": before.message})
            if self.mode is Mode.SERVE and before.state.is_live:
                status.state, status.message = RunState.LOST, before.observed().message
        if self.mode is not Mode.SERVE:
            status.state, status.message = RunState.STARTING, ""
        self.record = Record(self.run, status)
        self.record.start()
        self._began = time.monotonic()
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self.loop: Loop | None = None
        self._stop_early = False
        try:
            return self._see_through()
        except (UserError, MemoryError, torch.OutOfMemoryError, OSError) as error:
            self.record.note(unreachable=isinstance(error, UnreachableError))
            return self._failed(_said(error))
        except Exception as error:  # a fault of torchtty or torch: whoever waits for the run hears of it all the same
            traceback.print_exc()
            return self._failed(f"An unexpected error ended the run: {type(error).__name__}: {error}. See worker.log.")
        finally:
            if self._device_lock is not None:
                self._device_lock.release()
            self.record.close()
            self.lock.release(force=True)

    def _failed(self, message: str) -> int:
        print(message, file=sys.stderr, flush=True)
        if self.mode is Mode.SERVE:  # the run itself is as good as it was
            self.record.warn(message)
            for command in commands.collect(self.run.inbox):
                if isinstance(command, commands.Sample):
                    self.record.event(EventKind.SAMPLE_FAILED, id=command.id, message=message)
        elif self.mode is Mode.RESUME and not self._trains:
            self._put_back(message)
        elif self.loop is not None:
            self.loop.fail(message)
        else:
            self.record.state(RunState.FAILED, message)
        return 1

    def _put_back(self, message: str) -> None:
        """Leave a run that could not go on as it was, and say why: what it has learnt is as good as before.

        Its last worker is named again, for this one has not taken it over.
        """
        status = self._before
        state = RunState.LOST if status.state.is_live else status.state
        time.sleep(max(0.0, self._began + SEEN - time.monotonic()))
        self.record.event(EventKind.STATE, state=state.value, message=message)
        self.record.change(**status.model_dump() | {"state": state, "message": message})

    def _see_through(self) -> int:
        tree = self.run.edited_tree() if self.mode is not Mode.TRAIN else self.run.configuration().tree()
        configuration = parse(tree)
        if self.mode is not Mode.TRAIN:
            step = latest_step(self.run, resumable=self.mode is Mode.RESUME)
            saved = read_checkpoint(self.run, step, with_training=self.mode is Mode.RESUME)
        else:
            saved = None
        section = getattr(configuration, "training")  # noqa: B009 - every configuration has one
        device = str(choose_device(getattr(section, "device", "cpu")))
        self.record.note(device=device)
        device_lock = DeviceLock(device)
        self._device_lock = device_lock
        if self.mode is not Mode.SERVE and not self._wait_for(device_lock):
            self.record.state(RunState.STOPPED)
            return 0
        task = build_task(
            configuration,
            saved.tokenizer if saved else None,
            saved.architecture if saved else None,
            data_may_be_gone=self.mode is Mode.SERVE,
        )
        self._complete_meta(device)
        max_steps = getattr(section, "max_steps", 1)
        self.loop = Loop(
            task,
            configuration,
            self.record,
            acquire_device=lambda: self._wait_for(device_lock),
            release_device=device_lock.release,
            max_steps=max_steps,
        )
        if saved is not None:
            self._restore(saved)
        if self.mode is Mode.SERVE:
            self.record.note(max_steps=max_steps)
        else:
            facts = task.facts
            self.record.note(max_steps=max_steps, parameters=facts.parameters or None)
            self.record.event(
                EventKind.READY,
                parameters=facts.parameters,
                vocab_size=facts.vocab_size,
                tokens=facts.tokens,
                references=facts.references,
                notes=list(facts.notes),
                device=device,
            )
            self._train(self.loop)
            device_lock.release()
            if facts.parameters != task.facts.parameters:
                self.record.note(parameters=task.facts.parameters)
        self._serve(self.loop.steering)
        return 0 if self.record.status.state is not RunState.FAILED else 1

    def _train(self, loop: Loop) -> None:
        loop.steering.stop_requested = self._stop_early
        for path, value in self.edits.items():
            loop.steering.edit(path, value)
        self._trains = True
        try:
            loop.train()
        except Diverged as error:
            loop.fail(str(error))

    def _restore(self, saved: Any) -> None:
        assert self.loop is not None
        if saved.training is None:
            self.loop.restore(saved, None)
            return
        best = self.run.best_step()
        best_weights = None
        if best is not None and best != saved.step:
            best_weights = read_checkpoint(self.run, best, with_training=False).weights
        self.loop.restore(saved, best_weights)
        cut_metrics_after(self.run, self.loop.step)
        self.record.note(step=self.loop.step)

    def _serve(self, steering: Steering) -> None:
        """Keep the model in memory and answer, until nobody has asked for a while or training is wanted again."""
        if (self._stop_early and self.mode is not Mode.SERVE) or not self.idle_seconds:
            return
        if self.record.status.state is RunState.FAILED:
            return
        self.record.change(serving=True)
        since = time.monotonic()
        while time.monotonic() - since < self.idle_seconds and not self._stop_early:
            for command in commands.collect(self.run.inbox):
                since = time.monotonic()
                if isinstance(command, commands.Release):
                    self.record.note(serving=False)
                    return
                if isinstance(command, str):
                    self.record.warn(command)
                elif isinstance(command, commands.Export):
                    steering.export(command)
                elif isinstance(command, commands.Sample):
                    left = steering.sampler.answer(command, steering.interruptions)
                    while left:
                        later = left.pop(0)
                        if isinstance(later, commands.Sample):
                            left = steering.sampler.answer(later, steering.interruptions) + left
                        elif isinstance(later, commands.Export):
                            steering.export(later)
                        elif isinstance(later, commands.Release):
                            self.record.note(serving=False)
                            return
            time.sleep(POLL)
        self.record.note(serving=False)

    # -- locks ----------------------------------------------------------------------------------------------------

    def _become_its_only_worker(self) -> bool:
        """Take the run's lock; a worker that only serves it is asked to let go when training is wanted."""
        began, asked = time.monotonic(), False
        while True:
            try:
                self.lock.acquire(timeout=0)
                return True
            except Timeout:
                serving = self.run.status().serving
                if (
                    self.mode is Mode.SERVE
                    or (not serving and not asked)
                    or time.monotonic() - began > HAND_OVER_PATIENCE
                ):
                    return False
                if not asked:
                    commands.drop(self.run.inbox, commands.Release())
                    asked = True
                time.sleep(POLL)

    def _wait_for(self, device: DeviceLock) -> bool:
        """Take the device; while another run holds it, stand in the queue. Returns False if told to stop meanwhile."""
        queued = False
        while not device.try_acquire(self.run.name):
            if not queued:
                queued = True
                self.record.change(waiting_for=device.holder())
                self.record.state(RunState.QUEUED, f"Waiting for {device.holder()}, which uses the device.")
            if self._told_to_stop():
                self.record.note(waiting_for="")
                return False
            time.sleep(POLL)
        self.record.note(waiting_for="")
        return True

    def _told_to_stop(self) -> bool:
        if self.loop is not None:
            self.loop.steering.handle()
            return self.loop.steering.stop_requested
        for command in commands.collect(self.run.inbox):
            if isinstance(command, commands.Stop):
                self._stop_early = True
            elif isinstance(command, commands.Sample):
                self.record.event(EventKind.SAMPLE_FAILED, id=command.id, message="The run has not started yet.")
        return self._stop_early

    def _on_signal(self, *_: Any) -> None:
        """SIGTERM and SIGINT: a checkpoint, then stopped."""
        self._stop_early = self.signalled = True
        if self.loop is not None:
            self.loop.steering.stop_requested = True

    def _complete_meta(self, device: str) -> None:
        import platform

        meta = self.run.meta() | {
            "host": self.record.status.host,
            "device": device,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "seed": self.run.configuration().tree().get("training", {}).get("seed"),
        }
        write_atomically(self.run.meta_path, json.dumps(meta, indent=1))


def _said(error: BaseException) -> str:
    """Put an error into words for a person."""
    if isinstance(error, ConfigurationError):
        return "The configuration cannot run: " + "; ".join(str(problem) for problem in error.problems) + "."
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "There is not enough memory for this model. Take a smaller batch_size, block_size or n_embd."
    return f"The system refused: {error}."
