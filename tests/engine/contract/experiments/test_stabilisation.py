"""When a curve has stabilised: exact for curves whose answer can be worked out by hand."""

import math
import random
from statistics import median

import pytest

from torchtty.engine.contract.experiments.stabilisation import smoothed, stabilisation


def curve(count: int, value) -> list[tuple[float, float]]:
    return [(step, value(step)) for step in range(count)]


def test_a_step_down_has_stabilised_where_it_goes_down() -> None:
    found = stabilisation(curve(30, lambda step: 1.0 if step < 10 else 0.0))
    assert found is not None
    assert (found.step, found.end, found.tolerance) == (10, 0.0, pytest.approx(0.05))


def test_a_flat_curve_was_stable_from_the_start() -> None:
    found = stabilisation([(step, 0.1) for step in range(50, 100)])
    assert found is not None
    assert found.step == 50


def test_a_decay_has_stabilised_where_it_is_within_a_twentieth_of_its_fall() -> None:
    found = stabilisation(curve(39, lambda step: math.exp(-step / 4)))  # below 40 points nothing is smoothed
    assert found is not None
    assert found.step == 12  # exp(-11 / 4) = 0.064, exp(-12 / 4) = 0.0498 above an end of 0.0001


@pytest.mark.parametrize("count", [10, 100, 2000])
def test_a_straight_line_never_stabilises(count: int) -> None:
    found = stabilisation(curve(count, lambda step: -float(step)))
    assert found is not None
    assert found.step is None


def test_a_late_jump_undoes_it_and_a_noisy_end_allows_for_its_noise() -> None:
    jumped = stabilisation(curve(30, lambda step: 1.0 if step < 10 or step == 24 else 0.0))
    assert jumped is not None
    assert jumped.step is None
    draw = random.Random(1)
    noisy = stabilisation(curve(1000, lambda step: math.exp(-step / 20) + draw.gauss(0, 0.2)))
    assert noisy is not None
    assert noisy.step is not None
    assert 10 < noisy.step < 60  # without noise 60; the tolerance is 0.4 of a fall of 1
    assert noisy.tolerance == pytest.approx(0.4, rel=0.2)


def test_too_few_points_say_nothing_and_broken_ones_never_stabilise() -> None:
    assert stabilisation(curve(9, float)) is None
    broken = stabilisation(curve(30, lambda step: math.nan if step == 20 else 1.0))
    assert broken is not None
    assert broken.step is None


def test_smoothing_takes_as_many_neighbours_to_both_sides() -> None:
    assert smoothed([0.0, 3.0, 6.0, 1.0], 1) == [0.0, 3.0, 3.0, 1.0]
    draw = random.Random(2)
    values = [draw.choice([0.0, 1.0, 2.0, draw.random()]) for _ in range(60)]
    reaches = [min(7, at, 59 - at) for at in range(60)]
    assert smoothed(values, 7) == [median(values[at - reach : at + reach + 1]) for at, reach in enumerate(reaches)]
    assert smoothed(values, 0) == values
