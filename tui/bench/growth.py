"""What watching leaves behind in memory: a view fed with updates as fast as it takes them, and its growth a day."""

import asyncio
import gc
import sys
import tempfile
from pathlib import Path

import psutil
from textual.app import App, ComposeResult

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, SampleDrawn, SampleStart, Started
from torchtty.engine.contract.run.files import json_line, write_atomically
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.bench.figure import Bar, Figure
from torchtty.tui.bench.written import begin, metric_lines, write_status
from torchtty.tui.run import polling
from torchtty.tui.run.curves import Curves
from torchtty.tui.run.view import RunView

A_DAY = 24 * 60 * 60 * 10  # updates: ten a second
ANEW = 25  # updates after which the run begins anew, so that the curves' own points do not count
FLAT = 50.0  # MB a day: what lies between an idle app and the 120 MB it may have
BLOCK = 100  # bytes: the mean size of a Python object, rounded up
SETTLE = 0.5  # seconds until everything that waits to be painted is
ROWS = 4  # metric lines an update brings


class _Watching(App[None]):
    def compose(self) -> ComposeResult:
        yield RunView()


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Feed a view, first until its caches are full, and measure what it holds afterwards."""
    warm, updates = (25, 50) if quick else (1300, 1200)  # what is held still moves by some hundred objects either way
    usual, polling.LOCAL = polling.LOCAL, 0.005
    try:
        with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder:
            held, resident = asyncio.run(_fed(Path(folder), warm, updates))
    finally:
        polling.LOCAL = usual
    day = held / updates * A_DAY / 1e6
    note = f"{updates:,} updates: {held / 1e3:+.0f} kB held, {resident / 1e6:+.1f} MB resident"
    return [Figure("idle", "growth over a day's worth of updates (864,000)", day, "MB", Bar(FLAT), note=note)]


async def _fed(root: Path, warm: int, updates: int) -> tuple[int, int]:
    """Return the growth in bytes of Python's objects and of resident memory over `updates`, after `warm` others."""
    run = begin(root, RunState.RUNNING, ANEW * ROWS)
    app, process = _Watching(), psutil.Process()
    async with app.run_test(size=(120, 36)):
        view = app.query_one(RunView)
        view.show(run)
        await _feed(view, run, warm)
        held, resident = await _held(), process.memory_info().rss
        await _feed(view, run, updates)
        return await _held() - held, process.memory_info().rss - resident


async def _held() -> int:
    """Return about how many bytes Python's objects take once nothing is under way: the least of a few looks.

    Their number is exact, and their mean size hardly changes; resident memory moves by pages and says nothing below 0.1 MB.
    """
    looks = []
    for _ in range(3):
        await asyncio.sleep(SETTLE)
        gc.collect()
        looks.append(sys.getallocatedblocks())
    return min(looks) * BLOCK


async def _feed(view: RunView, run: RunDirectory, updates: int) -> None:
    """Write what a worker writes, and wait after each update until the view has drawn it."""
    chart = view.query_one(Curves).chart("loss")
    for number in range(updates):
        place = number % ANEW
        if place == 0:  # replaced, not appended to: the follower starts again
            write_atomically(run.metrics_path, b"")
            write_atomically(run.events_path, b"")
        step, before = place * ROWS, chart.frame
        with run.metrics_path.open("ab") as metrics, run.events_path.open("ab") as events:
            metrics.write(metric_lines(step + 1, step + ROWS + 1))
            if place % 10 == 0:
                events.write(_sample(step))
        write_status(run, RunState.RUNNING, step + ROWS, ANEW * ROWS)
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
