"""Runs as a worker leaves them, written without one: what is shown of a run depends on its files alone."""

import os
import socket
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from torchtty.engine.contract.run import directory as run_directory
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings import configuration


class WrittenRun:
    """A run directory and the means to write into it as a worker does."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run

    def status(self, state: RunState = RunState.RUNNING, **fields: Any) -> Status:
        """Write a status in the name of this very process, which is alive."""
        process = psutil.Process(os.getpid())
        known = {"pid": process.pid, "process_started": process.create_time(), "host": socket.gethostname()}
        status = Status(**{"state": state, "max_steps": 1000, "heartbeat": time.time()} | known | fields)
        self.run.write_status(status)
        return status

    def metrics(self, *rows: dict[str, Any]) -> None:
        """Append lines to metrics.jsonl."""
        with self.run.metrics_path.open("ab") as file:
            file.write(b"".join(map(json_line, rows)))

    def event(self, kind: str, step: int = 0, **fields: Any) -> None:
        """Append a line to events.jsonl."""
        with self.run.events_path.open("ab") as file:
            file.write(json_line({"event": kind, "time": time.time(), "step": step} | fields))

    def sample(self, id: str, *texts: str, known: list[bool] | None = None, step: int = 100, **fields: Any) -> None:
        """Write a whole sample."""
        about: dict[str, Any] = {"id": id, "request": "sample"}
        start = {"prompt": "", "count": len(texts), "settings": {}, "unknown": []} | fields
        self.event("started", step, **about, sample=start)
        for index, text in enumerate(texts):
            self.event("progress", step, **about, index=index, text=text)
        self.event("answered", step, **about, sample={"prompt": "", "texts": texts, "known": known} | fields)

    def curve(self, steps: int, every: int = 10) -> None:
        """Write a falling loss."""
        self.metrics(
            *(
                {
                    "step": step,
                    "time": step / 100,
                    "tokens": step * 8,
                    "train_loss": 3.0 - step / steps,
                    "grad_norm": 1.0,
                }
                for step in range(0, steps, every)
            )
        )

    def checkpoint(self, step: int) -> None:
        """Leave a checkpoint's folder."""
        self.run.checkpoint_path(step).mkdir()


@pytest.fixture
def write_run() -> Callable[..., WrittenRun]:
    """Makes runs: `write_run("name", kind="mlp", **flags)`."""

    def write(name: str = "one", kind: str = "mlp", **flags: str) -> WrittenRun:
        tree = configuration.starting_tree(kind)
        settings = configuration.with_flags(tree, {path.replace("__", "."): text for path, text in flags.items()})
        return WrittenRun(run_directory.create(settings, name=name))

    return write
