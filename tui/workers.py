"""The pool of workers, with at most one warm worker that has imported torch before a run is started.

Everything here blocks for a moment and may be called from any thread: the app calls it from threads only.
"""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torchtty.engine.contract.client.workers import Mode, WarmWorker, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory

LOOK_EVERY = 0.05  # seconds between two looks for an answer
NEXT_WORKER_AFTER = 8.0  # seconds: importing torch would slow down the run that has just begun


class WorkerPool:
    """Spawns a warm worker, has it estimate configurations, and hands it a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: WarmWorker | None = None
        self._handed: list[subprocess.Popen[bytes]] = []  # ours to reap, so that none is left as a zombie
        self._serving: dict[Path, subprocess.Popen[bytes]] = {}  # the latest that was to load a run's model, by the run
        self._closed = False
        self._next: threading.Timer | None = None

    def ensure(self) -> WarmWorker:
        """Return the warm worker, spawning one if there is none or it died. Raises `UserError` if the system refuses."""
        with self._lock:
            self._handed = [process for process in self._handed if process.poll() is None]
            if self._closed:
                raise UserError("torchtty is closing.")
            if self._worker is not None and not self._worker.is_alive:
                self._worker.close()
                self._worker = None
            if self._worker is None:
                try:
                    self._worker = WarmWorker()
                except OSError as error:
                    raise UserError(f"Cannot start the training process: {error.strerror or error}.") from None
            return self._worker

    @property
    def is_warm(self) -> bool:
        """Whether a worker waits with torch imported."""
        worker = self._worker
        return worker is not None and worker.is_alive and worker.hello() is not None

    def hello(self, given_up: Callable[[], bool]) -> dict[str, Any] | None:
        """Wait until a worker is warm and return what it found (versions, devices); None if given up.

        Raises `UserError` with the last line of its log if it died.
        """
        worker = self.ensure()
        return self._await(worker, worker.hello, given_up)

    def prepare(
        self, tree: Mapping[str, Any], given_up: Callable[[], bool], fork: tuple[RunDirectory, int] | None = None
    ) -> dict[str, Any] | None:
        """Return what a configuration amounts to (see `WarmWorker.prepare` and `answer`); None if given up.

        A worker that is handed a run meanwhile does not answer any more: the next one does, once `ensure` has spawned it.
        """
        worker = self.ensure()
        while True:
            request = worker.prepare(tree, fork)
            answer = self._await(worker, partial(worker.answer, request), given_up)
            while answer is None and self._worker is None and not (given_up() or self._closed):
                time.sleep(LOOK_EVERY)
            if answer is not None or given_up() or self._closed:
                return answer
            worker = self.ensure()

    def hand_over(self, run: RunDirectory, mode: Mode, edits: Mapping[str, Any] | None = None) -> None:
        """Give a run to the warm worker, or to a fresh one if there is none, and warm the next one up a little later.

        Where a model is to be loaded that a worker loads already, this waits until it serves, and gives the run to another one
        only if it has ended: who goes through lenses meanwhile, or asks again, does not start a process each time.
        """
        while True:
            with self._lock:
                loading = self._serving.get(run.path) if mode is Mode.SERVE else None
                if loading is None or loading.poll() is not None:
                    process = self._give(run, mode, edits)
                    self._handed.append(process)
                    if mode is Mode.SERVE:
                        self._serving[run.path] = process
                    return
            if self._closed or run.status().serving:
                return
            time.sleep(LOOK_EVERY)

    def _give(self, run: RunDirectory, mode: Mode, edits: Mapping[str, Any] | None) -> "subprocess.Popen[bytes]":
        """Hand a run over and return the process that has it. The lock is held."""
        self._warm_next_later()
        worker, self._worker = self._worker, None
        if worker is not None and worker.is_alive:
            try:
                worker.hand_over(run, mode, edits)
                return worker.process
            except UserError:
                pass  # it died this very moment: a fresh one takes the run
        if worker is not None:
            worker.close()
        try:
            return start(run, mode, edits).process
        except OSError as error:
            raise UserError(f"Cannot start the training process: {error.strerror or error}.") from None

    def _warm_next_later(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = threading.Timer(NEXT_WORKER_AFTER, self._warm_next)
        self._next.daemon = True
        self._next.start()

    def _warm_next(self) -> None:
        with contextlib.suppress(UserError):  # a run that needs a worker tries again and reports it
            self.ensure()

    def close(self) -> None:
        """End the warm worker; runs that were handed over continue."""
        with self._lock:
            self._closed = True
            if self._next is not None:
                self._next.cancel()
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _await(
        self, worker: WarmWorker, look: Callable[[], dict[str, Any] | None], given_up: Callable[[], bool]
    ) -> dict[str, Any] | None:
        while True:
            if (answer := look()) is not None:
                return answer
            if given_up() or self._closed or worker is not self._worker:  # closed, or handed a run meanwhile
                return None
            if not worker.is_alive:
                raise UserError(_death(worker))
            time.sleep(LOOK_EVERY)


def _death(worker: WarmWorker) -> str:
    lines = [line for line in worker.log().splitlines() if line.strip()]
    last = printable_line(lines[-1].strip()) if lines else "it left no message"
    return f"The training process ended while it warmed up: {last}. Another is started when you train."
