"""Run directories written without a worker, line for line as one writes them."""

import math
import os
import random
import socket
import time
from pathlib import Path
from typing import Any

import psutil

from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.recipes import recipe_named

ALWAYS = ("train_loss", "learning_rate", "grad_norm", "steps_per_second")


def begin(root: Path, state: RunState, max_steps: int) -> RunDirectory:
    """Make a run whose worker is this very process, which is alive."""
    run = create(parse(recipe_named("names-mlp").tree), root=root)
    write_status(run, state, max_steps, max_steps)
    return run


def write_status(run: RunDirectory, state: RunState, step: int, max_steps: int) -> None:
    """Write a status in the name of this process."""
    process = psutil.Process(os.getpid())
    known: dict[str, Any] = {"pid": process.pid, "process_started": process.create_time(), "host": socket.gethostname()}
    run.write_status(
        Status(
            state=state,
            step=step,
            max_steps=max_steps,
            steps_per_second=400.0 + step % 7,
            heartbeat=time.time(),
            **known,
        )
    )


def metric_lines(first: int, last: int, metrics: int = len(ALWAYS)) -> bytes:
    """Return the lines of steps `first` to `last` with so many metrics each."""
    rng = random.Random(first)
    names = [*ALWAYS, *(f"layer_{number}.grad_norm" for number in range(metrics - len(ALWAYS)))]
    lines = []
    for step in range(first, last):
        row: dict[str, Any] = {"step": step, "time": round(step * 0.0025, 4), "tokens": step * 4096}
        row |= {name: float(f"{1.5 + 2 * math.exp(-step / 9000) + rng.gauss(0, 0.08):.7g}") for name in names}
        lines.append(json_line(row))
    return b"".join(lines)
