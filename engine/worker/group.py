"""What a worker does with the runs of a group: train them together, each into its own folder, and leave."""

import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, Timeout

from torchtty.engine.contract.client.workers import Mode, Part
from torchtty.engine.contract.errors import UnreachableError, UserError
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.requests import Request
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.mirrors import refuse_missing_mirror
from torchtty.engine.contract.settings.training import LanguageTraining, TrainingBase
from torchtty.engine.devices import gpu_uuid, open_device
from torchtty.engine.training.group import GroupTraining
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.loop import Loop, steps_of
from torchtty.engine.training.mirrors import mirrored
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import Task, build_task
from torchtty.engine.worker.device_queue import JointLock, free_device, run_lock
from torchtty.engine.worker.failures import in_words, is_expected
from torchtty.engine.worker.notification import Notifier
from torchtty.engine.worker.placement import placed_on, take_turn
from torchtty.engine.worker.provenance import record_provenance
from torchtty.engine.worker.requests import Dispatcher

POLL = 0.05  # seconds between two looks at what is waited for
NOTE_INTERVAL = 0.25  # seconds between two notes of how far the group is
FEWER = "So many models at once take too much: train fewer, or lower training.batch_size."


class MemberDispatcher(Dispatcher):
    """Obeys the requests to one run of a group. While it works on one, the clocks of all stand."""

    def __init__(self, writer: RunWriter, group: str, training: GroupTraining) -> None:
        super().__init__(writer, lambda: True, lambda: None)
        self._group, self._training = group, training

    def _obey(self, request: Request) -> None:
        if isinstance(request, requests.Pause):
            self._fail(
                request, f"The run trains in the group {self._group}, which goes on together: it can be stopped alone."
            )
            return
        super()._obey(request)

    def _work(self, *arguments: Any) -> None:
        with self._training.aside():
            super()._work(*arguments)


class GroupSession:
    """One worker's work on the runs of a group."""

    def __init__(
        self,
        group: RunDirectory,
        runs: Sequence[RunDirectory],
        begun: Callable[[], None],
        mode: Mode,
        part: Part,
    ) -> None:
        """`begun` is called once the files of the group and its runs tell of this worker. To resume, all runs need a
        checkpoint of the same step.
        """
        self.group, self.runs, self._begun, self.mode, self._part = group, list(runs), begun, mode, part
        self.name = Path(part.sweep).name or group.name
        self.signalled = False
        self.failure = ""  # why it failed, if it did
        self._stopping = False
        self._training = GroupTraining()
        self._noted = self._looked = 0.0
        self._members: list[_Member] = []
        self._device_lock: JointLock | None = None

    def work(self) -> int:
        """See the runs through; return the process's exit code. Raises `UserError` if a folder cannot be written."""
        own, *locks = (run_lock(folder.path) for folder in (self.group, *self.runs))
        try:
            for lock in (own, *locks):
                lock.acquire(timeout=0)
        except (Timeout, OSError) as error:
            for lock in (own, *locks):
                lock.release(force=True)
            raise UserError(f"{self.name} cannot be trained: another worker has it, or {error}.") from None
        self.writer = RunWriter(self.group, new_status(0))
        self._members = [
            _Member(run, lock, self.name, self._training, self._part.until)
            for run, lock in zip(self.runs, locks, strict=True)
        ]
        for writer in self._writers:
            writer.start()
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        try:
            self._see_through()
        except (
            Exception
        ) as error:  # a fault of torchtty or torch, too: whoever waits for the runs hears of it all the same
            if is_expected(error):
                self._failed(error, in_words(error, lambda: FEWER))
            else:
                traceback.print_exc()
                reason = f"{type(error).__name__}: {error}"
                self._failed(error, f"An unexpected error ended the group: {reason}. See {self.group.log_path}.")
        finally:
            if self._device_lock is not None:
                self._device_lock.release()
            for member in self._members:
                member.let_go()
            self.writer.close()
            own.release(force=True)
            for member in self._members:
                member.notifier.wait()
        return 1 if any(member.state is RunState.FAILED for member in self._members) else 0

    @property
    def _writers(self) -> list[RunWriter]:
        return [self.writer, *(member.writer for member in self._members)]

    def _see_through(self) -> None:
        if (error := next((writer.disk_error for writer in self._writers if writer.disk_error), None)) is not None:
            raise UserError(f"The files of {self.name} cannot be written: {error.strerror or error}.")
        self._begun()
        for run in self.runs:
            with suppress(OSError), run.log_path.open("a", encoding="utf-8") as log:
                log.write(f"The log of its group is {self.group.log_path}.\n")
        configurations = [run.configuration() for run in self.runs]
        for configuration in configurations:
            refuse_missing_mirror(configuration)
        training = configurations[0].sections()["training"]
        assert isinstance(training, TrainingBase)
        if isinstance(training, LanguageTraining) and training.shared_by:
            raise UserError("The runs of a group are trained by one process: set training.devices to one.")
        placed = free_device(training.device)
        for writer in self._writers:
            writer.note(device=str(placed), gpu=gpu_uuid(placed))
        self._device_lock = JointLock([(str(placed), gpu_uuid(placed))], self._part.sweep)
        if not take_turn(self._device_lock, self.name, self._writers, self._obey, lambda: self._stopping):
            self._end(RunState.STOPPED)
            return
        open_device(placed)
        loops = self._loops([placed_on(configuration, placed) for configuration in configurations], str(placed))
        self.writer.note(max_steps=max(loop.max_steps for loop in loops))
        self.writer.state(RunState.RUNNING)
        for member, loop in zip(self._members, loops, strict=True):
            member.begin(loop)
        self._training.train(self._between)
        self._end(RunState.STOPPED if self._stopping else RunState.FINISHED)

    def _loops(self, configurations: Sequence[Configuration], device: str) -> list[Loop]:
        """Build the runs' tasks, which share what they learn from, and their loops."""
        loops: list[Loop] = []
        for member, configuration in zip(self._members, configurations, strict=True):
            task = _built(configuration, loops[0].task if loops else None)
            loop = Loop(task, configuration, member.writer, member.requests, max_steps=steps_of(configuration))
            self._training.add(loop)
            member.requests.attach(loop)
            record_provenance(member.writer.run, device, task.facts.data_sha256)
            member.writer.note(max_steps=loop.max_steps, parameters=task.facts.parameters or None)
            member.writer.event(task.facts.announced(device))
            loops.append(loop)
        return loops

    def _between(self) -> None:
        """Look, now and then, at what is asked of the group, let go of runs that are over, and note how far the group is."""
        now = time.monotonic()
        if now - self._looked < POLL:
            return
        self._looked = now
        self._obey()
        live = [member.writer.status for member in self._members if member.state.is_live]
        for member in self._members:
            if not member.state.is_live:
                member.let_go()
        if live and now - self._noted >= NOTE_INTERVAL:
            self._noted = now
            self.writer.note(
                step=max(status.step for status in live),
                seconds=max(status.seconds for status in live),
                steps_per_second=max((status.steps_per_second or 0.0 for status in live), default=0.0) or None,
            )

    def _obey(self) -> None:
        try:
            for request in requests.collect(self.group.inbox):
                if isinstance(request, requests.Stop):
                    self._stop()
                elif not isinstance(request, str):
                    self.writer.warn(f"A group is only asked to stop: '{request.type}' goes to one of its runs.")
        except OSError:  # a network file system may hiccup
            pass

    def _stop(self) -> None:
        self._stopping = True
        for member in self._members:
            member.requests.stop_requested = True

    def _on_signal(self, *_: Any) -> None:
        """SIGTERM and SIGINT: a checkpoint of every run, then stopped."""
        self.signalled = True
        self._stop()

    # -- the end ----------------------------------------------------------------------------------------------------

    def _end(self, state: RunState) -> None:
        for member in self._members:
            if member.state.is_live:  # it was stopped before it began
                member.writer.state(state)
        failed = sum(member.state is RunState.FAILED for member in self._members)
        if failed == len(self._members):
            state = RunState.FAILED
        self.writer.note(step=max(member.writer.status.step for member in self._members))
        self.writer.state(state, f"{failed} of {len(self._members)} runs failed." if failed else "")

    def _failed(self, error: BaseException, message: str) -> None:
        self.failure = message
        with suppress(OSError):  # the log may lie on a full disk
            print(message, file=sys.stderr, flush=True)
        self._training.fail_rest(message)
        for writer in self._writers[::-1]:  # the group last: who follows it then finds how its runs have ended
            writer.note(unreachable=isinstance(error, UnreachableError))
            if writer.status.state.is_live:
                writer.state(RunState.FAILED, message)


class _Member:
    """What the worker has of one run of a group."""

    def __init__(
        self, run: RunDirectory, lock: BaseFileLock, group: str, training: GroupTraining, until: int | None
    ) -> None:
        self._lock, self._let_go = lock, False
        self.writer = RunWriter(run, new_status(0).model_copy(update={"group": group}))
        self.requests = MemberDispatcher(self.writer, group, training)
        self.requests.stop_at = until
        self.notifier = Notifier(run, self.writer.warn)
        self._mirror = ExitStack()

    @property
    def state(self) -> RunState:
        return self.writer.status.state

    def begin(self, loop: Loop) -> None:
        """Have its metrics go where the run's settings say, too."""
        self.notifier.watch()
        self._mirror.enter_context(mirrored(self.writer, loop.configuration))

    def let_go(self) -> None:
        """Leave a run that is over to whoever wants it next."""
        if self._let_go:
            return
        self._let_go = True
        self.writer.change(group="")
        self.notifier.ended(self.writer.status)
        self._mirror.close()
        self.writer.close()
        self._lock.release(force=True)


def _built(configuration: Configuration, first: Task | None) -> Task:
    """Build a run's task; all but the first take over what the first has read."""
    if isinstance(first, LanguageTask):
        return type(first)(configuration, first.data)  # type: ignore[arg-type]
    return build_task(configuration)
