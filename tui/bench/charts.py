"""What a chart of millions of points costs the UI thread and the thread that builds its frames."""

import asyncio
import math
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from statistics import median

from textual.app import App, ComposeResult

from torchtty.tui.bench.measurements import Bar, Figure, span
from torchtty.tui.charts.chart import Chart
from torchtty.tui.charts.frame import FrameBuilder
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec, Reference

SIZE = (120, 30)
TICK = 0.001  # seconds between two looks whether the UI thread is free


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:
    """Let four curves grow, a million points long, and time each frame."""
    points, frames = (100_000, 8) if quick else (1_000_000, 25)
    cost = asyncio.run(ui_cost(losses(points), frames))
    built = build_cost(losses(points), frames=5)
    note = f"processor time; first frame {cost.first:.0f} ms; another thread builds it in {built.steady:.0f} ms"
    what = f"UI thread per chart frame, four series of {points:,} points"
    pause = "the same, longest pause of the UI thread in a frame"
    return [
        Figure("chart", what, cost.steady, "ms", Bar(8.0), cost.spread, note),
        Figure("chart", pause, median(cost.pauses), "ms", Bar(8.0), span(cost.pauses), "wall clock"),
    ]


def losses(points: int) -> list[Series]:
    """Return four falling, noisy curves."""
    rng = random.Random(0)
    noise = [rng.gauss(0, 0.08) for _ in range(10_007)]
    made = []
    for shift in range(4):
        series, fall = Series(f"run {shift + 1}"), 6 / points
        values = [1.5 + shift * 0.3 + 2 * math.exp(-i * fall) + noise[i % 10_007] for i in range(points)]
        series.extend(range(points), values)
        made.append(series)
    return made


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor time for the first frame and, as a median, for those of a growing chart; pauses by the clock."""

    first: float
    steady: float
    spread: tuple[float, float]
    pauses: list[float]


def build_cost(series: list[Series], frames: int) -> Cost:
    """Measure the processor time of building frames, a new point each."""
    import plotext  # noqa: F401  (not counted)

    end = max(len(one) for one in series)
    spec = ChartSpec(*SIZE, "loss", tuple(series), (Reference("chance", 3.5),), x_max=end * 1.25)
    builder, times = FrameBuilder(), []
    for _ in range(frames):
        began = time.thread_time()
        builder.build(spec)
        times.append((time.thread_time() - began) * 1e3)
        for one in series:
            one.append(one.x(len(one) - 1) + 1, 1.5)
    return Cost(times[0], median(times[1:]), span(times[1:]), [])


class _Growing(App[None]):
    def __init__(self, series: list[Series]) -> None:
        super().__init__()
        self.chart = Chart("loss", series=series, x_max=1.25 * len(series[0]), smoothing=0.0)
        self.step = len(series[0])

    def compose(self) -> ComposeResult:
        yield self.chart

    async def next_frame(self) -> None:
        """Append a point to every curve and wait until a frame with it has been painted."""
        before = self.chart.frame
        self.step += 1
        for number, series in enumerate(self.chart.spec.series):
            series.append(self.step, 1.5 + number * 0.3 + 0.01 * (self.step % 7))
        self.chart.draw_at_once()
        while self.chart.frame is before:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)


async def ui_cost(series: list[Series], frames: int) -> Cost:
    """Measure what a frame takes of the UI thread: appending, scheduling, comparing, rendering, everything."""
    app = _Growing(series)
    async with app.run_test(size=SIZE):
        while not app.chart.frame.lines or not app.chart.is_up_to_date:
            await asyncio.sleep(0.05)

        async def processor_time(waiting: Awaitable[None]) -> float:
            began = time.thread_time()
            await waiting
            return (time.thread_time() - began) * 1e3

        first = await processor_time(app.next_frame())
        idle = median([await processor_time(asyncio.sleep(0.1)) for _ in range(5)])
        each = [max(0.0, await processor_time(app.next_frame()) - idle) for _ in range(frames)]
        return Cost(first, median(each), span(each), [await _longest_pause(app) for _ in range(frames)])


async def _longest_pause(app: _Growing) -> float:
    """Return the longest time in milliseconds for which nothing else could run while a frame came about."""
    frame, longest = asyncio.create_task(app.next_frame()), 0.0
    while not frame.done():
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        longest = max(longest, time.perf_counter() - began - TICK)
    return longest * 1e3
