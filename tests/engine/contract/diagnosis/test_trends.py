"""The trend of a metric: exact sums, however long the run and however its points come."""

import random
from itertools import pairwise
from math import inf, nan

import pytest

from torchtty.engine.contract.run.metrics import MetricColumns
from torchtty.engine.contract.run.trends import STRETCHES, Trend


@pytest.mark.parametrize("count", [1, 7, STRETCHES, STRETCHES + 1, 5000, 20_000])
def test_the_stretches_hold_every_point_once_whatever_the_portions(count: int) -> None:
    draw = random.Random(count)
    steps, values = [10 * i for i in range(count)], [draw.gauss(0, 1) for _ in range(count)]
    trend, at = Trend(), 0
    while at < count:
        size = draw.randint(1, 1000)
        trend.extend(steps[at : at + size], values[at : at + size])
        at += size
    parts = trend.stretches
    assert len(parts) <= STRETCHES
    assert trend.count == count
    assert sum(part.total for part in parts) == pytest.approx(sum(values), abs=1e-9)
    assert (min(part.low for part in parts), max(part.high for part in parts)) == (min(values), max(values))
    assert (parts[0].first, parts[-1].last, trend.start) == (0, steps[-1], (0, values[0]))
    assert all(one.last < other.first for one, other in pairwise(parts))
    whole = trend.between(0)
    assert (whole.size, whole.mean) == (count, pytest.approx(sum(values) / count, abs=1e-9))
    assert trend.recent(count).size == count


def test_the_lowest_and_the_latest_points() -> None:
    trend = Trend()
    values = [5.0, 4.0, 1.0, 1.0, 3.0, 4.0, 4.0]
    trend.extend(range(7), values)
    lowest, recent = trend.lowest(2), trend.recent(3)
    assert (lowest.first, lowest.last, lowest.mean) == (2, 3, 1.0)
    assert (recent.first, recent.mean) == (4, pytest.approx(11 / 3))
    assert trend.lowest(8) is None
    assert trend.between(100) is None


def test_what_is_no_number_is_left_out_and_its_step_known() -> None:
    trend = Trend()
    trend.extend([1, 2, 3], [2.0, nan, inf])
    assert (trend.broken, trend.count, trend.last) == (2, 1, 1)
    trend.extend([2, 3], [1.5, 1.0])  # the run went on from step 1
    assert (trend.broken, trend.count, trend.last) == (None, 3, 3)


def test_steps_that_come_again_take_the_place_of_what_was_there() -> None:
    trend = Trend()
    trend.extend([1, 2, 3, 4, 3, 4, 5], [9, 9, 9, 9, 1, 1, 1])
    assert [(part.first, part.mean) for part in trend.stretches] == [(1, 9), (2, 9), (3, 1), (4, 1), (5, 1)]


def test_columns_keep_the_trend_of_what_is_followed_whoever_takes_the_points() -> None:
    columns = MetricColumns()
    columns.follow(["train_loss"])
    columns.take([{"step": 1, "time": 0.1, "tokens": 64, "train_loss": 3.0, "grad_norm": 1.0}])
    columns.pop("train_loss")
    columns.take(
        [
            {"step": 2, "time": 0.2, "tokens": 128, "train_loss": 2.0},
            {"step": 2, "time": 0.2, "tokens": 128, "val_loss": 4.0},
        ]
    )
    assert [part.mean for part in columns.trends["train_loss"].stretches] == [3.0, 2.0]
    assert columns.trends.keys() == {"train_loss"}
    assert columns.tokens == 128
    columns.clear()
    assert (columns.trends["train_loss"].count, columns.tokens) == (0, 0)
