"""Thinning keeps what can be seen, smoothing never changes what was drawn."""

import math
import sys
import threading
from bisect import bisect_right
from math import exp, inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.decimation import MinMaxPyramid
from torchtty.tui.charts.series import STEP, Series, Smoothing

FINITE = st.floats(-1e6, 1e6)
VALUES = st.lists(FINITE | st.sampled_from([nan, inf, -inf]), min_size=1, max_size=400)


def column_of(edges: list[float], x: float) -> int:
    return min(bisect_right(edges, x) - 1, len(edges) - 2)


@given(VALUES, st.integers(1, 60), st.booleans())
def test_thinning_keeps_each_columns_minimum_and_maximum_in_order_and_at_most_two_points(values, columns, log):
    series = Series("loss")
    steps = [float(i + 1) for i in range(len(values))]
    series.extend(steps, values)
    edges = Axis(1.0, len(values) + 1.0, log=log).edges(columns)

    thinned = series.decimate(edges)

    everything: dict[int, list[float]] = {}
    for step, value in zip(steps, values, strict=True):
        if abs(value) < inf:
            everything.setdefault(column_of(edges, step), []).append(value)
    kept: dict[int, list[float]] = {}
    for point in thinned:
        kept.setdefault(column_of(edges, point.x), []).append(point.y)
    assert [point.x for point in thinned] == sorted({point.x for point in thinned})
    assert kept.keys() == everything.keys()
    for column, ys in kept.items():
        assert len(ys) <= 2
        assert (min(ys), max(ys)) == (min(everything[column]), max(everything[column]))


@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(1, 40))
def test_a_series_that_grew_looks_like_one_that_was_there_at_once(parts, columns):
    grown, whole = Series("a"), Series("b")
    everything = [value for part in parts for value in part]
    edges = Axis(0.0, float(len(everything))).edges(columns)
    start = 0
    for part in parts:
        grown.extend(range(start, start + len(part)), part)
        grown.decimate(edges)
        start += len(part)
    whole.extend(range(len(everything)), everything)
    assert grown.decimate(edges) == whole.decimate(edges)


@given(st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 2**32))
def test_extremes_of_any_stretch_are_found_across_blocks(one, other, seed):
    values = [float((i * 2654435761 + seed) % 10007) for i in range(9000)]
    extremes = MinMaxPyramid()
    extremes.extend(values)
    start, stop = sorted((one, other))
    found = extremes.min_max(start, stop)
    if start == stop:
        assert found is None
    else:
        part = values[start:stop]
        assert found == (start + part.index(min(part)), start + part.index(max(part)))


@given(VALUES, st.integers(0, 400), st.floats(0.5, 500))
def test_smoothing_in_parts_equals_smoothing_at_once(values, cut, time_constant):
    steps = [i * 3.0 for i in range(len(values))]
    one, other = Smoothing(time_constant), Smoothing(time_constant)
    parts = other.extend(steps[:cut], values[:cut]) + other.extend(steps[cut:], values[cut:])
    whole = one.extend(steps, values)
    assert [repr(value) for value in parts] == [repr(value) for value in whole]


def test_smoothing_is_the_weighted_mean_of_what_came_before():
    steps, values = [0.0, 1.0, 4.0, 5.0], [3.0, 1.0, 2.0, 5.0]
    smoothed = Smoothing(2.0).extend(steps, values)
    # Each point weighs what it covers: 1 - exp(-distance to the one before / 2); the first as much as the second.
    weights = [1 - exp(-1 / 2), 1 - exp(-1 / 2), 1 - exp(-3 / 2), 1 - exp(-1 / 2)]
    for i in range(4):
        aged = [weights[j] * exp(-(steps[i] - steps[j]) / 2) for j in range(i + 1)]
        mean = sum(w * v for w, v in zip(aged, values, strict=False)) / sum(aged)
        assert smoothed[i] == pytest.approx(mean)


def test_a_gap_breaks_the_line_where_it_can_be_seen():
    series = Series("loss")
    series.extend(range(6), [1.0, 1.0, nan, nan, 2.0, 2.0])
    points = series.decimate(Axis(0.0, 6.0).edges(6))
    assert [(point.x, point.connected) for point in points] == [(0, False), (1, True), (4, False), (5, True)]


def test_a_gap_narrower_than_a_column_leaves_the_line_whole():
    series = Series("loss")
    series.extend(range(1000), [nan if i % 100 == 50 else float(i % 7) for i in range(1000)])
    points = series.decimate(Axis(0.0, 1000.0).edges(5))
    assert [point.connected for point in points] == [False, *[True] * (len(points) - 1)]


def test_a_step_logged_again_takes_the_series_back_to_it():
    series = Series("loss")
    series.extend(range(200), [1.0] * 200, {"seconds": [i * 0.5 for i in range(200)]})
    series.decimate(Axis(0.0, 300.0).edges(50), time_constant=10)
    series.append(100, 5.0, seconds=0.1)
    assert len(series) == 101
    assert series.bounds() == (0, 100)
    assert series.bounds("seconds") == (0, 49.5), "the clock does not run backwards"
    assert max(point.y for point in series.decimate(Axis(0.0, 300.0).edges(50))) == 5.0
    assert 1.0 < series.latest(10) < 5.0


def test_steps_that_go_back_or_are_no_numbers_inside_one_batch_are_sorted_out():
    series = Series("loss")
    series.extend([0, 1, 2, nan, 1, 2, 3], [10, 11, 12, 13, 21, 22, 23])
    assert [(series.x(i), series.value(i)) for i in range(len(series))] == [(0, 10), (1, 21), (2, 22), (3, 23)]


def test_a_series_without_finite_values_has_no_points_to_draw():
    series = Series("loss")
    assert series.decimate(Axis(0.0, 1.0).edges(4)) == []
    series.append(0, inf)
    assert series.decimate(Axis(0.0, 1.0).edges(4)) == []
    assert isnan(series.latest())


def test_coordinates_are_offered_only_when_every_point_has_them():
    series = Series("loss")
    series.append(0, 1.0, seconds=0.0, tokens=0.0)
    assert series.coordinates == ("step", "seconds", "tokens")
    series.append(1, 1.0, seconds=1.0)
    assert series.coordinates == ("step", "seconds")


def test_the_nearest_point_is_found_and_clear_forgets_all():
    series = Series("loss")
    series.extend([0, 10, 20], [1, 2, 3])
    assert [series.nearest(x) for x in (-5, 4, 5, 6, 99)] == [0, 0, 0, 1, 2]
    series.clear()
    assert len(series) == 0
    assert series.nearest(3) is None
    assert series.bounds() is None


def test_two_threads_may_read_a_smoothed_curve_while_a_third_appends() -> None:
    count, time_constant = 20_000, 30.0
    series, alone = Series("loss"), Series("loss")
    failures: list[Exception] = []
    ended = threading.Event()

    def read() -> None:
        try:
            while not ended.is_set():
                series.latest(time_constant)
                series.decimate([0.0, count / 2, float(count)], STEP, time_constant)
        except Exception as error:
            failures.append(error)

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=read) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for first in range(0, count, 100):
            steps = range(first, first + 100)
            values = [math.sin(step) for step in steps]
            series.extend(steps, values)
            alone.extend(steps, values)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(switching)
    assert not failures, failures
    assert series.latest(time_constant) == alone.latest(time_constant)
    for at in (0, count // 2):
        assert series.value(at, time_constant) == alone.value(at, time_constant)
