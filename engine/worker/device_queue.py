"""One run a device at a time: the others queue, first come, first served."""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.run.status import process_matches


class DeviceLock:
    """A lock on a device of this machine, shared by all workers of this user; the file beside it names who holds it.

    Whoever waits has a ticket, a file whose name holds when its owner came, its process, and when that started.
    """

    def __init__(self, device: str) -> None:
        folder = state_folder() / "devices"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{socket.gethostname()}-{device.replace(':', '-')}"
        self._lock = FileLock(folder / f"{name}.lock")
        self._holder = folder / f"{name}.holder"
        self._queue = folder / f"{name}.queue"
        self._ticket: Path | None = None

    def try_acquire(self, run_name: str) -> bool:
        """Take the device if it is free and nobody came earlier; queue otherwise."""
        with suppress(OSError):  # without a ticket, as on a full disk, the first to look takes the device
            if self._ticket is None:
                self._queue.mkdir(exist_ok=True)
                ticket = self._queue / f"{time.time_ns():020d}-{os.getpid()}-{psutil.Process().create_time()}"
                ticket.touch()
                self._ticket = ticket
            if self._someone_came_earlier(self._ticket):
                return False
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        self.leave_queue()
        self._holder.write_text(f"{run_name}\n{os.getpid()}\n", encoding="utf-8")
        return True

    def _someone_came_earlier(self, own: Path) -> bool:
        for name in sorted(os.listdir(self._queue)):
            if name >= own.name:
                return False
            try:
                _, pid, started = name.split("-")
                waits = process_matches(int(pid), float(started))
            except ValueError:
                waits = False
            if waits:
                return True
            (self._queue / name).unlink(missing_ok=True)  # of a process that was killed
        return False

    def leave_queue(self) -> None:
        """Give the ticket back, if there is one."""
        if self._ticket is not None:
            with suppress(OSError):
                self._ticket.unlink()
            self._ticket = None

    def holder(self) -> str:
        """Return the name of the run that holds the device, as far as known."""
        try:
            return self._holder.read_text(encoding="utf-8").partition("\n")[0]
        except OSError:
            return ""

    def release(self) -> None:
        self.leave_queue()
        self._lock.release(force=True)


def run_lock(run_folder: Path) -> FileLock:
    """Return the lock that the one worker of a run holds."""
    return FileLock(run_folder / ".worker.lock")
