"""A run's curve in short, as it stands in a list: some points of its loss, and its level at the end.

Of a long file only pieces are read, spread evenly over it: a thousand runs are summed up in a second or two.
"""

import os
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import open_regular, parse_lines
from torchtty.engine.contract.run.metrics import is_number

POINTS = 32  # that a curve in short has at most
WHOLE = 512 * 1024  # bytes of a file that is read as a whole
PIECES, PIECE, END = 64, 4 * 1024, 64 * 1024  # of a longer one: pieces, their bytes, and those of its end
TAIL = 0.1  # the share of the steps whose mean is the level at the end


@dataclass(frozen=True)
class ShortCurve:
    """A metric's means over equal parts of the steps, and `smoothed`, its mean over the last tenth of them."""

    metric: str
    values: tuple[float, ...] = ()
    smoothed: float | None = None


def metric_in_short(entry: Entry) -> str:
    """Return the metric that a run's curve in short shows: the first of its first chart, which is the training loss."""
    family = entry.family
    return family.charts[0].metrics[0] if family is not None and family.charts and family.charts[0].metrics else ""


def change_mark(run: RunDirectory) -> object:
    """Return what tells whether a run's metrics have changed."""
    try:
        found = os.stat(run.metrics_path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def short_curve(run: RunDirectory, metric: str) -> ShortCurve:
    """Read a metric's curve in short; an empty one where the run has logged none of it."""
    points: dict[float, float] = {}
    for row in parse_lines(_read(run)):
        step, value = row.get("step"), row.get(metric)
        if is_number(step) and is_number(value) and isfinite(float(value)):  # type: ignore[arg-type]
            points[float(step)] = float(value)  # type: ignore[arg-type]
    if not points:
        return ShortCurve(metric)
    first, last = min(points), max(points)
    parts: list[list[float]] = [[] for _ in range(min(POINTS, len(points)))]
    for step in sorted(points):
        part = int((step - first) / (last - first) * len(parts)) if last > first else 0
        parts[min(part, len(parts) - 1)].append(points[step])
    tail = [value for step, value in points.items() if step >= last - TAIL * (last - first)]
    return ShortCurve(metric, tuple(fmean(part) for part in parts if part), fmean(tail))


def _read(run: RunDirectory) -> bytes:
    """Return whole lines of a run's metrics: all of them, or pieces spread over the file."""
    try:
        with open_regular(run.metrics_path) as file:
            size = os.fstat(file.fileno()).st_size
            if size <= WHOLE:
                return file.read().rpartition(b"\n")[0]
            found = []
            for number in range(PIECES):
                start = number * (size - END) // PIECES
                file.seek(start)
                found.append(_whole_lines(file.read(PIECE), torn=start > 0))
            file.seek(size - END)
            found.append(_whole_lines(file.read(END), torn=True))
    except OSError:
        return b""
    return b"\n".join(found)


def _whole_lines(piece: bytes, *, torn: bool) -> bytes:
    """Leave out the last line of a piece, and the first where it may have begun before."""
    lines = piece.rpartition(b"\n")[0]
    return lines.partition(b"\n")[2] if torn else lines
