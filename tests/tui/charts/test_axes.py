"""Axes have nice numbers and hold still."""

import random
from dataclasses import replace
from itertools import pairwise
from math import ulp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchtty.tui.charts.axes import PATIENCE, Axis, AxisLimits, nice_step, seconds_step, ticks
from torchtty.tui.charts.limits import ChartLimits
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.format import count_label, decimal_label, number, seconds_label


@given(st.floats(1e-9, 1e12), st.integers(1, 12))
def test_a_nice_step_divides_into_no_more_parts_than_asked(span, most):
    step = nice_step(span, most)
    assert span / step <= most * (1 + 1e-6)
    assert float(f"{step:.0e}"[0]) in (1, 2, 5)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_lie_on_the_axis_and_have_labels_of_their_own(low, span, most):
    axis = Axis(low, low + span)
    found = ticks(axis, most, decimal_label)
    assert len(found) <= most + 2
    assert all(-1e-3 <= axis.fraction(tick.position) <= 1.001 for tick in found)


def test_labels_read_as_people_write_them():
    assert [tick.label for tick in ticks(Axis(0, 50_000), 5, count_label)] == ["0", "10k", "20k", "30k", "40k", "50k"]
    assert [tick.label for tick in ticks(Axis(0, 3_000), 6, count_label)] == [
        "0",
        "500",
        "1k",
        "1.5k",
        "2k",
        "2.5k",
        "3k",
    ]
    assert [tick.label for tick in ticks(Axis(1.5, 3.5), 4, decimal_label)] == ["1.5", "2.0", "2.5", "3.0", "3.5"]
    assert [tick.label for tick in ticks(Axis(0, 3e-4), 3, decimal_label)] == ["0", "1e-4", "2e-4", "3e-4"]
    assert [tick.label for tick in ticks(Axis(1, 1e4, log=True), 5, count_label)] == ["1", "10", "100", "1k", "10k"]
    assert [tick.label for tick in ticks(Axis(0, 20_000), 4, decimal_label)] == ["0", "5k", "10k", "15k", "20k"]
    below_a_decade = ticks(Axis(0.25, 0.43, log=True), 4, decimal_label)
    assert [tick.label for tick in below_a_decade] == ["0.25", "0.30", "0.35", "0.40"]
    times = ticks(Axis(0, 150), 5, seconds_label, seconds_step)
    assert [tick.label for tick in times] == ["0", "30s", "1m", "1m30", "2m", "2m30"]
    assert [seconds_label(s, 3600) for s in (3600, 5400, 86400, 97200)] == ["1h", "1h30", "1d", "1d3"]
    assert [number(v) for v in (1.8421, 27.314, 3e-4, 0.0, 1_250_000, float("nan"))] == [
        "1.842", "27.31", "3.00e-4", "0.000", "1.25M", "–",
    ]  # fmt: skip


@given(st.floats(1e-12, 1e12), st.floats(1.0001, 1e9), st.integers(1, 10))
def test_a_logarithmic_axis_of_any_reach_can_be_labelled(low, ratio, most):
    axis = Axis(low, low * ratio, log=True)
    assert all(-0.01 <= axis.fraction(tick.position) <= 1.01 for tick in ticks(axis, most, decimal_label))
    assert axis.value(axis.fraction(low * ratio**0.5)) == pytest.approx(low * ratio**0.5)


def test_a_held_range_seldom_moves_under_noise():
    rng, held, axes = random.Random(0), AxisLimits(), []
    low, high = 9.0, 0.0
    for i in range(2000):
        value = 1.5 + 2 * 0.998**i + rng.gauss(0, 0.05)
        low, high = min(low, value), max(high, value)
        axes.append(held.include(low, high))
    changes = sum(one != other for one, other in pairwise(axes[10:]))
    assert changes <= 10, "from 3.5 down to 1.4 the range may be widened a few times, not with every point"


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e9)), min_size=1, max_size=30))
def test_a_held_range_always_shows_everything(spans):
    held = AxisLimits()
    for low, span in spans:
        high = low + span
        axis = held.include(low, high)
        # A hundred millionth of the axis outside cannot be seen, and where its ends are huge, floats lie no closer.
        unseen = max(1e-8, 4 * max(ulp(low), ulp(high)) / (axis.high - axis.low))
        assert axis.fraction(low) >= -unseen
        assert axis.fraction(high) <= 1 + unseen


@given(st.lists(st.tuples(st.floats(1e-9, 1e9), st.floats(1, 1e6)), min_size=1, max_size=30))
def test_a_held_logarithmic_range_always_shows_everything(spans):
    held = AxisLimits(log=True)
    for low, ratio in spans:
        axis = held.include(low, low * ratio)
        assert axis.low <= low * (1 + 1e-9)
        assert low * ratio <= axis.high * (1 + 1e-9)


def test_a_held_range_shrinks_only_when_most_of_it_is_empty():
    held = AxisLimits()
    wide = held.include(0, 10)
    assert held.include(0, 5) == wide
    assert held.include(0, 3).high < 5


def test_an_open_x_axis_grows_in_few_steps():
    limits = ChartLimits()

    def end_of_axis(last_step: float) -> float | None:
        series = Series("loss")
        series.append(last_step, 1.0)
        axis = limits.x_axis(ChartSpec(40, 10, series=(series,)))
        return axis.high if axis else None

    assert [end_of_axis(x) for x in (0, 1, 3, 80, 99, 101, 400, 50)] == [1, 1, 3.2, 80, 100, 125, 400, 400]


def test_an_axis_fits_what_is_there_once_that_holds_still():
    held = AxisLimits()
    held.include(2.2, 3.4)
    assert held.include(2.1, 3.4).low < 1.8, "more is expected below"
    for _ in range(PATIENCE + 2):
        axis = held.include(2.1, 3.4)
    assert (axis.low, axis.high) == (pytest.approx(2.1), pytest.approx(3.4))
    assert held.include(2.19, 3.4, closely=True).low == pytest.approx(2.1)


def test_the_x_axis_ends_at_the_data_once_a_run_is_over():
    series = Series("loss")
    series.extend(range(1, 28), range(1, 28), {"seconds": [float(i) for i in range(1, 28)]})
    limits = ChartLimits()
    live = ChartSpec(40, 10, series=(series,), coordinate="seconds", x_max=50.0)
    ends = [limits.x_axis(spec).high for spec in (live, replace(live, is_over=True), replace(live, coordinate="step"))]
    assert ends == [32, 27, 50]
    logged = limits.x_axis(replace(live, log_x=True, is_over=True))
    assert (logged.low, logged.high, logged.log) == (1, 27, True)
