"""A process that computes its part of each step of a run: `python -m torchtty.engine.worker.follower`.

The run's worker starts it, or torchrun does. What it is to compute it hears from the worker, rank 0, and it ends with it.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from torchtty.engine.contract.client.workers import Torchrun
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import parse, with_value
from torchtty.engine.devices import choose_device, is_lack_of_memory, lack_of_memory, open_device
from torchtty.engine.training.language import LanguageTask
from torchtty.engine.training.parking import Parked
from torchtty.engine.training.sharing import BEGIN as BEGIN_ORDER
from torchtty.engine.training.sharing import END, PARK, STEP, UNPARK, RankLost, Ranks, SharedStep
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.ranks import BEGIN, FAILED, HERE, POLL, Store, own_device, place, store_of


class Follower:
    """One of the processes that share a run's steps, but the first."""

    def __init__(self, rank: int, size: int, here: int, store: Store) -> None:
        self.rank, self.size, self.here, self.store = rank, size, here, store
        self._parked: Parked | None = None
        self._task: LanguageTask | None = None
        self._step: SharedStep | None = None
        self._shapes: list[list[int]] = []

    def work(self, device: torch.device | None, torchrun: Torchrun | None) -> int:
        """Follow rank 0 to the end; return the exit code."""
        try:
            kind = self._kind_of_device()
            if torchrun is not None:
                device = own_device(kind, torchrun)
            assert device is not None
            open_device(device)
            self.store.set(HERE.format(self.rank), place(device))
            ranks = Ranks(self.rank, self.size, self.store, device, self.here)
            self._follow(ranks)
            ranks.close()
        except RankLost as error:
            print(f"process {self.rank + 1} of {self.size} ends, as another has gone: {error}", file=sys.stderr)
            return 1
        except (UserError, MemoryError, RuntimeError) as error:
            why = lack_of_memory(error) if is_lack_of_memory(error) else str(error) or type(error).__name__
            print(f"process {self.rank + 1} of {self.size} failed: {why}", file=sys.stderr)
            self.store.set(FAILED.format(self.rank), why)
            return 1
        return 0

    def _kind_of_device(self) -> str:
        """Wait until rank 0 is ready, which may stand in a queue or download data; return on what kind of device it computes."""
        parent = os.getppid()
        while not self.store.check([BEGIN]):
            if os.getppid() != parent:
                raise RankLost("rank 0 has ended")
            time.sleep(POLL)
        return self.store.get(BEGIN).decode()

    def _follow(self, ranks: Ranks) -> None:
        while True:
            what, numbers, about = ranks.hear()
            if what == END:
                return
            if what == BEGIN_ORDER:
                self._begin(ranks, about)
            elif what == STEP:
                assert self._step is not None
                self._step.follow(self._shapes, numbers)
            elif what == PARK and self._task is not None and self._parked is None:
                self._parked = Parked(self._task)
            elif what == UNPARK and self._parked is not None:
                self._parked.bring_back()
                self._parked = None

    def _begin(self, ranks: Ranks, about: dict[str, Any]) -> None:
        """Become a replica of what rank 0 trains."""
        tree = with_value(about["configuration"], "training.device", str(ranks.device))
        task = build_task(parse(tree), about["tokenizer"], about["architecture"], without_data=True)
        assert isinstance(task, LanguageTask)
        task.load_state_of_replica(ranks.receive_state(), about["precision"])
        task.share_with(ranks)
        assert task.threads is not None
        task.threads.in_force()
        assert isinstance(task.step, SharedStep)
        self._task, self._step, self._shapes = task, task.step, about["shapes"]


def main(arguments: list[str]) -> int:
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):  # rank 0 decides when training ends
        signal.signal(number, signal.SIG_IGN)
    torchrun = Torchrun.of_environment()
    if not arguments and torchrun is not None:
        return Follower(torchrun.rank, torchrun.size, torchrun.here, store_of(torchrun)).work(None, torchrun)
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--device", required=True)
    given = parser.parse_args(arguments)
    store = dist.FileStore(str(given.folder / "store"), given.size)
    return Follower(given.rank, given.size, given.size, store).work(choose_device(given.device), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
