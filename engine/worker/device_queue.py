"""One run a device at a time: the others queue, first come, first served. Runs of one sweep share the processor.

A GPU is locked for all users of the machine, by its UUID: the lock lies in a folder that they share. The processor is locked for
the runs of one user. In a folder to which everyone can write, nothing is trusted: links are not followed, no file of another
user is written to, and what one says about itself is shown, not believed.
"""

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from filelock import FileLock

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.gpus import roomiest, user_name, visible_gpus
from torchtty.engine.contract.paths import locks_folder, state_folder
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run.files import SMALL
from torchtty.engine.contract.run.status import process_matches
from torchtty.engine.devices import choose_device


@dataclass(frozen=True)
class Holder:
    """The run that has a device, and whose it is."""

    run: str
    user: int  # the number of the user

    def __str__(self) -> str:
        """Return the run's name, with its user's where that is another one."""
        name = shortened(printable_line(self.run))
        return name if self.user == os.geteuid() else f"{name} of {user_name(self.user)}"


class DeviceLock:
    """A lock on a device of this machine.

    Whoever waits has a ticket, a file whose name holds when its owner came, its process, and when that started. Whoever holds
    the device says so in a file of its own.
    """

    def __init__(self, device: str, uuid: str = "", sweep: str = "", *, came: int | None = None) -> None:
        """`uuid` is that of the GPU; without one the device is this user's own affair, and may be shared by the runs of a
        sweep, named by the folder of its group. Raises `UserError`.

        `came` is when its owner came, in nanoseconds, where that is not when it first asks.
        """
        self._came, self._sweep = came, sweep if not uuid else ""
        if uuid:
            self._folder, self._name = _shared_folder(), uuid
        else:
            folder = state_folder() / "devices"
            folder.mkdir(parents=True, exist_ok=True)
            self._folder, self._name = _opened(folder), f"{socket.gethostname()}-{device.replace(':', '-')}"
        self._process = f"{os.getpid()}-{psutil.Process().create_time()}"
        self._lock: int | None = None  # the file, while this holds the device
        self._ticket = ""
        self._stood = ""  # the ticket with which the device was acquired

    def try_acquire(self, run_name: str) -> bool:
        """Take the device if it is free and nobody came earlier; queue otherwise."""
        with suppress(OSError):  # without a ticket, as on a full disk, the first to look takes the device
            if self._own_ticket() is None:
                self._ticket = f"{self._came or time.time_ns():020d}-{self._process}-{id(self)}"
                self._write(self._path_of(self._ticket), b"")
            if self._someone_came_earlier():
                return False
        file = self._open_lock()
        if not self._locked(file):
            os.close(file)
            return False
        self._lock, self._stood = file, self._own_ticket() or ""
        self.leave_queue()
        with suppress(OSError):
            self._write(self._holder_file(os.geteuid()), json.dumps({"run": run_name, "pid": os.getpid()}).encode())
        return True

    def _locked(self, file: int) -> bool:
        """Lock the file; a run of a sweep shares it with those of the same sweep.

        The name of the sweep is written by whoever has the file for itself alone, so that it stands as long as anyone shares it.
        """
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._sweep:
                with suppress(OSError):  # on a full disk
                    self._write(f"{self._name}.sweep", self._sweep.encode())
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # not atomic: whoever came in between has it
            return True
        if not self._sweep:
            return False
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if self._holding_sweep() == self._sweep:
                return True
        return False

    def _holding_sweep(self) -> str:
        file = os.open(f"{self._name}.sweep", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
        try:
            return os.read(file, SMALL).decode("utf-8", "replace")
        finally:
            os.close(file)

    def is_free(self) -> bool:
        """Whether nobody holds the device and nobody waits for it."""
        if self._tickets():
            return False
        file = self._open_lock()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(file)  # which unlocks it
        return True

    def holder(self) -> Holder | None:
        """Return who holds the device, as far as known."""
        found: list[tuple[bool, float, Holder]] = []
        for name in self._names("holder."):
            with suppress(OSError, ValueError, KeyError, TypeError):
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
                try:
                    about = os.fstat(file)
                    if stat.S_ISREG(about.st_mode) and name == self._holder_file(about.st_uid):
                        content = json.loads(os.read(file, SMALL))
                        alive = psutil.pid_exists(int(content["pid"]))
                        found.append((alive, about.st_mtime, Holder(str(content["run"]), about.st_uid)))
                finally:
                    os.close(file)
        return max(found, key=lambda each: each[:2])[2] if found else None

    def place(self) -> int:
        """Return the place in the queue, 1 for the next one to be served, 0 outside of it."""
        own = self._own_ticket()
        return 0 if own is None else 1 + sum(name < own for name in self._tickets())

    def advance(self) -> bool:
        """Take the first of the places that this user's runs have in the queue; return whether this one was not there yet.

        The others of this user's move back by one, so that nobody else waits longer.
        """
        own = self._own_ticket()
        if own is None:
            return False
        mine = [name for name in self._tickets() if self._user_of(name) == os.geteuid() and name <= own]
        for name, place in zip(mine, [*mine[1:], mine[0]], strict=True):
            with suppress(OSError):  # who has just left need not move
                self._rename(name, f"{place.partition('-')[0]}-{name.partition('-')[2]}")
        return len(mine) > 1

    def _rename(self, ticket: str, changed: str) -> None:
        if ticket != changed:
            source, target = self._path_of(ticket), self._path_of(changed)
            os.rename(source, target, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def leave_queue(self) -> None:
        """Give the ticket back, if there is one."""
        if (own := self._own_ticket()) is not None:
            with suppress(OSError):
                os.unlink(self._path_of(own), dir_fd=self._folder)
        self._ticket = ""

    def release(self) -> None:
        self.leave_queue()
        if self._lock is not None:
            with suppress(OSError):
                os.unlink(self._holder_file(os.geteuid()), dir_fd=self._folder)
            os.close(self._lock)
            self._lock = None

    def put_back(self) -> None:
        """Let go of the device that was just acquired, and stand in the queue again where its owner stood."""
        if self._stood:
            self._ticket = self._stood
            with suppress(OSError):
                self._write(self._path_of(self._ticket), b"")
        lock, self._lock = self._lock, None
        with suppress(OSError):
            os.unlink(self._holder_file(os.geteuid()), dir_fd=self._folder)
        if lock is not None:
            os.close(lock)

    def close(self) -> None:
        """Let go of the folder."""
        self.release()
        os.close(self._folder)

    # -- the queue ------------------------------------------------------------------------------------------------

    def _tickets(self) -> list[str]:
        """List the tickets of living processes, the earliest first; what is left of others is removed where it may be."""
        found = []
        for name in sorted(name.partition(".wait.")[2] for name in self._names("wait.")):
            try:
                _, pid, started, _ = name.split("-")
                waits = process_matches(int(pid), float(started)) and self._is_owner(int(pid), name)
            except ValueError:
                waits = False
            if waits:
                found.append(name)
            else:
                with suppress(OSError):  # another user's cannot be removed, and counts for nothing
                    os.unlink(self._path_of(name), dir_fd=self._folder)
        return found

    def _someone_came_earlier(self) -> bool:
        own = self._own_ticket()
        return own is not None and any(name < own for name in self._tickets())

    def _own_ticket(self) -> str | None:
        """Return the ticket's name, which another run that advances may have changed."""
        if not self._ticket:
            return None
        owner = self._ticket.partition("-")[2]
        names = (name.partition(".wait.")[2] for name in self._names("wait."))
        return next((name for name in names if name.partition("-")[2] == owner), None)

    def _user_of(self, ticket: str) -> int | None:
        with suppress(OSError):
            return os.stat(self._path_of(ticket), dir_fd=self._folder, follow_symlinks=False).st_uid
        return None

    def _is_owner(self, pid: int, ticket: str) -> bool:
        """Whether a process belongs to the user who left a ticket in its name."""
        with suppress(psutil.Error):
            return self._user_of(ticket) in psutil.Process(pid).uids()
        return False

    def _path_of(self, ticket: str) -> str:
        return f"{self._name}.wait.{ticket}"

    # -- files ----------------------------------------------------------------------------------------------------

    def _names(self, kind: str) -> list[str]:
        return [name for name in os.listdir(self._folder) if name.startswith(f"{self._name}.{kind}")]

    def _holder_file(self, user: int) -> str:
        return f"{self._name}.holder.{user}"

    def _open_lock(self) -> int:
        """Open the lock's file. Another user's can be read, which is all that locking takes."""
        name, flags = f"{self._name}.lock", os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        for flags_of_try in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
            with suppress(FileNotFoundError, FileExistsError):
                try:
                    file = os.open(name, flags | flags_of_try, 0o644, dir_fd=self._folder)
                except OSError as error:
                    if isinstance(error, FileNotFoundError | FileExistsError):
                        raise
                    raise UserError(f"The lock {name} cannot be opened: {error.strerror}.") from None
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    os.close(file)
                    raise UserError(f"The lock {name} is no file. Remove it.")
                return file
        raise UserError(f"The lock {name} cannot be made.")

    def _write(self, name: str, content: bytes) -> None:
        """Write a file of this user's: what has its name is replaced, never written into."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=self._folder)
        try:
            os.write(file, content)
        finally:
            os.close(file)


class JointLock:
    """A lock on several devices of this machine, which are taken together or not at all.

    Its owner stands in each queue at the time it came, so that two that want the same devices never wait for each other.
    """

    def __init__(self, devices: Sequence[tuple[str, str]], sweep: str = "") -> None:
        """`devices` are pairs of a device's name and its UUID, as `DeviceLock` takes them. Raises `UserError`."""
        came = time.time_ns()
        self._locks = [DeviceLock(device, uuid, sweep, came=came) for device, uuid in dict.fromkeys(devices)]
        self._refused_by = self._locks[0]  # the first that could not be had

    def try_acquire(self, run_name: str) -> bool:
        """Take all devices if they are free and nobody came earlier to one of them; queue for all otherwise."""
        found = [lock.try_acquire(run_name) for lock in self._locks]
        if all(found):
            return True
        self._refused_by = self._locks[found.index(False)]
        for lock, acquired in zip(self._locks, found, strict=True):
            if acquired:
                lock.put_back()
        return False

    def holder(self) -> Holder | None:
        """Return who holds the first device that could not be had."""
        return self._refused_by.holder()

    def place(self) -> int:
        return max(lock.place() for lock in self._locks)

    def advance(self) -> bool:
        moved = [lock.advance() for lock in self._locks]  # in every queue
        return any(moved)

    def leave_queue(self) -> None:
        for lock in self._locks:
            lock.leave_queue()

    def release(self) -> None:
        for lock in self._locks:
            lock.release()


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _shared_folder() -> int:
    """Open the folder of the GPUs' locks, which every user may write to and in which nobody may remove another's files."""
    folder = locks_folder()
    try:
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            folder.chmod(0o1777)
        opened = _opened(folder)
    except OSError as error:
        raise UserError(f"The locks of the GPUs are in {folder}, which cannot be used: {error.strerror}.") from None
    about = os.fstat(opened)
    if about.st_uid not in (0, os.geteuid()) and about.st_mode & 0o1007 != 0o1007:
        os.close(opened)
        raise UserError(
            f"The locks of the GPUs are in {folder}, which belongs to {user_name(about.st_uid)} and is closed to others. "
            "Have it removed, or name another folder that all users of this machine share by TORCHTTY_LOCKS."
        )
    return opened


def free_device(wish: str) -> torch.device:
    """Return the device called `wish`; `auto` takes the GPU with most free memory of those that no run holds or waits for."""
    device = choose_device(wish)
    if wish == "auto" and device.type == "cuda":
        for gpu in roomiest(visible_gpus()):
            lock = DeviceLock(gpu.device, gpu.uuid)
            try:
                if lock.is_free() and gpu.index < torch.cuda.device_count():
                    return torch.device("cuda", gpu.index)
            finally:
                lock.close()
    return device


def run_lock(run_folder: Path) -> FileLock:
    """Return the lock that the one worker of a run holds."""
    return FileLock(run_folder / ".worker.lock")
