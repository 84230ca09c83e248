"""A folder of a thousand runs: how long the command that lists them takes, and the Runs mode until its table is full."""

import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.bench.environment import WARM_UP, Environment, python
from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.bench.opening import FORM
from torchtty.tui.bench.terminal import LEAVE, Terminal

RUNS_MODE = b"\x1bOR"  # f3
RECIPES = ("names-gpt", "names-mlp", "digits-dcgan")


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """List many runs that have ended, by command and in the app, after one look that found none of them known."""
    many, times = (100, 2) if quick else (1000, 5)
    with Environment() as environment:
        write_runs(environment.runs, many)
        first = seconds_to_list(environment, many)
        listed = [seconds_to_list(environment, many) for _ in range(times)]
        shown = [seconds_to_full_table(environment, many) for _ in range(times)]
    about = f"{many:,} runs that have ended"
    note = f"{first:.2f} s the first time"
    return [
        Figure("runs", f"`torchtty runs` with {about}", median(listed), "s", Bar(1.0), span(listed), note),
        Figure("runs", f"Runs mode, f3 to full table, with {about}", median(shown), "s", Bar(1.0), span(shown)),
    ]


def write_runs(root: Path, many: int) -> None:
    """Write so many runs that have ended."""
    ended = Status(state=RunState.FINISHED, step=3000, max_steps=3000, pid=3, parameters=12_345, seconds=30.0)
    patterns = [create(parse(recipe_named(name).tree), root=root, recipe=name) for name in RECIPES]
    for number in range(many):
        pattern = patterns[number % len(patterns)]
        if number >= len(patterns):
            shutil.copytree(pattern.path, pattern.path.with_name(f"{pattern.name}-{number}"))
        else:
            pattern.write_status(ended)


def seconds_to_list(environment: Environment, many: int) -> float:
    """Return the seconds that the command takes, its start included."""
    began = time.perf_counter()
    command = python("torchtty.tui.main", "runs")
    answer = subprocess.run(
        command, env=environment.variables, capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - began
    assert len(answer.stdout.splitlines()) == many + 1, "a line a run, and the titles"
    return seconds


def seconds_to_full_table(environment: Environment, many: int) -> float:
    """Return the seconds from the key to the paint of the line below the table, which counts its rows."""
    with Terminal(python("torchtty.tui.main"), environment.variables) as terminal:
        terminal.wait_for(FORM, patience=WARM_UP)
        time.sleep(1.0)  # it settles
        before = terminal.length
        pressed = terminal.send(RUNS_MODE)
        at = terminal.wait_for((rf"\b{many} runs",), since=before)
        terminal.close(LEAVE)
    return at - pressed
