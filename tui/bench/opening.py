"""Opening a long run: from its files to the first frame of its curve."""

import tempfile
import time
from pathlib import Path
from statistics import median

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.bench.figure import Bar, Figure, span
from torchtty.tui.bench.written import begin, metric_lines
from torchtty.tui.charts.frame import FrameBuilder
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.run.follower import RunFollower

STEPS, METRICS = 50_000, 20
SHOWN = ("train_loss", "val_loss")  # what the first chart asks for


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Write a run of 50,000 steps with 20 metrics each, and open it several times."""
    import plotext  # noqa: F401  (the app has imported it by then)

    steps = 5_000 if quick else STEPS
    with tempfile.TemporaryDirectory(prefix="torchtty-bench-") as folder:
        run = begin(Path(folder), RunState.FINISHED, steps)
        run.metrics_path.write_bytes(metric_lines(1, steps + 1, METRICS))
        size = run.metrics_path.stat().st_size / 1e6
        times = [open_run(run, steps) for _ in range(2 if quick else 5)]
    wholes, reads = [sum(parts) for parts in times], [read for read, _ in times]
    note = f"{size:.0f} MB; {median(reads):.2f} s of it reading"
    what = f"opening a run of {steps:,} steps x {METRICS} metrics"
    return [Figure("open", what, median(wholes), "s", Bar(0.5), span(wholes), note)]


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
