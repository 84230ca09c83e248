"""The diagnosis of a run: the rules over what its log holds, brought up to date as the log grows."""

from collections.abc import Callable

from torchtty.engine.contract.diagnosis import generalising, learning
from torchtty.engine.contract.diagnosis.case import Case
from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.families import FAMILIES, family_of
from torchtty.engine.contract.settings.family import GRADIENT_NORM

RULES: tuple[Callable[[Case], Finding | None], ...] = (
    learning.out_of_memory,
    learning.diverges,
    learning.has_no_gradient,
    generalising.game_is_lost,
    learning.learns_too_slowly,
    learning.steps_too_far,
    generalising.overfits,
    learning.has_plateaued,
    learning.is_sure_and_wrong,
    generalising.validates_on_too_little,
)
"""The rules, the most serious first."""


class Diagnosis:
    """Judges a run by its log. To be made before the log is read: from then on it has the trends followed that it needs."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        log.metrics.follow(_followed())

    def findings(self, status: Status) -> tuple[Finding, ...]:
        """Return what is wrong with the run, the most serious first. Raises `UserError` if its settings cannot be read."""
        settings = self._log.settings()
        family = family_of(settings["model"]["kind"])
        metrics = self._log.metrics
        case = Case(status, self._log.facts, settings, family, metrics.trends, metrics.tokens)
        return tuple(finding for rule in RULES if (finding := rule(case)) is not None)


def _followed() -> set[str]:
    """Return the metrics that the rules look at, of whichever family."""
    losses = {metric.name for family in FAMILIES.values() for metric in family.metrics if metric.loss}
    return losses | {GRADIENT_NORM.name}
