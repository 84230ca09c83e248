"""The other processes of a run whose steps several share: started by its worker, or by torchrun on one machine or many."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import torch
import torch.distributed as dist

from torchtty.engine.contract.client.workers import Torchrun
from torchtty.engine.contract.errors import UserError
from torchtty.engine.devices import choose_device
from torchtty.engine.training.sharing import END, RankLost, Ranks

START_PATIENCE = 120.0  # seconds in which every process has imported torch
POLL = 0.05
LAST_WORDS = 2.0  # seconds that a process which ends is given to be found ended
HERE, FAILED = "here-{}", "failed-{}"  # where in the store a follower says what it computes on, and why it ends
BEGIN = "begin"  # where rank 0 says that it is ready, and on what kind of device

Store = dist.Store


class Crew:
    """The followers of a run's worker."""

    def __init__(self, store: Store, size: int, here: int, processes: Sequence[subprocess.Popen[bytes]] = ()) -> None:
        """`size` and `here` are the numbers of ranks, in all and on this machine; rank 0 is one of them."""
        self.size, self._here, self._store, self._processes = size, here, store, processes
        self._folder: Path | None = None
        self._ranks: Ranks | None = None
        self.places = [""] * size  # on what each rank computes

    @classmethod
    def started(cls, devices: Sequence[str]) -> "Crew":
        """Start a process on each device but the first, which is the worker's own."""
        folder = Path(tempfile.mkdtemp(prefix="torchtty-ranks-"))  # closed to others, as what lies in it is believed
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            if loopback := _loopback():  # nobody outside this machine can reach the processes
                os.environ.setdefault(name, loopback)
        command = [sys.executable, "-P", "-m", "torchtty.engine.worker.follower"]
        told = ["--folder", str(folder), "--size", str(len(devices))]
        crew = cls(
            dist.FileStore(str(folder / "store"), len(devices)),
            len(devices),
            len(devices),
            [
                subprocess.Popen([*command, *told, "--rank", str(rank), "--device", device], stdin=subprocess.DEVNULL)
                for rank, device in enumerate(devices)
                if rank
            ],
        )
        crew._folder = folder
        return crew

    @classmethod
    def of_torchrun(cls, torchrun: Torchrun) -> "Crew":
        """Wait for the processes that torchrun has started beside this one."""
        return cls(store_of(torchrun), torchrun.size, torchrun.here)

    def join(self, device: torch.device) -> Ranks:
        """Wait for the followers. Raises `UserError` where one does not come."""
        until = time.monotonic() + START_PATIENCE
        self.places[0] = place(device)
        try:
            self._store.set(BEGIN, device.type)
            for rank in range(1, self.size):
                while not self._store.check([HERE.format(rank)]):
                    if any(process.poll() is not None for process in self._processes) or time.monotonic() > until:
                        raise UserError(self.why_lost())
                    time.sleep(POLL)
            self._ranks = Ranks(0, self.size, self._store, device, self._here)
            for rank in range(1, self.size):
                self.places[rank] = self._store.get(HERE.format(rank)).decode(errors="replace")
        except (RankLost, RuntimeError) as error:
            raise UserError(self.why_lost(error)) from None
        return self._ranks

    def why_lost(self, error: Exception | None = None) -> str:
        """Say which process has gone, and why; what was raised where that cannot be told."""
        until = time.monotonic() + LAST_WORDS
        while time.monotonic() < until:
            for rank in range(1, self.size):
                process = self._processes[rank - 1] if self._processes else None
                code = process.poll() if process is not None else None
                who = f"Process {rank + 1} of the {self.size} that share each batch"
                if where := self.places[rank]:
                    who += f", on {where},"
                with suppress(RuntimeError):
                    if self._store.check([FAILED.format(rank)]):
                        return f"{who} failed: {self._store.get(FAILED.format(rank)).decode(errors='replace')}"
                if code is not None:
                    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
                    return f"{who} {how}, and the others cannot go on without it."
            time.sleep(POLL)
        what = f" ({str(error).splitlines()[0]})" if error is not None and str(error) else ""
        return f"One of the {self.size} processes that share each batch does not answer any more{what}."

    def in_words(self) -> str:
        """Say who shares the steps."""
        return f"{self.size} processes share each batch: {'; '.join(self.places)}."

    def order(self, what: int) -> None:
        """Tell the followers something for which no numbers are needed. Raises `UserError` where one has gone."""
        if self._ranks is not None:
            try:
                self._ranks.order(what)
            except RankLost as error:
                raise UserError(self.why_lost(error)) from None

    def close(self, *, lost: bool = False) -> None:
        """Let the followers go; where one is `lost`, or this one fails, end them: they may wait for what never comes."""
        if self._ranks is not None:
            if not lost:
                with suppress(RankLost):
                    self._ranks.order(END)
            self._ranks.close()
        for process in self._processes:
            if lost or self._ranks is None:
                process.kill()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._ranks, self._processes = None, ()


def store_of(torchrun: Torchrun) -> Store:
    """Return where torchrun's processes find each other; raise `UserError`."""
    try:
        store = dist.TCPStore(torchrun.address, torchrun.port, None, is_master=False)
    except RuntimeError as error:
        raise UserError(
            f"The store of torchrun at {torchrun.address}, port {torchrun.port}, does not answer: {error}."
        ) from None
    return dist.PrefixStore("torchtty", store)


def own_device(kind: str, torchrun: Torchrun) -> torch.device:
    """Return the device of a process of torchrun: the GPU of its number on its machine, or the processor."""
    return choose_device("cpu" if kind == "cpu" else f"cuda:{torchrun.local_rank}")


def place(device: torch.device) -> str:
    """Say where a rank computes: device and machine."""
    return f"{device} of {socket.gethostname()}, process {os.getpid()}"


def devices_of_torchrun(wish: str, torchrun: Torchrun) -> tuple[str, ...]:
    """Return the devices on this machine that torchrun's processes take, where a run asks for a device."""
    kind = "cpu" if wish == "cpu" or not torch.cuda.is_available() else "cuda"
    return tuple(kind if kind == "cpu" else f"cuda:{number}" for number in range(torchrun.here))


def _loopback() -> str:
    """Return the name of the machine's own interface, "" where it is not known."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == "127.0.0.1" for address in addresses):
            return name
    return ""
