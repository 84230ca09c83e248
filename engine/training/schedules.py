"""How the learning rate moves with the step."""

import math

from torchtty.engine.contract.settings.optimizer import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    OneCycleSchedule,
    Schedule,
    StepSchedule,
)


def rate_factor(schedule: Schedule, step: int, max_steps: int) -> float:
    """Return what the learning rate is multiplied by at `step` (0 is the first), given a `schedule` section."""
    match schedule:
        case ConstantSchedule():
            return 1.0
        case StepSchedule():
            return 1.0 if step < schedule.at * max_steps else schedule.factor
        case OneCycleSchedule():
            return _one_cycle(schedule, step, max_steps)
        case CosineSchedule() | LinearSchedule():
            if step < schedule.warmup_steps:
                return (step + 1) / (schedule.warmup_steps + 1)
            span = max(1, max_steps - schedule.warmup_steps)
            progress = min(1.0, (step - schedule.warmup_steps) / span)
            if isinstance(schedule, LinearSchedule):
                return 1 + (schedule.final - 1) * progress
            return _cosine(1.0, schedule.final, progress)


def _one_cycle(schedule: OneCycleSchedule, step: int, max_steps: int) -> float:
    """Half a cosine up to the peak and half a cosine down (Smith & Topin, 2018; the shape of torch's OneCycleLR)."""
    peak = max(1e-9, schedule.peak * max_steps - 1)
    if step <= peak:
        return _cosine(schedule.start, 1.0, step / peak)
    return _cosine(1.0, schedule.final, min(1.0, (step - peak) / max(1e-9, max_steps - 1 - peak)))


def _cosine(first: float, last: float, progress: float) -> float:
    """Go from one value to another along half a cosine, `progress` from 0 to 1."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))
