"""The min-max pyramid of a curve: an array that grows and finds the extremes of any stretch quickly."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import compress
from math import inf, isfinite, nan

BLOCK = 64  # values in a block of the first level, and blocks of the first level in one of the second
LARGEST = 1e100  # the largest size of a number that can be drawn; training in 32-bit floats ends at 3.4e38


class MinMaxPyramid:
    """An append-only array with the minimum and maximum of blocks of values and of blocks of blocks.

    Numbers that are not finite are stored as gaps: they count as points, but never as an extreme. One thread may append
    while another queries points that were there before.
    """

    def __init__(self) -> None:
        self.values = array("d")
        self._gaps = array("q")
        self._lows = (array("d"), array("d"))
        self._highs = (array("d"), array("d"))

    def extend(self, values: Iterable[float]) -> None:
        """Append numbers; NaN, the infinities and what is larger than LARGEST become gaps."""
        fresh = array("d", values)
        if not all(map(isfinite, fresh)) or max(map(abs, fresh), default=0.0) > LARGEST:
            start = len(self.values)
            holes = array("q", (i for i, value in enumerate(fresh) if not abs(value) <= LARGEST))
            for hole in holes:
                fresh[hole] = nan
            self._gaps.extend(start + hole for hole in holes)
        self.values.extend(fresh)
        self._extend_levels()

    def _extend_levels(self) -> None:
        lows, highs = self._lows[0], self._highs[0]
        for block in range(len(lows), len(self.values) // BLOCK):
            values = self._finite(block * BLOCK, block * BLOCK + BLOCK)
            highs.append(max(values, default=-inf))
            lows.append(min(values, default=inf))
        upper_lows, upper_highs = self._lows[1], self._highs[1]
        for block in range(len(upper_lows), len(lows) // BLOCK):
            part = slice(block * BLOCK, block * BLOCK + BLOCK)
            upper_highs.append(max(highs[part]))
            upper_lows.append(min(lows[part]))

    def gap_between(self, start: int, stop: int) -> bool:
        """Return whether a point from start up to (not including) stop is a gap."""
        gaps = self._gaps
        if not gaps:
            return False
        at = bisect_left(gaps, start)
        return at < len(gaps) and gaps[at] < stop

    def _finite(self, start: int, stop: int) -> array[float]:
        values = self.values[start:stop]
        if self.gap_between(start, stop):
            return array("d", compress(values, map(isfinite, values)))
        return values

    def min_max(self, start: int, stop: int) -> tuple[int, int] | None:
        """Return the indices of the first minimum and maximum in [start, stop), or None if all are gaps. O(BLOCK · log n)."""
        low, high, low_in, high_in = inf, -inf, (-1, 0, 0), (-1, 0, 0)
        for stretch in _stretches(start, stop):
            level, first, last = stretch
            if level < 0:
                values = self._finite(first, last)
                if not values:
                    continue
                least, most = min(values), max(values)
            else:
                least, most = min(self._lows[level][first:last]), max(self._highs[level][first:last])
            if least < low:
                low, low_in = least, stretch
            if most > high:
                high, high_in = most, stretch
        if low > high:
            return None
        return self._find(low, low_in, self._lows), self._find(high, high_in, self._highs)

    def _find(self, value: float, stretch: tuple[int, int, int], levels: tuple[array[float], array[float]]) -> int:
        level, first, last = stretch
        while level >= 0:
            block = levels[level].index(value, first, last)
            level, first, last = level - 1, block * BLOCK, block * BLOCK + BLOCK
        return self.values.index(value, first, last)


def _stretches(start: int, stop: int) -> list[tuple[int, int, int]]:
    """Cut [start, stop) into (level, first, last), in order; level -1 is the values themselves."""
    if stop - start < 2 * BLOCK:
        return [(-1, start, stop)] if start < stop else []
    head, tail = -(-start // BLOCK), stop // BLOCK
    upper_head, upper_tail = -(-head // BLOCK), tail // BLOCK
    if upper_head < upper_tail:
        middle = [(0, head, upper_head * BLOCK), (1, upper_head, upper_tail), (0, upper_tail * BLOCK, tail)]
    else:
        middle = [(0, head, tail)]
    pieces = [(-1, start, head * BLOCK), *middle, (-1, tail * BLOCK, stop)]
    return [piece for piece in pieces if piece[1] < piece[2]]
