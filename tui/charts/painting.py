"""Drawing and painting the frames of charts: the render thread, how often frames are drawn, and which cells are repainted."""

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import thread_time

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from torchtty.tui.charts.frame import Frame, FrameBuilder
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import Line

BLANK = Style.null()
STYLE_BYTES = 42  # bytes that switch a foreground and a background of 24-bit colour on and off
RENDER_SHARE = 1 / 30  # seconds of processor time a second that drawing the frames of one chart may take on average
RENDER_BURST = 0.1  # seconds of processor time that may be spent at once, so that the first frames come immediately
WIRE_RATE = 2500.0  # bytes a second that all charts together send at most on average; the rest of the app takes as much
WIRE_BURST = 30_000.0  # bytes that may be sent at once: a few whole frames
LONGEST_DELAY = 2.0  # seconds that a frame waits at most, however expensive the one before was

RENDER_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="charts")
"""The one thread that draws all charts: plotext is not thread-safe, and charts should never occupy two cores."""


async def render(builder: FrameBuilder, spec: ChartSpec) -> tuple[Frame, float]:
    """Draw a frame on the render thread; return it with the processor time it took, in seconds."""
    return await asyncio.get_running_loop().run_in_executor(RENDER_THREAD, _timed, builder, spec)


def _timed(builder: FrameBuilder, spec: ChartSpec) -> tuple[Frame, float]:
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
        self._fill(now)
        self._tokens = max(self._tokens - amount, -LONGEST_DELAY * self._rate)

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now


WIRE = TokenBucket(WIRE_RATE, WIRE_BURST)  # the bytes to the terminal, shared by every chart on it


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


class Painting:
    """The lines on display as strips; only lines that differ from the frame before are converted."""

    def __init__(self) -> None:
        self._lines: tuple[Line, ...] = ()
        self._strips: list[Strip] = []

    def line(self, y: int) -> Strip | None:
        return self._strips[y] if y < len(self._strips) else None

    def replace(self, frame: Frame) -> tuple[list[Region] | None, int]:
        """Replace the frame on display; return the regions that differ (None: all) and about how many bytes they take."""
        before, self._lines = self._lines, tuple(frame.lines)
        if len(before) != len(self._lines):
            self._strips = [strip(line) for line in self._lines]
            return None, sum(painted_bytes(line, frame.width) for line in self._lines)
        regions, size = [], 0
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self._strips[y] = strip(new)
                first, last = changed_columns(old, new)
                if last > first:
                    regions.append(Region(first, y, last - first, 1))
                    size += painted_bytes(new, last)
        return regions, size


def strip(line: Line) -> Strip:
    return Strip([Segment(text, style) for text, style in line])


def changed_columns(old: Line, new: Line) -> tuple[int, int]:
    """Return the first column that differs between two lines of the same width, and the one after the last."""
    one, other = _cells(old), _cells(new)
    if len(one) != len(other):
        return 0, max(len(one), len(other))
    differing = [column for column, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return (differing[0], differing[-1] + 1) if differing else (0, 0)


def painted_bytes(line: Line, stop: int) -> int:
    """Return about how many bytes it takes to paint a line up to a column.

    Textual crops what it repaints on the right only: a change at the end of a line costs the whole line.
    """
    size, column = 0, 0
    for text, _ in line:
        if column >= stop:
            break
        size += STYLE_BYTES + len(text[: stop - column].encode())
        column += cell_len(text)
    return size


def _cells(line: Line) -> list[tuple[str, Style]]:
    """List the cells of a line; a wide character has two, and blanks without a background have no style."""
    cells: list[tuple[str, Style]] = []
    for text, style in line:
        if text.isascii() or cell_len(text) == len(text):
            cells.extend(
                [(character, BLANK if character == " " and style.bgcolor is None else style) for character in text]
            )
        else:
            for character in text:
                cells.extend([(character, style)] * cell_len(character))
    return cells
