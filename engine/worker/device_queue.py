"""One run a device at a time: the others queue."""

import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from torchtty.engine.contract.paths import state_folder


class DeviceLock:
    """A lock on a device of this machine, shared by all workers of this user; the file beside it names who holds it."""

    def __init__(self, device: str) -> None:
        folder = state_folder() / "devices"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{socket.gethostname()}-{device.replace(':', '-')}"
        self._lock = FileLock(folder / f"{name}.lock")
        self._holder = folder / f"{name}.holder"

    def try_acquire(self, run_name: str) -> bool:
        """Take the device if it is free."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        self._holder.write_text(f"{run_name}\n{os.getpid()}\n", encoding="utf-8")
        return True

    def holder(self) -> str:
        """Return the name of the run that holds the device, as far as known."""
        try:
            return self._holder.read_text(encoding="utf-8").partition("\n")[0]
        except OSError:
            return ""

    def release(self) -> None:
        self._lock.release(force=True)


def run_lock(run_folder: Path) -> FileLock:
    """Return the lock that the one worker of a run holds."""
    return FileLock(run_folder / ".worker.lock")
