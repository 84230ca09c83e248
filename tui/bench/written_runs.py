"""Run directories written without a worker: how fast a long one opens, and how much memory watching one takes."""

import asyncio
import functools
import gc
import math
import os
import random
import socket
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from textual.app import App, ComposeResult
from textual.cache import FIFOCache, LRUCache

from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.events import Answered, SampleDrawn, SampleStart, Started
from torchtty.engine.contract.run.files import json_line, write_atomically
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.charts.frame import FrameBuilder
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.run import watcher
from torchtty.tui.run.curves import Curves
from torchtty.tui.run.view import RunView
from torchtty.tui.run.watcher import RunFollower

ALWAYS = ("train_loss", "learning_rate", "grad_norm", "steps_per_second")
STEPS, METRICS = 50_000, 20
SHOWN = ("train_loss", "val_loss")  # the curves of the first chart

A_DAY = 24 * 60 * 60 * 10  # updates: ten a second
RESTART_EVERY = 25  # updates after which the run starts again, so that the curves' own points do not count
FLAT = 50.0  # MB a day: the difference between an idle app and the 120 MB it may take
BLOCK = 100  # bytes: the mean size of a Python object, rounded up
SETTLE = 0.5  # seconds until everything pending is painted
ROWS = 4  # metric lines an update brings


def begin(root: Path, state: RunState, max_steps: int) -> RunDirectory:
    """Create a run whose worker is this process, which is alive."""
    run = create(parse(recipe_named("names-mlp").tree), root=root)
    write_status(run, state, max_steps, max_steps)
    return run


def write_status(run: RunDirectory, state: RunState, step: int, max_steps: int) -> None:
    """Write a status with this process as the worker."""
    process = psutil.Process(os.getpid())
    known: dict[str, Any] = {"pid": process.pid, "process_started": process.create_time(), "host": socket.gethostname()}
    known |= {"steps_per_second": 400.0 + step % 7, "heartbeat": time.time()}
    run.write_status(Status(state=state, step=step, max_steps=max_steps, **known))


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


def measure_opening(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Write a run of 50,000 steps with 20 metrics each, and open it several times."""
    import plotext  # noqa: F401  (not counted: the app has imported it by then)

    steps = 5_000 if quick else STEPS
    with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder:
        run = begin(Path(folder), RunState.FINISHED, steps)
        run.metrics_path.write_bytes(metric_lines(1, steps + 1, METRICS))
        size = run.metrics_path.stat().st_size / 1e6
        times = [open_run(run, steps) for _ in range(2 if quick else 5)]
    wholes, reads = [sum(parts) for parts in times], [read for read, _ in times]
    note = f"{size:.0f} MB; {median(reads):.2f} s of it reading"
    what = f"opening a run of {steps:,} steps x {METRICS} metrics"
    return [Figure("open", what, median(wholes), "s", Bar(0.3), span(wholes), note)]


def open_run(run: RunDirectory, steps: int) -> tuple[float, float]:
    """Return the seconds for reading a run and for drawing its curve."""
    began = time.perf_counter()
    follower = RunFollower(run, SHOWN)
    follower.poll()
    news = follower.take()
    read = time.perf_counter()
    assert news is not None
    assert len(follower.series["train_loss"]) == steps, "every point has arrived"
    series = tuple(follower.series[name] for name in SHOWN)
    FrameBuilder().build(ChartSpec(90, 24, "loss", series, x_max=float(steps), smoothing=0.01 * steps))
    return read - began, time.perf_counter() - read


class _Watching(App[None]):
    def compose(self) -> ComposeResult:
        yield RunView()


def measure_growth(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Feed a view, first until its caches are full, and measure how much its memory grows afterwards."""
    warm, updates = (25, 50) if quick else (1000, 1200)
    usual, watcher.LOCAL = watcher.LOCAL, 0.005
    try:
        with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder:
            held, resident = asyncio.run(_fed(Path(folder), warm, updates))
    finally:
        watcher.LOCAL = usual
    day = held / updates * A_DAY / 1e6
    note = f"{updates:,} updates: {held / 1e3:+.0f} kB held, {resident / 1e6:+.1f} MB resident"
    return [Figure("idle", "growth over a day's worth of updates (864,000)", day, "MB", Bar(FLAT), note=note)]


async def _fed(root: Path, warm: int, updates: int) -> tuple[int, int]:
    """Return the growth in bytes of Python's objects and of resident memory over `updates`, after `warm` others."""
    run = begin(root, RunState.RUNNING, RESTART_EVERY * ROWS)
    app, process = _Watching(), psutil.Process()
    async with app.run_test(size=(120, 36)):
        view = app.query_one(RunView)
        await _feed(view, run, warm)
        held, resident = await _held(view), process.memory_info().rss
        await _feed(view, run, updates)
        return await _held(view) - held, process.memory_info().rss - resident


async def _held(view: RunView) -> int:
    """Return about how many bytes Python's objects take once nothing is pending: the least of three measurements.

    Their number is exact and their mean size hardly changes; resident memory moves by pages and says nothing below 0.1 MB.
    The view shows no run meanwhile: how many points and samples of it were read so far differs from time to time.
    """
    view.show(None)
    samples = []
    for _ in range(3):
        await asyncio.sleep(SETTLE)
        _clear_caches()
        gc.collect()
        samples.append(sys.getallocatedblocks())
    return min(samples) * BLOCK


def _clear_caches() -> None:
    """Empty the caches of functions, and Textual's of layouts, styles and lines: they have limits, and fill up for hours."""
    for found in gc.get_objects():
        if type(found) is functools._lru_cache_wrapper:
            found.cache_clear()
        elif isinstance(found, LRUCache | FIFOCache):
            found.clear()


async def _feed(view: RunView, run: RunDirectory, updates: int) -> None:
    """Write as a worker does, and wait after each update until the view has drawn it."""
    view.show(run)
    chart = view.query_one(Curves).chart("loss")
    for number in range(updates):
        place = number % RESTART_EVERY
        if place == 0:  # replaced, not appended to: the follower starts again
            write_atomically(run.metrics_path, b"")
            write_atomically(run.events_path, b"")
        step, before = place * ROWS, chart.frame
        with run.metrics_path.open("ab") as metrics, run.events_path.open("ab") as events:
            metrics.write(metric_lines(step + 1, step + ROWS + 1))
            if place % 10 == 0:
                events.write(_sample(step))
        write_status(run, RunState.RUNNING, step + ROWS, RESTART_EVERY * ROWS)
        for _ in range(200):
            await asyncio.sleep(0.005)
            chart.draw_at_once()
            if chart.frame is not before:
                break


def _sample(step: int) -> bytes:
    id = f"step-{step}"
    drawn = SampleDrawn(texts=("anna", "tom"), known=(True, False), automatic=True)
    begun = Started(id=id, request="sample", step=step, sample=SampleStart(count=2, automatic=True))
    ended = Answered(id=id, request="sample", step=step, sample=drawn)
    return json_line(begun.model_dump(mode="json")) + json_line(ended.model_dump(mode="json"))
