"""Where figures are measured: the machine, and folders and environment variables of the measured programs' own."""

import atexit
import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from torchtty.engine.contract.paths import data_folder
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.bench.terminal import PATIENCE, TimedOut
from torchtty.tui.cli.doctor import cores, installed


def machine() -> dict[str, Any]:
    """Return processor, cores, memory in GB, system, versions, and how busy the machine was before it was measured."""
    return {
        "cpu": _cpu_name(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": installed("torch"),
        "textual": installed("textual"),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def described(found: dict[str, Any]) -> str:
    load = "" if found["load"] is None else f", load {found['load']} before"
    return (
        f"{found['cpu']}, {found['cores']} cores, {found['memory_gb']} GB, {found['system']}, "
        f"Python {found['python']}, torch {found['torch']}, textual {found['textual']}{load}"
    )


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


WARM_UP = 120.0  # seconds that importing torch may take on a busy machine
_PERSONAL = {"NO_COLOR", "SSH_CONNECTION", "TMUX", "TEXTUAL", "TEXTUAL_FPS", "TEXTUAL_ANIMATIONS"}
_PERSONAL |= {"TORCHTTY_IMAGES", "TORCHTTY_THREADS"}


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in this Python, and nothing of the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


class Environment(contextlib.AbstractContextManager["Environment"]):
    """A temporary folder for runs and state. Whatever trains in it is ended when it is left."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="torchtty-bench-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name)
        self.runs = self.path / "runs"
        self.variables = {name: value for name, value in os.environ.items() if name not in _PERSONAL} | {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "TORCHTTY_RUNS": str(self.runs),
            "TORCHTTY_STATE": str(self.path / "state"),
            "TORCHTTY_CONFIG": str(self.path / "config"),
            "TORCHTTY_DATA": str(data_folder()),
            "TORCHTTY_IDLE_SECONDS": "2",
        }
        if self.variables.pop("PYTHONDONTWRITEBYTECODE", None) and "PYTHONPYCACHEPREFIX" not in self.variables:
            self.variables["PYTHONPYCACHEPREFIX"] = bytecode_folder()

    def __exit__(self, *exception: object) -> None:
        for run in list_runs(self.runs):
            end(run)
        self._folder.cleanup()

    def latest(self) -> RunDirectory:
        """Return the run that was begun last."""
        wait_until(lambda: bool(list_runs(self.runs)), "a run", PATIENCE)
        return list_runs(self.runs)[0]

    def train(self, model: str, settings: dict[str, str]) -> RunDirectory:
        """Have a worker train a model or recipe in the background; return its run once it trains."""
        flags = [part for path, value in settings.items() for part in (f"--{path}", value)]
        command = python("torchtty.tui.main", "train", model, *flags, "--detach")
        answer = subprocess.run(
            command, env=self.variables, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if answer.returncode:
            raise TimedOut(answer.stderr.strip() or "the training command failed")
        run = self.latest()
        wait_until(lambda: run.status().step > 0 or not run.status().state.is_live, "the first step", WARM_UP)
        status = run.status()
        if status.state is not RunState.RUNNING:
            raise TimedOut(f"the run did not train: {status.message}")
        return run


@cache
def bytecode_folder() -> str:
    """Return a folder for compiled modules, kept while the measurements last.

    An installed program finds its modules compiled. Where Python is told to write none, each start would compile them anew,
    torch's too, and neither figure would be that of a person's machine.
    """
    folder = tempfile.mkdtemp(prefix="torchtty-bench-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def end(run: RunDirectory) -> None:
    """End the worker of a run, if it has one."""
    status = run.written_status()
    if not (status.state.is_live or status.serving) or not status.process_is_alive():
        return
    with contextlib.suppress(psutil.Error):
        worker = psutil.Process(status.pid)
        worker.terminate()
        try:
            worker.wait(PATIENCE)
        except psutil.TimeoutExpired:
            worker.kill()
            worker.wait(PATIENCE)


def wait_until(condition: Callable[[], bool], what: str, patience: float, look_every: float = 0.05) -> None:
    """Wait for something that another process does; raise `TimedOut`."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimedOut(f"{what} did not come about in {patience:.0f} s")
        time.sleep(look_every)
