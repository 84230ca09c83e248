"""Starting workers: a warm one that imports torch while a person still chooses, and the hand-over of a run to it.

A worker's stdin carries JSON lines until the hand-over: `{"prepare": tree, "reply": path, "fork": …}` any number of times, then
one `{"run": path, "mode": mode}` or `{"series": [path, …]}`, after which stdin is closed. Only a sweep's coordinator hands over one
part after the other: after `{"parts": true}` each line is a run, or several that are trained as a batch, and the worker leaves once
stdin has ended. The worker is its own session and has no pipe that anyone must drain: its stdout and stderr go to a file, and to
the run's `worker.log` from the hand-over on.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState


class Mode(StrEnum):
    """What a worker is to do with the run it is handed."""

    TRAIN = "train"  # from the start
    RESUME = "resume"  # from the latest checkpoint
    FORK = "fork"  # from the checkpoint of its parent
    SERVE = "serve"  # load the model and answer samples


@dataclass(frozen=True)
class Torchrun:
    """What torchrun tells a process that it has started beside others, on one machine or many."""

    rank: int
    size: int
    local_rank: int  # among those on this machine
    here: int  # how many are on this machine
    address: str
    port: int

    @classmethod
    def of_environment(cls) -> "Torchrun | None":
        """Return what the environment tells; None where torchrun has not started this process, or no other one beside it."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return None
        try:
            rank, size, local_rank, here, port = (int(os.environ[name]) for name in names)
            found = cls(rank, size, local_rank, here, os.environ["MASTER_ADDR"], port)
        except (KeyError, ValueError):
            raise UserError(
                "What torchrun set in the environment is incomplete: start the command by torchrun again."
            ) from None
        return found if size > 1 else None


def follow_rank_0() -> None:
    """Become a follower, where torchrun has started this process as any but the first: that one alone has the run."""
    torchrun = Torchrun.of_environment()
    if torchrun is not None and torchrun.rank > 0:
        os.execv(sys.executable, [sys.executable, "-P", "-m", "torchtty.engine.worker.follower"])


@dataclass(frozen=True)
class Part:
    """What a run is trained as a part of: a sweep, which shares the processor among its runs, and the step to stop at for now."""

    sweep: str = ""  # the folder of its group
    until: int | None = None
    reply: str = ""  # a file that the worker writes once it is done with it


WHOLE = Part()


def taking_over(pid: int) -> str:
    """Return with what a worker begins its part of a run's log, after the time."""
    return f"worker {pid} takes over"


class WarmWorker:
    """A worker process that has no run yet."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        """`variables` are added to the process's environment."""
        self.folder = Path(tempfile.mkdtemp(prefix="torchtty-worker-"))
        self._requests = 0
        self._takes_parts = False
        with (self.folder / "worker.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "torchtty.engine.worker", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(variables or {}),
            )

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def hello(self) -> dict[str, Any] | None:
        """Return what the worker found once it is warm (versions, devices), None before."""
        return self._read(self.folder / "hello.json")

    def prepare(
        self,
        tree: Mapping[str, Any],
        fork: tuple[RunDirectory, int] | None = None,
        *,
        only_fits: bool = False,
        with_flops: bool = False,
    ) -> int:
        """Ask what a configuration amounts to; the answer appears under the number returned. See `answer`.

        With `fork`, a run and a step of it, its problems are also those of a fork from there; with `only_fits` nothing else.
        """
        self._requests += 1
        asked: dict[str, Any] = {"prepare": tree, "reply": f"prepared-{self._requests}.json", "only_fits": only_fits}
        asked |= {"with_flops": True} if with_flops else {}
        if fork is not None:
            asked["fork"] = {"path": str(fork[0].path), "step": fork[1]}
        self._write(asked)
        return self._requests

    def answer(self, request: int) -> dict[str, Any] | None:
        """Return the answer to `prepare`, None while there is none.

        Either `problems` [[path, message]], with `unreachable` where that is a lost network, or `parameters`, `memory` (bytes),
        `seconds_per_step`, `vocab_size`, `notes`, and `flops_per_step` where it was asked for.
        """
        return self._read(self.folder / f"prepared-{request}.json")

    def hand_over(self, run: RunDirectory, mode: Mode, edits: Mapping[str, Any] | None = None) -> None:
        """Give the worker its run and let it go: from now on only the run directory connects the two."""
        claim(run, self.process.pid)
        self._write({"run": str(run.path), "mode": mode.value, "edits": dict(edits or {})})
        with contextlib.suppress(OSError):
            self._stdin.close()

    def hand_over_series(self, runs: Sequence[RunDirectory]) -> None:
        """Give the worker several runs to train one after the other; it leaves after the last."""
        self._write({"series": [str(run.path) for run in runs]})
        with contextlib.suppress(OSError):
            self._stdin.close()

    def hand_over_part(
        self, runs: Sequence[RunDirectory], mode: Mode, part: Part, batch: RunDirectory | None = None
    ) -> None:
        """Give the worker a run of a sweep, or several to train as a batch whose folder is `batch`; it waits for more then."""
        for run in (*runs, *((batch,) if batch else ())):
            claim(run, self.process.pid)
        if not self._takes_parts:
            self._takes_parts = True
            self._write({"parts": True})
        about = {"runs": [str(run.path) for run in runs], "batch": str(batch.path) if batch else None}
        self._write(about | {"mode": mode.value, **vars(part)})

    def no_more_parts(self) -> None:
        """Let the worker leave once it has done what it was given."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def close(self) -> None:
        """End a worker that was never handed a run."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        if self.is_alive:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Return the end of what the worker printed before its hand-over."""
        try:
            return (self.folder / "worker.log").read_text(encoding="utf-8", errors="replace")[-4000:]
        except OSError:
            return ""

    @property
    def _stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def _write(self, request: dict[str, Any]) -> None:
        try:
            self._stdin.write(json.dumps(request).encode() + b"\n")
            self._stdin.flush()
        except (OSError, ValueError):
            last = self.log().strip().splitlines()[-1:] or ["it left no message"]
            raise UserError(f"The worker process ended before it got its run: {last[0]}.") from None

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


def claim(run: RunDirectory, pid: int) -> None:
    """Name a worker's process in the status of a run that begins: it may import torch for a while before it speaks."""
    import psutil

    status = run.written_status()
    if status.state is not RunState.STARTING:
        return
    with contextlib.suppress(psutil.Error, OSError):
        started = psutil.Process(pid).create_time()
        worker = {"pid": pid, "process_started": started, "host": socket.gethostname()}
        run.write_status(status.model_copy(update=worker | {"heartbeat": time.time()}))


def start(run: RunDirectory, mode: Mode, edits: Mapping[str, Any] | None = None) -> WarmWorker:
    """Start a worker and hand it a run at once."""
    worker = WarmWorker()
    worker.hand_over(run, mode, edits)
    return worker
