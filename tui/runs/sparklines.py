"""Curves in short for the table: read in a thread, those of the rows in sight first, and written in braille."""

import threading
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from time import monotonic

from torchtty.engine.contract.listing.curves import ShortCurve, change_mark, metric_in_short, short_curve
from torchtty.engine.contract.listing.entry import Entry

WIDTH = 10  # cells
BATCH = 0.2  # seconds of reading between two notifications
_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))  # of a braille cell: left and right, from below
_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """Draw a curve in one line of braille, two points a cell, scaled to its own range; empty for fewer than two points."""
    if len(values) < 2:
        return ""
    points = _resampled(values, width * 2)
    low, high = min(points), max(points)
    levels = [round((value - low) / (high - low) * 3) if high > low else 0 for value in points]
    cells = [0] * width
    for number, level in enumerate(levels):
        before = levels[number - 1] if number else level
        for height in range(min(level, before + 1), max(level, before - 1) + 1):  # a steep curve has no gaps
            cells[number // 2] |= _DOTS[height][number % 2]
    return "".join(chr(0x2800 + dots) for dots in cells)


def bars(values: Iterable[float | None], width: int = WIDTH) -> str:
    """Draw numbers as bars in their order, the smallest the lowest, as many as fit; what is no number is a gap."""
    shown = list(values)[:width]
    finite = [value for value in shown if value is not None and isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        _BARS[round((value - low) * scale)] if value is not None and isfinite(value) else " " for value in shown
    )


def _resampled(values: Sequence[float], count: int) -> list[float]:
    """Return so many values, taken linearly between those that there are."""
    found = []
    for number in range(count):
        place = number * (len(values) - 1) / (count - 1)
        left = min(int(place), len(values) - 2)
        found.append(values[left] + (values[left + 1] - values[left]) * (place - left))
    return found


class CurveReader:
    """Reads the curves in short of the runs that are wanted; `notify` is called from its thread when some are new."""

    def __init__(self, notify: Callable[[], object]) -> None:
        self.curves: dict[str, ShortCurve] = {}  # by the runs' names
        self._marks: dict[str, object] = {}
        self._notify = notify
        self._wanted: list[Entry] = []
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="reading short curves", daemon=True)

    def want(self, entries: Iterable[Entry]) -> None:
        """Read the curves of these runs, the first of them first, in place of those that were wanted before."""
        self._wanted = list(entries)
        self._wake.set()
        if not self._thread.is_alive() and not self._ended:
            self._thread.start()

    def smoothed(self) -> dict[str, float | None]:
        """Return the level at the end of each curve that was read."""
        return {name: curve.smoothed for name, curve in list(self.curves.items())}

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._wake.set()

    def _work(self) -> None:
        while not self._ended:
            self._wake.wait()
            self._wake.clear()
            news, told = False, monotonic()
            for entry in self._wanted:
                if self._ended or self._wake.is_set():
                    break
                news |= self._read(entry)
                if news and monotonic() - told > BATCH:
                    self._notify()
                    news, told = False, monotonic()
            if news and not self._ended:
                self._notify()

    def _read(self, entry: Entry) -> bool:
        mark = (change_mark(entry.run), metric := metric_in_short(entry))
        if mark == self._marks.get(entry.key):
            return False
        self._marks[entry.key] = mark
        before = self.curves.get(entry.key)
        self.curves[entry.key] = curve = short_curve(entry.run, metric)
        return curve != before
