"""When and where frames are drawn: token buckets for processor time and bytes, and the render thread."""

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchtty.tui.charts.frame import Frame, FrameBuilder
    from torchtty.tui.charts.spec import ChartSpec

RENDER_SHARE = 1 / 30
"""Seconds of processor time a second that drawing the frames of one chart may take on average."""
RENDER_BURST = 0.1
"""Seconds of processor time that may be spent at once, so that the first frames come immediately."""
WIRE_RATE = 3500.0
"""Bytes a second that all charts together may send on average; the rest of the app has as much again."""
WIRE_BURST = 30_000.0
"""Bytes that may be sent at once: a few whole frames."""
LONGEST_DELAY = 2.0
"""Seconds that a frame waits at most, however expensive the one before was."""

RENDER_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="charts")
"""The one thread that draws all charts: plotext is not thread-safe, and charts should never occupy two cores."""


async def render(builder: "FrameBuilder", spec: "ChartSpec") -> "tuple[Frame, float]":
    """Draw a frame on the render thread; return it with the processor time it took, in seconds."""
    return await asyncio.get_running_loop().run_in_executor(RENDER_THREAD, _timed, builder, spec)


def _timed(builder: "FrameBuilder", spec: "ChartSpec") -> "tuple[Frame, float]":
    if any(len(series) for series in spec.series):
        import plotext  # noqa: F401  (not counted: its import would delay the frames of the next ten seconds)

    began = thread_time()
    frame = builder.build(spec)
    return frame, thread_time() - began


def frames_per_second(environment: Mapping[str, str] = os.environ) -> float:
    """Return the highest frame rate: 10, or 4 over SSH, where each frame crosses the network."""
    return 4.0 if environment.get("SSH_CONNECTION") else 10.0


class TokenBucket:
    """A token bucket that fills at `rate` a second up to `burst`. It may be overdrawn; the next expense then waits."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at: float | None = None

    def delay(self, now: float) -> float:
        """Return the seconds until the bucket is no longer overdrawn, LONGEST_DELAY at most."""
        self._fill(now)
        return min(LONGEST_DELAY, max(0.0, -self._tokens / self._rate))

    def spend(self, now: float, amount: float) -> None:
        """Take tokens out."""
        self._fill(now)
        self._tokens = max(self._tokens - amount, -LONGEST_DELAY * self._rate)

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now


WIRE = TokenBucket(WIRE_RATE, WIRE_BURST)
"""The bytes to the terminal, shared by every chart on it."""


class Pace:
    """When the next frame of one chart is due."""

    def __init__(self, rate: float, wire: TokenBucket) -> None:
        self.interval = 1 / rate
        self._render_time = TokenBucket(RENDER_SHARE, RENDER_BURST)
        self._wire = wire
        self._due = 0.0

    def delay(self, now: float) -> float:
        """Return the seconds until the next frame may be drawn; 0 if it is due."""
        return max(0.0, self._due - now, self._render_time.delay(now), self._wire.delay(now))

    def spend(self, now: float, seconds: float, size: int) -> None:
        """Record a frame begun at `now` that took `seconds` of processor time and `size` bytes."""
        self._due = now + self.interval
        self._render_time.spend(now, seconds)
        self._wire.spend(now, size)
