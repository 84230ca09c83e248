"""Serving a model once its training is over, and which of the models that are served stays in memory.

At most one model of a runs folder is kept that nobody uses: the one that was asked last, or whose training ended last. The
workers settle that among themselves, whether or not an app is open: each has an entry in a folder of this machine whose name
begins with the moment its model was last wanted, and leaves once it sees an entry of a living worker with a later one. No
worker ends another, so that of two that look at the same time never both leave: the later of the two sees nobody above it.
"""

import hashlib
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.run.status import process_matches
from torchtty.engine.training.run_writer import RunWriter
from torchtty.engine.worker.requests import Dispatcher

POLL = 0.05  # seconds between two looks into the inbox
LOOK_AROUND = 0.5  # seconds between two looks for a model that was wanted later
IN_USE = 20.0
"""Seconds after an answer in which a person may be writing the next prompt: until then a model is in use."""
LINGER = 0.75
"""Seconds in which whoever has just read that a model is there may still ask it; an app looks every 0.5 s."""


class IdleModels:
    """The workers on this machine that serve a run of one folder, by the moment at which each one's model was last wanted."""

    def __init__(self, runs_folder: Path) -> None:
        which = hashlib.sha256(os.fsencode(os.path.realpath(runs_folder))).hexdigest()[:12]
        self._folder = state_folder() / "serving" / f"{socket.gethostname()}-{which}"
        self._process = f"{os.getpid()}-{psutil.Process().create_time()}"
        self._entry: Path | None = None

    def want(self, seconds_ago: float = 0.0) -> None:
        """Note when this worker's model was wanted. Where that cannot be written, it is only given up after its time."""
        entry = self._folder / f"{time.time_ns() - int(1e9 * seconds_ago):020d}-{self._process}"
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._entry is None or not self._entry.exists():
                entry.touch()
            else:
                self._entry.replace(entry)
            self._entry = entry

    def is_another_wanted_more(self) -> bool:
        """Whether a living worker serves a model that was wanted later than this one's."""
        if self._entry is None:
            return False
        with suppress(OSError):
            for name in sorted(os.listdir(self._folder), reverse=True):
                if name <= self._entry.name:
                    return False
                if _is_alive(name):
                    return True
                (self._folder / name).unlink(missing_ok=True)  # of a worker that was killed
        return False

    def leave(self) -> None:
        """Take this worker's entry away."""
        if self._entry is not None:
            with suppress(OSError):
                self._entry.unlink()
            self._entry = None


def _is_alive(entry: str) -> bool:
    try:
        _, pid, started = entry.split("-")
        return process_matches(int(pid), float(started))
    except ValueError:
        return False


class Serving:
    """Answers requests with a model that stays in memory, until nobody wants it any more or it is told to let go."""

    def __init__(
        self,
        writer: RunWriter,
        requests: Dispatcher,
        ended: Callable[[], bool],
        device_is_wanted: Callable[[], bool] = lambda: False,
        *,
        can_give_way: bool,
    ) -> None:
        """`ended` says whether a signal ends the worker, `device_is_wanted` whether another run has or wants the device to
        itself; a model that cannot give way is in no checkpoint.
        """
        self._writer, self._requests, self._ended, self._can_give_way = writer, requests, ended, can_give_way
        self._device_is_wanted = device_is_wanted
        self._idle_models = IdleModels(writer.run.path.parent)
        self._used = 0.0  # when the model last gave an answer, or was loaded to give one

    def serve(self, patience: float, *, was_loaded: bool) -> None:
        """Serve for `patience` seconds after the latest request; `was_loaded` says whether somebody had it loaded to ask it."""
        self._requests.last_request = time.monotonic()
        self._used = time.monotonic() if was_loaded else -IN_USE
        self._idle_models.want()
        try:
            self._writer.change(serving=True)
            while self._is_wanted_until(patience):
                self._writer.change(serving=False)
                if not self._is_asked_at_the_last_moment():
                    return
                self._writer.change(serving=True)
        finally:
            self._idle_models.leave()
            self._writer.note(serving=False)

    def _is_wanted_until(self, patience: float) -> bool:
        """Answer until the model may go; return whether that is so because nobody wants it, and not because it was told to."""
        looked = time.monotonic()
        while not self._is_told_to_go():
            if self._answer():
                continue
            now = time.monotonic()
            if now - self._requests.last_request >= patience:
                return True
            if now - looked >= LOOK_AROUND:
                looked = now
                unused = self._can_give_way and now - self._used >= IN_USE
                if unused and (self._idle_models.is_another_wanted_more() or self._device_is_wanted()):
                    return True
            time.sleep(POLL)
        return False

    def _is_asked_at_the_last_moment(self) -> bool:
        until = time.monotonic() + LINGER
        while time.monotonic() < until and not self._is_told_to_go():
            if self._answer():
                return not self._is_told_to_go()
            time.sleep(POLL)
        return False

    def _answer(self) -> bool:
        """Obey what is in the inbox; return whether there was anything."""
        before = self._requests.last_request
        self._requests.obey_all()
        if self._requests.last_request == before:
            return False
        self._used = time.monotonic()
        self._idle_models.want(self._used - self._requests.last_request)
        return True

    def _is_told_to_go(self) -> bool:
        return self._requests.release_requested or self._ended()
