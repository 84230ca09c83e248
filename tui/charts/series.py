"""A curve that grows: its points by step, by seconds or by tokens, smoothed and decimated to what a screen can show."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from math import exp, isfinite, nan
from operator import lt
from typing import NamedTuple

from torchtty.tui.charts.decimation import MinMaxPyramid

STEP = "step"


class Smoothing:
    """An exponential moving average over unevenly spaced points, whose time constant is in steps.

    A point d steps back weighs exp(-d / time_constant). The sum is divided by the sum of its weights, which removes the
    bias towards the first point (the bias correction of Adam: Kingma and Ba 2015, section 3). Each value depends on
    earlier points only, so a curve that has been drawn never changes.
    """

    def __init__(self, time_constant: float) -> None:
        assert time_constant > 0
        self.time_constant = time_constant
        self._last_step = nan
        self._sum = 0.0
        self._weight = 0.0

    def extend(self, steps: Iterable[float], values: Iterable[float]) -> list[float]:
        """Return one smoothed value a point; a value that is not finite gives NaN and is left out of the average."""
        out: list[float] = []
        add = out.append
        last, total, weight = self._last_step, self._sum, self._weight
        distance, keep = nan, 0.0
        for step, value in zip(steps, values, strict=True):
            if not isfinite(value):
                add(nan)
                continue
            if last == last:
                if step - last != distance:
                    distance = step - last
                    keep = exp(-distance / self.time_constant)
                if not weight:
                    # The first point's weight depends on how far points lie apart, known only at the second.
                    weight = 1.0 - keep
                    total *= weight
                total = keep * total + (1.0 - keep) * value
                weight = keep * weight + (1.0 - keep)
                add(total / weight if weight else value)
            else:
                total = value
                add(value)
            last = step
        self._last_step, self._sum, self._weight = last, total, weight
        return out


class Point(NamedTuple):
    """One decimated point; `connected` says whether a line leads to it from the point before."""

    x: float
    y: float
    connected: bool


class _Data:
    """The points of a series. Removing points replaces the whole object, so that a reader's copy stays consistent."""

    def __init__(self, coordinates: Sequence[str] = ()) -> None:
        self.x: dict[str, array[float]] = {STEP: array("d")} | {name: array("d") for name in coordinates}
        self.y = MinMaxPyramid()
        self.length = 0
        """The number of points that readers may use: raised last, once everything about them is stored."""


class _Smoothed:
    def __init__(self, data: _Data, time_constant: float) -> None:
        self.data = data
        self.filter = Smoothing(time_constant)
        self.y = MinMaxPyramid()

    def catch_up(self, length: int) -> MinMaxPyramid:
        done = len(self.y.values)
        if done < length:
            steps, values = self.data.x[STEP][done:length], self.data.y.values[done:length]
            self.y.extend(self.filter.extend(steps, values))
        return self.y


class Series:
    """A named curve with a title and a colour, appended to by one thread and read by others: one builds the chart, one the legend.

    `colour` is a colour in Rich's notation; None takes the next of the chart's palette. Values that are not finite are
    gaps.
    """

    def __init__(self, name: str, title: str | None = None, colour: str | None = None, *, smooth: bool = True) -> None:
        self.name = name
        self.title = title if title is not None else name
        self.colour = colour
        self.smooth = smooth
        """Whether the chart's smoothing applies: a validation loss has few points and no noise worth smoothing."""
        self._data = _Data()
        self._smoothed: _Smoothed | None = None
        self._smoothing = threading.Lock()  # held while the smoothed curve grows
        self._min_max_cache: dict[tuple[str, float], dict[tuple[int, int], tuple[int, int] | None]] = {}

    def __len__(self) -> int:
        return self._data.length

    @property
    def coordinates(self) -> tuple[str, ...]:
        """What the x axis can count: always "step", and every other coordinate that all points have."""
        return tuple(self._data.x)

    def append(self, step: float, value: float, **coordinates: float) -> None:
        """Append one point; see `extend`."""
        self.extend((step,), (value,), {name: (x,) for name, x in coordinates.items()})

    def extend(
        self, steps: Sequence[float], values: Sequence[float], coordinates: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        """Append points: steps, values and each further coordinate have the same length.

        A step that is not beyond the last one first removes the points from that step on, as after a resume from an older
        checkpoint.
        """
        extra = dict(coordinates or {})
        assert len(steps) == len(values)
        assert all(len(xs) == len(steps) for xs in extra.values())
        for part in _rising(steps):
            self._extend(steps[part], values[part], {name: xs[part] for name, xs in extra.items()})

    def _extend(self, steps: Sequence[float], values: Sequence[float], extra: dict[str, Sequence[float]]) -> None:
        data = self._data
        if not data.length:
            data = self._data = _Data(tuple(extra))
        elif steps[0] <= data.x[STEP][-1]:
            data = self._data = _points_before(data, steps[0])
        for name in [name for name in data.x if name != STEP]:
            if name in extra:
                # The clock restarts after a resume; without this the curve would run backwards.
                before = data.x[name][-1:]
                data.x[name].extend(list(accumulate(chain(before, extra[name]), max))[len(before) :])
            else:
                data.x = {other: xs for other, xs in data.x.items() if other != name}
        data.x[STEP].extend(steps)
        data.y.extend(values)
        data.length = len(data.y.values)

    def clear(self) -> None:
        self._data = _Data()

    def bounds(self, coordinate: str = STEP) -> tuple[float, float] | None:
        """Return the first and the last x, or None without points."""
        data = self._data
        xs, length = data.x.get(coordinate), data.length
        return (xs[0], xs[length - 1]) if xs and length else None

    def first_positive(self, coordinate: str = STEP) -> float | None:
        """Return the first x above zero, where a logarithmic axis can begin; None if there is none."""
        data = self._data
        xs, length = data.x.get(coordinate), data.length
        at = bisect_right(xs, 0.0, 0, length) if xs else length
        return xs[at] if xs and at < length else None

    def latest(self, time_constant: float = 0.0) -> float:
        """Return the last finite value (smoothed with a time constant above zero), or NaN without one."""
        data = self._data
        length = data.length  # read once: another thread raises it
        values = self._curve(data, length, time_constant).values
        return next((values[i] for i in range(length - 1, -1, -1) if values[i] == values[i]), nan)

    def nearest(self, x: float, coordinate: str = STEP) -> int | None:
        """Return the index of the point nearest to x, the earlier one of two as near, or None without points."""
        data = self._data
        xs = data.x.get(coordinate)
        if not xs or not data.length:
            return None
        at = bisect_left(xs, x, 0, data.length)
        if at == data.length or (at > 0 and x - xs[at - 1] <= xs[at] - x):
            return at - 1
        return at

    def x(self, index: int, coordinate: str = STEP) -> float:
        return self._data.x[coordinate][index]

    def value(self, index: int, time_constant: float = 0.0) -> float:
        """Return a point's value; NaN in a gap."""
        data = self._data
        return self._curve(data, data.length, time_constant).values[index]

    def _curve(self, data: _Data, length: int, time_constant: float) -> MinMaxPyramid:
        if not (self.smooth and time_constant > 0):
            return data.y
        with self._smoothing:
            smoothed = self._smoothed
            if smoothed is None or smoothed.data is not data or smoothed.filter.time_constant != time_constant:
                smoothed = self._smoothed = _Smoothed(data, time_constant)
                self._min_max_cache.clear()
            return smoothed.catch_up(length)

    def decimate(self, edges: Sequence[float], coordinate: str = STEP, time_constant: float = 0.0) -> list[Point]:
        """Return at most two points a column, its minimum and maximum in the order they occurred.

        `edges` holds the columns' borders, rising: one more than there are columns; the last column includes its right
        border. A point before the first and one after the last column, if there are any, lead the line out of the plot. The
        extremes of columns whose points have not changed since the last call are cached.
        """
        data = self._data
        length = data.length
        xs = data.x.get(coordinate)
        if xs is None or not length:
            return []
        curve = self._curve(data, length, time_constant)
        key = (coordinate, time_constant if self.smooth else 0.0)
        cached, current = self._min_max_cache.get(key, {}), {}
        points: list[Point] = []
        previous, previous_column = -1, -2
        start = bisect_left(xs, edges[0], 0, length)
        last_column = len(edges) - 2
        if start and isfinite(curve.values[start - 1]):
            points.append(Point(xs[start - 1], curve.values[start - 1], False))
            previous, previous_column = start - 1, -1
        for column in range(last_column + 1):
            find = bisect_right if column == last_column else bisect_left
            stop = find(xs, edges[column + 1], start, length)
            if stop == start:
                continue
            bounds = (start, stop)
            found = cached[bounds] if bounds in cached else curve.min_max(start, stop)
            current[bounds] = found
            start = stop
            if found is None:
                continue
            first, last = found if found[0] <= found[1] else found[::-1]
            for index in (first, last) if first != last else (first,):
                connected = previous >= 0 and not _broken(curve, previous, index, column - previous_column)
                points.append(Point(xs[index], curve.values[index], connected))
                previous, previous_column = index, column
        if start < length and isfinite(curve.values[start]):
            connected = previous >= 0 and not _broken(curve, previous, start, last_column + 1 - previous_column)
            points.append(Point(xs[start], curve.values[start], connected))
        self._min_max_cache[key] = current
        return points


def _broken(curve: MinMaxPyramid, previous: int, index: int, columns: int) -> bool:
    """Return whether a gap between two decimated points is visible: wider than a column, or all there is between them."""
    if not curve.gap_between(previous + 1, index):
        return False
    return columns > 1 or curve.min_max(previous + 1, index) is None


def _rising(steps: Sequence[float]) -> Iterator[slice]:
    """Split steps into strictly increasing slices; a step that is not finite is left out."""
    if all(map(isfinite, steps)) and all(map(lt, steps, steps[1:])):
        if len(steps):
            yield slice(0, len(steps))
        return
    start = 0
    for i in range(len(steps) + 1):
        finite = i < len(steps) and isfinite(steps[i])
        if not finite or (i > start and steps[i] <= steps[i - 1]):
            if start < i:
                yield slice(start, i)
            start = i if finite else i + 1


def _points_before(data: _Data, step: float) -> _Data:
    """Return the points before a step."""
    keep = bisect_left(data.x[STEP], step)
    kept = _Data(tuple(name for name in data.x if name != STEP))
    for name, xs in data.x.items():
        kept.x[name] = xs[:keep]
    kept.y.extend(data.y.values[:keep])
    kept.length = keep
    return kept
