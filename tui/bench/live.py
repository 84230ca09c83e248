"""The app while it idles and while it watches an MLP train: reaction, bytes to the terminal, processor time and memory."""

import time
from statistics import median

import psutil

from torchtty.engine.contract.run.requests import Edit
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.bench.figure import Bar, Figure, span
from torchtty.tui.bench.startup import LEAVE
from torchtty.tui.bench.surroundings import WARM_UP, Surroundings, end, python
from torchtty.tui.bench.terminal import Terminal
from torchtty.tui.bench.watched import watched_speed

TRAIN = b"\x14"  # ctrl+t
WARM = (r"[\d,]+ params",)
"""The estimate stands in the form: the worker has imported torch and answered."""
FIRST_POINT = (r"── (train|val)\s+\d+\.\d",)
"""A value in the chart's legend, painted with the frame that has the first point."""
LONG_ENOUGH = 200_000  # steps: the recipe's own are done within ten seconds
SETTLE = 4.0  # seconds of training before bytes are counted


def measure(wanted: frozenset[str], *, quick: bool) -> list[Figure]:
    """Open the app, let it idle, press "train", count what it writes, and hold the run's speed against that without it."""
    figures: list[Figure] = []
    reactions: list[float] = []
    with Surroundings() as surroundings:
        sessions = 3 if "train" in wanted and not quick else 1
        for number in range(sessions):
            with Terminal(python("torchtty.tui.bench.app", "names-mlp"), surroundings.environment) as terminal:
                terminal.wait_for(WARM, patience=WARM_UP)
                if number == 0 and "idle" in wanted:
                    figures += idle(terminal, 3.0 if quick else 10.0)
                if wanted & {"train", "bytes", "speed"}:
                    reactions.append(reaction(terminal))
                    if number == sessions - 1:
                        figures += steady(terminal, surroundings, wanted, quick=quick)
                    end(surroundings.latest())
                terminal.close(LEAVE)
    if "train" in wanted:
        what = '"train" pressed to first point on the chart, worker warm'
        figures.append(Figure("train", what, median(reactions), "s", Bar(0.5), span(reactions), "MLP, CPU"))
    return figures


def reaction(terminal: Terminal) -> float:
    """Return the seconds from the key to the chart's first point."""
    before = terminal.length
    pressed = terminal.send(TRAIN)
    return terminal.wait_for(FIRST_POINT, since=before) - pressed


def steady(terminal: Terminal, surroundings: Surroundings, wanted: frozenset[str], *, quick: bool) -> list[Figure]:
    """Watch the run that trains."""
    figures, run = [], surroundings.latest()
    run.send(Edit(path="training.max_steps", value=LONG_ENOUGH))
    if "bytes" in wanted:
        time.sleep(SETTLE)
        rates: list[float] = []
        while len(rates) < (3 if quick else 12) and run.status().state is RunState.RUNNING:
            began = time.perf_counter()
            rates.append(terminal.bytes_during(1.0) / (time.perf_counter() - began) / 1000)
        note = f"120x36, names-mlp with {LONG_ENOUGH:,} steps, {len(rates)} s"
        what = "bytes to the terminal in steady training"
        figures.append(Figure("bytes", what, sum(rates) / len(rates), "KB/s", Bar(5.0), span(rates), note))
    if "speed" in wanted:
        figures.append(watched_speed("MLP", terminal, run, quick=quick))
    return figures


def idle(terminal: Terminal, seconds: float) -> list[Figure]:
    """Return the share of a core and the memory that the app takes while nothing happens, without its worker's."""
    process = psutil.Process(terminal.process.pid)
    time.sleep(1.0)
    before, began = process.cpu_times(), time.perf_counter()
    time.sleep(seconds)
    after, passed = process.cpu_times(), time.perf_counter() - began
    share = 100 * (after.user + after.system - before.user - before.system) / passed
    memory = process.memory_info().rss / 1e6
    return [
        Figure("idle", "idle app, share of a core", share, "%", Bar(1.0), note=f"over {passed:.0f} s"),
        Figure("idle", "idle app, resident memory", memory, "MB", Bar(120.0), note="without the worker"),
    ]
