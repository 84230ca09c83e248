"""What a chart costs: time on the UI thread, time in the building thread, bytes to the terminal.

Run as a program it prints a table; `python -m tests.bench.charts` takes about half a minute.
"""

import asyncio
import fcntl
import math
import os
import pty
import random
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from statistics import median

from textual.app import App, ComposeResult

from tui.charts.chart import Chart
from tui.charts.frame import FrameBuilder
from tui.charts.picture import Picture, Reference
from tui.charts.series import Series

GROWING = 20_000
"""Steps of the run whose bytes are counted."""


def losses(points: int, number: int = 4) -> list[Series]:
    """Return falling, noisy curves."""
    rng = random.Random(0)
    noise = [rng.gauss(0, 0.08) for _ in range(10_007)]
    made = []
    for shift in range(number):
        series = Series(f"run {shift + 1}")
        fall = 6 / points
        values = [1.5 + shift * 0.3 + 2 * math.exp(-i * fall) + noise[i % 10_007] for i in range(points)]
        series.extend(range(points), values)
        made.append(series)
    return made


@dataclass(frozen=True)
class Cost:
    """Milliseconds: the first frame, and the median of the frames of a growing chart."""

    first: float
    steady: float


def build_cost(width: int, height: int, series: list[Series], smoothing: float = 0.0, frames: int = 30) -> Cost:
    """Measure the processor time of building frames, a new point each."""
    import plotext  # noqa: F401  (not counted)

    end = max(len(one) for one in series)
    picture = Picture(
        width, height, "loss", tuple(series), (Reference("chance", 3.5),), x_max=end * 1.25, smoothing=smoothing
    )
    builder, times = FrameBuilder(), []
    for _ in range(frames):
        began = time.thread_time()
        builder.build(picture)
        times.append((time.thread_time() - began) * 1e3)
        for one in series:
            one.append(one.x(len(one) - 1) + 1, 1.5)
    return Cost(times[0], median(times[1:]))


class _Timed(App[None]):
    def __init__(self, series: list[Series]) -> None:
        super().__init__()
        self.chart = Chart("loss", series=series, x_max=1.25 * len(series[0]), smoothing=0.0)

    def compose(self) -> ComposeResult:
        yield self.chart


async def ui_cost(
    points: int = 1_000_000, number: int = 4, frames: int = 20, size: tuple[int, int] = (120, 30)
) -> Cost:
    """Measure the processor time of the UI thread a frame: appending, scheduling, comparing, rendering, everything."""
    app = _Timed(losses(points, number))
    async with app.run_test(size=size):
        chart = app.chart
        while not chart.frame.lines or chart._building:
            await asyncio.sleep(0.05)

        async def one(step: int) -> float:
            began = time.thread_time()
            before = chart.frame
            for i, series in enumerate(chart.picture.series):
                chart.append(series.name, points + step, 1.5 + i * 0.3 + 0.01 * (step % 7))
            chart._schedule(at_once=True)
            while chart.frame is before:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            return (time.thread_time() - began) * 1e3

        async def nothing() -> float:
            began = time.thread_time()
            await asyncio.sleep(0.1)
            return (time.thread_time() - began) * 1e3

        first = await one(0)
        idle = median([await nothing() for _ in range(5)])
        steady = median([await one(step) for step in range(1, frames)])
        return Cost(first, max(0.0, steady - idle))


class _Growing(App[None]):
    """A chart of a run of 400 steps a second, with a point of the training loss a step."""

    def compose(self) -> ComposeResult:
        self.chart = Chart("loss", x_max=GROWING)
        yield self.chart

    def on_mount(self) -> None:
        self.rng, self.step = random.Random(0), 0
        self.chart.set_reference("chance", 3.5)
        self.set_interval(0.05, self.advance)

    def advance(self) -> None:
        steps = range(self.step, self.step + 20)
        values = [1.5 + 2 * math.exp(-i / 3000) + self.rng.gauss(0, 0.08) for i in steps]
        self.chart.extend("train", steps, values)
        if self.step % 400 == 0:
            self.chart.extend("val", (self.step,), (1.6 + 2 * math.exp(-self.step / 3000),))
        self.step += 20


def bytes_per_second(seconds: float = 10.0, settle: float = 10.0, size: tuple[int, int] = (120, 36)) -> float:
    """Run the growing chart in a pseudo-terminal of its own and count what it sends after it has settled."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.charts", "grow"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    try:
        _drain(leader, settle)
        began = time.monotonic()
        return _drain(leader, seconds) / (time.monotonic() - began)
    finally:
        child.terminate()
        child.wait()
        os.close(leader)


def _drain(descriptor: int, seconds: float) -> int:
    end, total = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            try:
                total += len(os.read(descriptor, 65536))
            except OSError:  # the child has gone
                break
    return total


def main() -> None:
    """Print everything."""
    for width, height in ((90, 20), (150, 40)):
        for number, smoothing in ((2, 0.0), (2, 200.0), (4, 0.0)):
            cost = build_cost(width, height, losses(20_000, number), smoothing)
            what = f"{width}x{height}, {number} series of 20,000 points{', smoothed' if smoothing else ''}"
            print(f"building a frame, {what:46} first {cost.first:7.1f} ms  steady {cost.steady:5.1f} ms")
    cost = build_cost(120, 30, losses(1_000_000))
    print(
        f"building a frame, 120x30, 4 series of 1,000,000 points first {cost.first:7.1f} ms  steady {cost.steady:5.1f} ms"
    )
    cost = asyncio.run(ui_cost())
    print(
        f"UI thread a frame, 120x30, 4 series of 1,000,000 points first {cost.first:7.1f} ms  steady {cost.steady:5.1f} ms"
    )
    print(f"bytes to the terminal, steady growth, 120x36                      {bytes_per_second():7.0f} B/s")


if __name__ == "__main__":
    if sys.argv[1:] == ["grow"]:
        _Growing().run()
    else:
        main()
