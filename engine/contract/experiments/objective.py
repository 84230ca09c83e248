"""What says that one run of a sweep is better than another: the metric by which its family sums up a run, the lower the better."""

import math

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.family import Family


def objective(status: Status, family: Family) -> float | None:
    """Return a run's result: the best of the watched metric, or the latest of what else sums it up; None while there is none."""
    if status.diverged:
        return math.inf
    if family.watched in status.metrics and status.best is not None:
        return status.best
    found = family.summarised(status.metrics)
    return found[0][1] if found else None


def evaluations(run: RunDirectory, family: Family) -> list[tuple[int, float]]:
    """Return (step, value) of the objective's metric, as far as a run has come; empty before the first."""
    log = RunLog(run)
    log.read()
    for name in (family.watched, *(group[0] for group in family.headline)):
        if name and (points := log.metrics.points(name)):
            return [(int(step), float(value)) for step, value in points]
    return []
