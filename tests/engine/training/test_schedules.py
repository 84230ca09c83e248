"""Schedules rise and fall where their settings say."""

from itertools import pairwise
from typing import Any

import pytest
import torch

from torchtty.engine.contract.settings.optimizer import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    OneCycleSchedule,
    StepSchedule,
)
from torchtty.engine.training.neural import rate_factor

STEPS = 200


def curve(schedule: Any, steps: int = STEPS) -> list[float]:
    return [rate_factor(schedule, step, steps) for step in range(steps)]


def test_constant_stays() -> None:
    assert set(curve(ConstantSchedule())) == {1.0}


def test_step_drops_once_where_it_is_told_to() -> None:
    factors = curve(StepSchedule(at=0.75, factor=0.1))
    assert factors == [1.0] * 150 + [0.1] * 50


@pytest.mark.parametrize(
    "schedule", [CosineSchedule(warmup_steps=20, final=0.1), LinearSchedule(warmup_steps=20, final=0.1)]
)
def test_warm_up_rises_in_equal_steps_and_the_rest_falls_to_the_final_share(schedule: Any) -> None:
    factors = curve(schedule)
    assert factors[:20] == pytest.approx([(step + 1) / 21 for step in range(20)])
    assert factors[20] == 1.0
    assert all(later < earlier for earlier, later in pairwise(factors[20:]))
    assert rate_factor(schedule, STEPS, STEPS) == pytest.approx(0.1)
    assert rate_factor(schedule, 10 * STEPS, STEPS) == pytest.approx(0.1), "max_steps may be raised while it runs"


def test_half_way_a_cosine_and_a_line_meet() -> None:
    middle = 20 + (STEPS - 20) // 2
    for schedule in (CosineSchedule(warmup_steps=20, final=0.2), LinearSchedule(warmup_steps=20, final=0.2)):
        assert rate_factor(schedule, middle, STEPS) == pytest.approx(0.6)
    assert rate_factor(CosineSchedule(warmup_steps=20), 60, STEPS) > rate_factor(
        LinearSchedule(warmup_steps=20), 60, STEPS
    )


def test_one_cycle_has_the_shape_of_torchs() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, STEPS, pct_start=0.3, div_factor=25, final_div_factor=10_000
    )
    for step, ours in enumerate(curve(OneCycleSchedule(peak=0.3, start=1 / 25, final=1 / 25 / 10_000))):
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9, abs=1e-12), step
        optimizer.step()
        if step < STEPS - 1:
            theirs.step()


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize(
    "schedule", [ConstantSchedule(), StepSchedule(), CosineSchedule(), LinearSchedule(), OneCycleSchedule()]
)
def test_a_run_of_a_step_or_three_has_a_rate_too(schedule: Any, steps: int) -> None:
    assert all(0 < factor <= 1 for factor in curve(schedule, steps)) or schedule.kind == "one-cycle"
    assert all(0 <= factor <= 1 for factor in curve(schedule, steps))
