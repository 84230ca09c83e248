"""What a worker does with the run it was handed: train it, go on with it, or serve samples from it."""

import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from filelock import Timeout

from torchtty.engine.contract.client.replay import Replay, replay_in
from torchtty.engine.contract.client.workers import WHOLE, Mode, Part, Torchrun
from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Edited, StateChanged
from torchtty.engine.contract.run.lineage import Parent
from torchtty.engine.contract.run.log import edits_of, settings_in_force
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.run.timed_choices import TimedChoices, own_choices
from torchtty.engine.contract.settings.configuration import parse, with_value
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.mirrors import refuse_missing_mirror
from torchtty.engine.contract.settings.training import OF_THE_MACHINE, TrainingBase
from torchtty.engine.devices import check_precision, choose_device
from torchtty.engine.training.checkpoint import Saved, is_resumable, latest_step, read_checkpoint
from torchtty.engine.training.inheritance import first_step_of, taken_over
from torchtty.engine.training.loop import Loop, steps_of
from torchtty.engine.training.metrics import Diverged
from torchtty.engine.training.mirrors import mirrored
from torchtty.engine.training.run_writer import RunWriter, cut_metrics_after, new_status
from torchtty.engine.training.sharing import RankLost
from torchtty.engine.training.task import DrawsRandomly, build_task
from torchtty.engine.worker.device_queue import DeviceLock, run_lock
from torchtty.engine.worker.failures import in_words, is_expected, what_to_halve
from torchtty.engine.worker.notification import Notifier
from torchtty.engine.worker.placement import Placement
from torchtty.engine.worker.provenance import record_provenance, refuse_changed_data, refuse_moved_data
from torchtty.engine.worker.replayer import Replayer
from torchtty.engine.worker.requests import Dispatcher
from torchtty.engine.worker.serving import Serving

IDLE_SECONDS = "600"  # how long a finished run's model stays in memory, unless TORCHTTY_IDLE_SECONDS says otherwise
IDLE_SECONDS_ON_GPU = 60.0  # the same at most for a model on a GPU, whose memory others are short of
POLL = 0.05  # seconds between two looks at what is waited for
SERVED_AT_LEAST = (
    5.0  # seconds that a model which was loaded to be asked stays in memory, whatever TORCHTTY_IDLE_SECONDS says
)
SEEN = 0.5  # seconds that a run which cannot go on is shown as starting: an app looks a few times a second
HAND_OVER_PATIENCE = 20.0  # seconds that another worker of the run gets to let go


def seconds_idle() -> float:
    """Return how long a finished run's model stays in memory; raise `UserError` if the environment holds no number."""
    text = os.environ.get("TORCHTTY_IDLE_SECONDS") or IDLE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"TORCHTTY_IDLE_SECONDS is '{shortened(text)}', and takes a number of seconds, such as 600.")
    return seconds


class Session:
    """One worker's work on one run."""

    def __init__(
        self,
        run: RunDirectory,
        mode: Mode,
        edits: dict[str, Any],
        idle_seconds: float | None = None,
        begun: Callable[[], None] = lambda: None,
        part: Part = WHOLE,
    ) -> None:
        """`begun` is called once the run's own files tell of this worker."""
        self.run, self.mode, self.edits, self._begun = run, mode, edits, begun
        self.idle_seconds = seconds_idle() if idle_seconds is None else idle_seconds
        self._part = part
        self.lock = run_lock(run.path)
        self.signalled = False
        self.failure = ""  # why it failed, if it did
        self._begins_from: Parent | None = None  # where it trains on from the checkpoint of its parent
        self._trains = False  # whether training has begun or gone on
        self._mirror = ExitStack()

    def work(self) -> int:
        """See the run through; return the process's exit code. Raises `UserError` if the run's folder cannot be written."""
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
            status.state, status.message, status.ended_by, status.group = RunState.STARTING, "", "", ""
        self.writer = RunWriter(self.run, status)
        self.writer.start()
        self._began = time.monotonic()
        self._notifier = Notifier(self.run, self.writer.warn)
        torchrun = Torchrun.of_environment() if self.mode is not Mode.SERVE else None
        self._placement = Placement(self.writer, self._part.sweep, torchrun)
        self.requests = Dispatcher(self.writer, self._acquire_devices, self._placement.release)
        self.requests.stop_at = self._part.until
        self._replay: Replay | None = None
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self.loop: Loop | None = None
        try:
            return self._see_through()
        except RankLost as error:
            why = self._placement.why_lost(error)
            return self._failed(f"{why} 'torchtty resume {self.run.name}' goes on from the last checkpoint.")
        except (
            Exception
        ) as error:  # a fault of torchtty or torch, too: whoever waits for the run hears of it all the same
            self.writer.note(unreachable=isinstance(error, UnreachableError))
            if is_expected(error):
                return self._failed(in_words(error, self._what_to_halve))
            traceback.print_exc()
            return self._failed(f"An unexpected error ended the run: {type(error).__name__}: {error}. See worker.log.")
        finally:
            self._placement.close()
            self._mirror.close()
            self.writer.close()
            self.lock.release(force=True)
            self._notifier.wait()  # last: whoever wants the run or its device need not wait for a slow command

    def _failed(self, message: str) -> int:
        self.failure = message
        with suppress(OSError):  # the log may lie on a full disk
            print(message, file=sys.stderr, flush=True)
        if self.mode is Mode.SERVE:  # the run itself is as good as it was
            self.writer.warn(message)
            self.requests.refuse_all(message)
        elif self.mode is Mode.RESUME and not self._trains:
            self._put_back(message)
        elif self.loop is not None:
            self.loop.fail(message, weights_are_good=self._trains)
        else:
            self.writer.state(RunState.FAILED, message)
        if self.mode is Mode.TRAIN or self._trains:
            self._notifier.ended(self.writer.status)
        return 1

    def _put_back(self, message: str) -> None:
        """Leave a run that could not go on as it was, and say why: what it has learnt is as good as before.

        Its last worker is named again, for this one has not taken it over.
        """
        status = self._before
        state = RunState.LOST if status.state.is_live else status.state
        time.sleep(max(0.0, self._began + SEEN - time.monotonic()))
        self.writer.event(StateChanged(state=state, message=message))
        self.writer.change(**status.model_dump() | {"state": state, "message": message})

    def _see_through(self) -> int:
        if self.writer.disk_error is not None:
            raise self._cannot_be_written(self.writer.disk_error)
        self._begun()
        if self.mode is not Mode.SERVE and (replay := replay_in(self.run.meta())) is not None:
            self._replay, self.idle_seconds = replay, 0.0  # nobody is going to ask this model
            made = len(edits_of(self.run)) if self.mode is Mode.RESUME else 0
            self.requests = Replayer(self.writer, self._acquire_devices, self._placement.release, replay, made)
            self.requests.stop_requested = self.signalled
        tree = settings_in_force(self.run) if self.mode is not Mode.TRAIN else self.run.configuration().tree()
        moved = {path: self.edits.pop(path) for path in OF_THE_MACHINE if path in self.edits}
        old = {path: tree[path.partition(".")[0]].get(path.partition(".")[2]) for path in moved}
        for path, value in moved.items():
            tree = with_value(tree, path, value)
        configuration = self._fitted_to_machine(parse(tree))
        if self.mode is not Mode.SERVE:
            refuse_missing_mirror(configuration)
        if self.mode is Mode.RESUME:
            refuse_moved_data(self.run, str(tree.get("data", {}).get("dataset", "")))
        saved = self._checkpoint() if self.mode is not Mode.TRAIN else None
        trains = self.mode is not Mode.SERVE
        configuration = self._placement.choose(configuration, trains=trains)
        if trains and not self._placement.take(self.requests):
            self.writer.state(RunState.STOPPED)
            self._notifier.ended(self.writer.status)
            return 0
        self._placement.open()
        task = build_task(
            configuration,
            saved.tokenizer if saved else None,
            saved.architecture if saved else None,
            data_may_be_gone=self.mode is Mode.SERVE,
        )
        notes: tuple[str, ...] = ()
        if saved is not None and self._begins_from is not None:
            saved, notes = taken_over(saved, self._begins_from, task, configuration, self.run.checkpoints())
        sha256 = task.facts.data_sha256
        refuse_changed_data(self.run, sha256, self._replay, resumes=self.mode is Mode.RESUME)
        device = self.writer.status.device
        record_provenance(self.run, device, sha256)
        max_steps = steps_of(configuration)
        self.loop = Loop(task, configuration, self.writer, self.requests, max_steps=max_steps)
        if saved is not None:
            self._restore(saved)
        sharing = self._placement.share(task)
        if self.mode is not Mode.SERVE:
            self.loop.follow(self._choices(before=self._before.step))
        for note in notes:
            self.writer.warn(note)
        for path, value in moved.items():
            self.writer.event(Edited(path=path, value=value, old=old[path]))
        self.requests.attach(self.loop)
        if self.mode is Mode.SERVE:
            self.writer.note(max_steps=max_steps)
        else:
            facts = task.facts
            self.writer.note(max_steps=max_steps, parameters=facts.parameters or None)
            self.writer.event(facts.announced(device, sharing))
            self._notifier.watch()
            self._train(self.loop)
            self._placement.dismiss()
            self._placement.release()
            self._notifier.ended(self.writer.status)
            self._mirror.close()
            if task.facts.parameters != facts.parameters:  # a model that counts has them once it has counted
                self.writer.note(parameters=task.facts.parameters)
        self._serve()
        return 0 if self.writer.status.state is not RunState.FAILED else 1

    def _choices(self, before: int) -> TimedChoices:
        """Return what was chosen by timing and is to be followed: of the run that is replayed, of the parent of an unchanged
        fork, or of the run itself up to the step `before` which it had come.
        """
        if self._replay is not None:
            return self._replay.choices
        if self._begins_from is not None:
            return self._begins_from.choices
        return own_choices(self.run, before) if self.mode is not Mode.TRAIN else TimedChoices()

    def _checkpoint(self) -> Saved:
        """Read the checkpoint to go on from, or to serve samples from; note where a fork begins with that of its parent."""
        if self.mode is Mode.SERVE:
            return read_checkpoint(self.run, latest_step(self.run, resumable=False), with_training=False)
        step, self._begins_from = first_step_of(self.run)
        return read_checkpoint(self.run, step, with_training=is_resumable(self.run, step))

    def _fitted_to_machine(self, configuration: Configuration) -> Configuration:
        """Return the configuration to work with: a model that is only asked does without the device it was trained on."""
        training = configuration.sections()["training"]
        if self.mode in (Mode.TRAIN, Mode.FORK) or not isinstance(training, TrainingBase):
            return configuration
        try:
            check_precision(training.precision, choose_device(training.device))
        except UserError as error:
            if self.mode is Mode.RESUME:
                chosen = "--training.device cpu --training.precision float32"
                raise UserError(f"{error} 'torchtty resume {self.run.name} {chosen}' continues it here.") from None
            changed = training.model_copy(update={"device": "auto", "precision": "float32"})
            return configuration.model_copy(update={"training": changed})
        return configuration

    def _train(self, loop: Loop) -> None:
        for path, value in self.edits.items():
            try:
                loop.edit(path, value)
            except UserError as error:
                self.writer.warn(str(error))
        self._trains = True
        training = loop.configuration.sections()["training"]
        if isinstance(training, TrainingBase) and training.compile:
            self.writer.warn("The step is compiled after the first one: for up to a minute there is no further point.")
        self._mirror.enter_context(mirrored(self.writer, loop.configuration))
        try:
            loop.train()
        except Diverged as error:
            loop.diverged(error)

    def _restore(self, saved: Saved) -> None:
        assert self.loop is not None
        if saved.training is None:
            self.loop.restore(saved, None)
            return
        # A worker that was killed may not have come to name the best step in best.json.
        best = int(saved.training["best"][0]) if saved.training["best"] else saved.step
        best_weights = None
        if best != saved.step and best in self.run.checkpoints():
            best_weights = read_checkpoint(self.run, best, with_training=False).weights
        self.loop.restore(saved, best_weights)
        cut_metrics_after(self.run, self.loop.step or -1)  # step 0 is evaluated anew
        self.writer.note(step=self.loop.step)
        was, now = self._before.device, self.writer.status.device
        moved = bool(was) and was.partition(":")[0] != now.partition(":")[0]
        task = self.loop.task
        if moved and isinstance(task, DrawsRandomly) and (other := task.other_draws()):
            self.writer.warn(f"The run trained on {was} and continues on {now}, which draws {other}.")

    def _serve(self) -> None:
        """Keep the model in memory and answer, until nobody wants it any more or training is wanted again."""
        trained = self.mode is not Mode.SERVE
        if self.writer.status.state is RunState.FAILED or (trained and (self.signalled or not self.idle_seconds)):
            return
        if self.requests.parked is not None:  # it was stopped while it was paused, and is off its device
            return
        assert self.loop is not None
        self.requests.stop_requested = self.signalled
        can_give_way, patience = self.loop.forget_training(), self.idle_seconds or SERVED_AT_LEAST
        serving = Serving(
            self.writer, self.requests, lambda: self.signalled, self._device_is_wanted, can_give_way=can_give_way
        )
        if self.writer.status.gpu:
            patience = min(patience, IDLE_SECONDS_ON_GPU)
        # Whoever had the model loaded gets the time to ask.
        serving.serve(patience, was_loaded=not trained)

    def _device_is_wanted(self) -> bool:
        """Whether another run has or waits for the GPU of this one, which is over."""
        status = self.writer.status
        if not status.gpu:
            return False
        lock = DeviceLock(status.device, status.gpu)
        try:
            return not lock.is_free()
        finally:
            lock.close()

    # -- locks ----------------------------------------------------------------------------------------------------

    def _become_its_only_worker(self) -> bool:
        """Take the run's lock; a worker that only serves it is asked to let go when training is wanted.

        One whose run is over and which does not serve loads the model still, or has given it up: that is waited for.
        """
        until, asked = time.monotonic() + HAND_OVER_PATIENCE, None
        try:
            while not self._takes_lock():
                status = self.run.status()
                serves = status.serving and self.mode is Mode.SERVE
                if serves or status.state.is_live or time.monotonic() > until:
                    return False
                if asked is None and self.mode is not Mode.SERVE:
                    asked = requests.drop(self.run.inbox, requests.Release())
                time.sleep(POLL)
            return True
        except OSError as error:
            raise self._cannot_be_written(error) from None
        finally:
            if asked is not None:  # the other may have left by itself, and this one is not to let go at its end
                with suppress(OSError):
                    asked.unlink()

    def _takes_lock(self) -> bool:
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def _cannot_be_written(self, error: OSError) -> UserError:
        return UserError(f"The files of {self.run.name} cannot be written: {error.strerror or error}.")

    def _acquire_devices(self) -> bool:
        return self._placement.acquire(self.requests)

    def _on_signal(self, *_: Any) -> None:
        """SIGTERM and SIGINT: a checkpoint, then stopped."""
        self.signalled = self.requests.stop_requested = True

    def _what_to_halve(self) -> str:
        return what_to_halve((self.loop.configuration if self.loop is not None else self.run.configuration()).tree())
