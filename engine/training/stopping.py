"""The rules by which a run ends before its last step: its seconds, evaluations without improvement, and a target."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.run.stopping import MAX_SECONDS, PATIENCE, TARGET_LOSS
from torchtty.engine.contract.settings.family import Configuration, Family
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.training import EvaluatedTraining, TrainingBase


@dataclass(frozen=True)
class Ending:
    """Why a run ends before its last step: the setting of the rule, and a sentence."""

    rule: str
    reason: str


class ExponentialMean:
    """An exponential mean of values x_t with a weight b of the past, free of the bias towards its start at 0.

    m_t = b m_{t-1} + (1 - b) x_t and w_t = b w_{t-1} + (1 - b), both from 0; the mean is m_t / w_t. With a constant b,
    w_t = 1 - b^t, which is the correction of Kingma & Ba (Adam, 2015, section 3); as a sum it holds when b is changed, too.
    """

    def __init__(self, total: float = 0.0, weight: float = 0.0) -> None:
        self.total, self.weight = total, weight

    def take(self, value: float, past: float) -> float:
        """Take a value in with a weight `past` of what was; return the mean."""
        self.total = past * self.total + (1 - past) * value
        self.weight = past * self.weight + (1 - past)
        return self.total / self.weight


class StoppingRules:
    """Decides whether a run ends, from its seconds, its evaluations and, for some targets, the logged points of its curve.

    `ending` is None while it goes on. What the rules remember is part of a checkpoint, so that a resumed run ends at the very
    step at which it would have.
    """

    def __init__(self, configuration: Configuration, family: Family) -> None:
        self._family = family
        self.ending: Ending | None = None
        self._mean = ExponentialMean()
        self._best: tuple[int, float] | None = None  # step and mean of the best evaluation
        self._waited = 0  # evaluations since then
        self._patience: int | None = None
        self.configure(configuration)

    def configure(self, configuration: Configuration) -> None:
        """Take over live settings; patience that is switched on begins to count then."""
        training, before = configuration.sections()["training"], self._patience
        self.max_seconds = training.max_seconds if isinstance(training, TrainingBase) else None
        evaluated = training if isinstance(training, EvaluatedTraining) else None
        self._patience = evaluated.patience if evaluated else None
        self._min_delta = evaluated.min_delta if evaluated else 0.0
        self._smoothing = evaluated.patience_smoothing if evaluated else 0.0
        self._target_loss = evaluated.target_loss if evaluated else None
        self.target = (
            (evaluated.target or self._family.watched) if evaluated and self._target_loss is not None else None
        )
        if before is None and self._patience is not None:
            self._waited = 0

    def take_seconds(self, seconds: float) -> None:
        """Look at how long training has taken."""
        if self.max_seconds is not None and seconds >= self.max_seconds:
            limit = f"max_seconds is {show(self.max_seconds)}"
            self.ending = Ending(MAX_SECONDS, f"Stopped after {seconds:.1f} s of training: {limit}.")

    def take_logged(self, step: int, row: Mapping[str, float]) -> None:
        """Look at a point of the curve, (metric -> value), for a target that is measured at every step."""
        value = row.get(self.target or "")
        if value is not None and self._target_loss is not None and value <= self._target_loss:
            reached = f"{self.target} came to {value:.5g}, and target_loss is {show(self._target_loss)}"
            self.ending = Ending(TARGET_LOSS, f"Stopped at its target: {reached} (step {step:,}).")

    def take_evaluation(self, step: int, losses: Mapping[str, float]) -> None:
        """Look at an evaluation, (metric -> value)."""
        watched = self._family.watched or ""
        if (value := losses.get(watched)) is not None:
            self._wait_for_improvement(step, watched, value)
        self.take_logged(step, losses)

    def _wait_for_improvement(self, step: int, name: str, value: float) -> None:
        mean = self._mean.take(value, self._smoothing) if math.isfinite(value) else math.inf
        if self._best is None or mean < self._best[1] - self._min_delta:
            self._best, self._waited = (step, mean), 0
            return
        self._waited += 1
        if self._patience is None or self._waited < self._patience:
            return
        evaluations = f"{self._waited:,} evaluation{'s' * (self._waited != 1)}"
        by = f" by {show(self._min_delta)}" if self._min_delta else ""
        smoothed = "the smoothed " if self._smoothing else ""
        at, best = self._best
        what = f"without improvement of {smoothed}{name}{by}; best {best:.4g} at step {at:,}"
        self.ending = Ending(PATIENCE, f"Stopped after {evaluations} {what}.")

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what an exact continuation needs, of types `weights_only` loads."""
        return {
            "mean": [self._mean.total, self._mean.weight],
            "best": list(self._best) if self._best else None,
            "waited": self._waited,
        }

    def load_state(self, state: Mapping[str, Any] | None) -> None:
        """Take over what `state` returned; a checkpoint of an earlier version has none, and counting begins anew."""
        if state is None:
            return
        self._mean = ExponentialMean(*state["mean"])
        self._best = (int(state["best"][0]), float(state["best"][1])) if state["best"] else None
        self._waited = int(state["waited"])
