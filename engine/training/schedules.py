"""How the learning rate moves with the step."""

import math
from typing import Any


def rate_factor(schedule: Any, step: int, max_steps: int) -> float:
    """Return what the learning rate is multiplied by at `step` (0 is the first), given a `schedule` section."""
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "step":
        return 1.0 if step < schedule.at * max_steps else float(schedule.factor)
    assert schedule.kind == "cosine", schedule.kind
    if step < schedule.warmup_steps:
        return float((step + 1) / (schedule.warmup_steps + 1))
    span = max(1, max_steps - schedule.warmup_steps)
    progress = min(1.0, (step - schedule.warmup_steps) / span)
    return float(schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * progress)))
