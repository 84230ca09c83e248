"""Spread, bootstrap and Welch's test, against closed forms, enumeration and numerical integration."""

import math
from itertools import product
from statistics import fmean, stdev

import pytest

from torchtty.engine.contract.experiments.statistics import (
    Spread,
    bootstrap_interval,
    difference,
    in_a_sentence,
    two_sided_p,
)


def by_integration(t: float, freedom: float) -> float:
    """Integrate Student's density from 0 to t with Simpson's rule; what is left on both sides is p."""
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    pieces = 20_000
    width = t / pieces
    heights = [(1 + (at * width) ** 2 / freedom) ** (-(freedom + 1) / 2) for at in range(pieces + 1)]
    area = heights[0] + heights[-1] + 4 * sum(heights[1:-1:2]) + 2 * sum(heights[2:-1:2])
    return 1 - 2 * scale * area * width / 3


@pytest.mark.parametrize("t", [0.1, 1.0, 2.5, 7.0])
def test_student_has_its_closed_forms(t: float) -> None:
    assert two_sided_p(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-10)
    assert two_sided_p(-t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-9)


@pytest.mark.parametrize("freedom", [1.3, 4.7, 17.9, 120.0])
@pytest.mark.parametrize("t", [0.2, 1.9, 4.0])
def test_student_is_the_integral_of_its_density(t: float, freedom: float) -> None:
    assert two_sided_p(t, freedom) == pytest.approx(by_integration(t, freedom), abs=1e-9)


def test_equal_sizes_and_variances_give_the_tables_of_student() -> None:
    one, other = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    found = difference(one, other)
    error = math.sqrt(2 * 3.5 / 6)  # both have the variance 3.5
    assert found.mean == -1.0
    assert found.high - found.mean == pytest.approx(2.2281 * error, rel=1e-4)  # t(0.975) of 10 degrees of freedom
    assert not found.exceeds_noise


def test_each_setting_has_noise_of_its_own() -> None:
    quiet, loud = [1.0, 1.1, 0.9, 1.0], [3.0, 1.0, 5.0, 2.0, 4.0]
    a, b = stdev(quiet) ** 2 / 4, stdev(loud) ** 2 / 5
    freedom = (a + b) ** 2 / (a**2 / 3 + b**2 / 4)  # Welch and Satterthwaite
    found = difference(loud, quiet)
    assert found.p == pytest.approx(by_integration(2.0 / math.sqrt(a + b), freedom), abs=1e-9)
    assert found.low < 2.0 < found.high
    assert found.exceeds_noise == (found.low > 0)


def test_single_runs_do_not_tell_and_say_so() -> None:
    found = difference([1.0], [2.0, 3.0])
    assert not found.is_known
    assert not found.exceeds_noise
    assert "train several seeds" in in_a_sentence("a", "b", found, str)
    waits = in_a_sentence("a", "b", found, str, more_to_come=True)
    assert "so far" in waits
    assert "train several seeds" not in waits


def test_without_any_noise_equal_is_equal_and_other_is_other() -> None:
    assert not difference([1.0, 1.0], [1.0, 1.0]).exceeds_noise
    assert difference([1.0, 1.0], [2.0, 2.0]).exceeds_noise


def test_what_is_equal_as_it_is_shown_is_neither_higher_nor_lower() -> None:
    same = difference([2.00001, 2.00002], [2.00001, 2.00001])
    assert in_a_sentence("a", "b", same, "{:.2f}".format) == "a and b are equal, as far as their digits tell."
    soon = in_a_sentence("a", "b", same, "{:.2f}".format, more_to_come=True)
    assert soon == "a and b are equal so far, as far as their digits tell."


def test_a_sentence_names_direction_size_and_evidence() -> None:
    said = in_a_sentence("a", "b", difference([1.0, 1.1, 0.9], [3.0, 3.1, 2.9]), "{:.2f}".format)
    assert said.startswith("a is lower than b by 2.00, more than the noise of the seeds (95 % interval 1.77 to 2.23")
    said = in_a_sentence("a", "b", difference([1.2, 2.0, 0.4], [1.0, 1.8, 0.2]), "{:.2f}".format)
    assert said.startswith("a is higher than b by 0.20, within the noise of the seeds (95 % interval -1.61 to 2.01")


def test_the_bootstrap_agrees_with_every_resample_there_is() -> None:
    values = (0.2, 0.5, 0.9, 1.4, 3.0)
    means = sorted(map(fmean, product(values, repeat=5)))  # 3,125 of them
    found = bootstrap_interval(values)
    assert found is not None
    assert found == bootstrap_interval(values)
    assert found[0] == pytest.approx(means[round(0.025 * 3124)], abs=0.06)  # 2,000 of them were drawn
    assert found[1] == pytest.approx(means[round(0.975 * 3124)], abs=0.06)


def test_too_few_values_have_no_interval() -> None:
    assert bootstrap_interval((1.0, 2.0, 3.0, 4.0)) is None


def test_a_spread_counts_runs_without_a_value() -> None:
    spread = Spread((1.0, 2.0, 4.5), diverged=2, failed=1)
    assert (spread.n, spread.runs, spread.mean, spread.low, spread.high) == (3, 6, 2.5, 1.0, 4.5)
    assert spread.sd == pytest.approx(math.sqrt((1.5**2 + 0.5**2 + 2.0**2) / 2))
    assert math.isnan(Spread((1.0,)).sd)
