"""Workers that are forked from one process in which torch is warm: real processes, ready in some hundredths of a second.

`python tests/forked_workers.py` is that process. A worker forked from it does what `torchtty.engine.worker` does from the
hand-over of a run on. Only one thread may have run before the fork, so torch computes with one, and sees no GPU unless it is
given one, which nothing may touch before the fork.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from torchtty.engine.contract.client.workers import Mode, claim
from torchtty.engine.contract.run.directory import RunDirectory


class ForkedWorker:
    """A worker's process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def is_alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """End it on the spot, as the system does when memory runs out."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 60.0) -> bool:
        """Return whether it has ended by itself within so many seconds."""
        until = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > until:
                return False
            time.sleep(0.002)
        return True


class ForkServer:
    """The process that workers are forked from."""

    def __init__(self, gpu: dict[str, str] | None = None) -> None:
        """`gpu` holds the variables with which a process sees one."""
        variables = os.environ | (gpu or {"CUDA_VISIBLE_DEVICES": ""})
        variables |= {"TORCHTTY_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables
        )

    def start(self, run: RunDirectory, mode: Mode = Mode.TRAIN, umask: int = 0o022, **edits: Any) -> ForkedWorker:
        """Have a worker take over a run, in the environment that this process has now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        variables = {name: text for name, text in os.environ.items() if name.startswith(("TORCHTTY_", "NOOP_"))}
        request = {"run": str(run.path), "mode": mode.value, "edits": edits, "umask": umask, "variables": variables}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return ForkedWorker(int(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process and every worker that is left of it."""
        with psutil.Process(self._process.pid).oneshot():
            left = psutil.Process(self._process.pid).children(recursive=True)
        for process in (*left, self._process):
            process.kill()
        self._process.wait()


def serve() -> None:
    """Fork a worker for every line of stdin."""
    import torch

    torch.set_num_threads(1)
    from torchtty.engine.contract.settings.families import FAMILIES
    from torchtty.engine.models.families import resolve
    from torchtty.engine.worker.warm_up import warm_up

    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        warm_up()
    else:  # a step would start a thread for each GPU
        from torchtty.engine.worker import session

        assert session
        torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # brings what torch loads with its first optimizer
    for family in FAMILIES.values():
        resolve(family.task), resolve(family.model)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    for line in sys.stdin.buffer:
        request = json.loads(line)
        claimed, claims = os.pipe()
        pid = os.fork()
        if pid == 0:
            _work(request, claims)
        os.close(claims)
        os.read(claimed, 1)
        os.close(claimed)
        print(pid, flush=True)


def _work(request: dict[str, Any], claims: int) -> None:
    from torchtty.engine.worker.__main__ import _take_over

    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.umask(request["umask"])
        os.environ.update(request["variables"])
        run = RunDirectory(Path(request["run"]))
        claim(run, os.getpid())
        os.close(claims)
        folder = run.path.with_name(f".folder-of-{os.getpid()}")
        folder.mkdir()
        own_log = os.open(folder / "worker.log", os.O_WRONLY | os.O_CREAT, 0o600)
        for stream in (1, 2):
            os.dup2(own_log, stream)
        code = _take_over(run, Mode(request["mode"]), request["edits"], folder)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
