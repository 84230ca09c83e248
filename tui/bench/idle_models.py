"""What short runs that are trained one after the other in one app leave in memory."""

import time

import psutil

from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.requests import Edit
from torchtty.tui.bench.environment import WARM_UP, Environment, python, wait_until
from torchtty.tui.bench.measurements import Bar, Figure
from torchtty.tui.bench.terminal import LEAVE, Terminal
from torchtty.tui.bench.training import TRAIN, WARM

RUNS, QUICK_RUNS = 10, 3
STEPS = 200  # after which a run ends, if it has not done more when it is told
SETTLE = 10.0  # seconds for workers to let their models go and exit; those left after it stay


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Train runs in an app that keeps idle models for ten minutes, and count those that are left."""
    count = QUICK_RUNS if quick else RUNS
    with Environment() as environment:
        variables = environment.variables | {"TORCHTTY_IDLE_SECONDS": "600"}
        with Terminal(python("torchtty.tui.bench.app", "names-mlp"), variables) as terminal:
            terminal.wait_for(WARM, patience=WARM_UP)
            for number in range(count):
                _train_shortly(terminal, environment, number)
            until = time.monotonic() + SETTLE
            while len((found := _memory_of_workers(terminal, environment))[0]) > 1 and time.monotonic() < until:
                time.sleep(0.2)
            models, others = found
            app = psutil.Process(terminal.process.pid).memory_info().rss
            terminal.close(LEAVE)
    each = ", ".join(f"{size / 1e6:,.0f} MB" for size in models) or "none"
    note = f"idle models {each}; app {app / 1e6:,.0f} MB; spare worker {sum(others) / 1e6:,.0f} MB"
    return [
        Figure("memory", f"idle models in memory after {count} short runs in one app", len(models), "", Bar(1)),
        Figure("memory", "app and workers together, resident", (sum(models + others) + app) / 1e6, "MB", note=note),
    ]


def _train_shortly(terminal: Terminal, environment: Environment, number: int) -> None:
    terminal.send(TRAIN)
    wait_until(lambda: len(list_runs(environment.runs)) > number, "the run", WARM_UP)
    run = environment.latest()
    wait_until(lambda: run.status().step > 0 or not run.status().state.is_live, "the first step", WARM_UP)
    run.send(Edit(path="training.max_steps", value=STEPS))
    wait_until(lambda: run.status().serving, "the model at rest", WARM_UP)


def _memory_of_workers(terminal: Terminal, environment: Environment) -> tuple[list[int], list[int]]:
    """Return the resident bytes of each worker that has a run, and of each that waits for one."""
    with_run = {run.written_status().pid for run in list_runs(environment.runs)}
    models: list[int] = []
    others: list[int] = []
    for process in psutil.Process(terminal.process.pid).children():
        if process.status() != psutil.STATUS_ZOMBIE and "torchtty.engine.worker" in process.cmdline():
            (models if process.pid in with_run else others).append(process.memory_info().rss)
    return models, others
