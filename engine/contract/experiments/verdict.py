"""Comparing the runs of a recipe with its reference figures."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.recipes import Recipe, Reference


class Verdict(StrEnum):
    """How a measured value compares with a figure."""

    AGREES = "agrees"
    DIFFERS = "differs"
    MISSING = "missing"  # the run finished and never measured it
    FAILED = "failed"  # the run did not finish
    NOT_HERE = "not here"  # it needs something that this machine lacks, such as a download
    NOT_JUDGED = "not judged"  # what ran was the recipe's fallback, to which the figure does not apply

    @property
    def is_failure(self) -> bool:
        return self in (Verdict.DIFFERS, Verdict.MISSING, Verdict.FAILED)


@dataclass(frozen=True)
class Row:
    """One figure of a recipe, beside ours. Several runs give their median, `low` and `high` the range, and `mean` and `sd`."""

    recipe: str
    about: str  # "val_loss at the end", "train_loss at step 5, n_layer 2"
    reference: float | None
    at_most: float | None
    spread: float
    source: str
    ours: float | None
    low: float | None
    high: float | None
    runs: int
    seconds: float
    verdict: Verdict
    mean: float | None = None
    sd: float | None = None  # of several runs

    @property
    def difference(self) -> float | None:
        return None if self.ours is None or self.reference is None else self.ours - self.reference


class TrainedRun:
    """A run that is over, with what it has written and its settings at the start."""

    def __init__(self, run: RunDirectory, tree: Tree) -> None:
        self.tree, self.status = tree, run.status()
        self._log = RunLog(run)
        self._log.read()

    @property
    def is_finished(self) -> bool:
        return self.status.state is RunState.FINISHED

    def measured(self, metric: str, step: int | None) -> float | None:
        """Return a metric at a step, or its last value; None if it was not measured there."""
        if metric == "parameters":  # a fact of the model, not of a step
            return self.status.parameters
        values = [value for at, value in self._log.metrics.points(metric) if step is None or at == step]
        return values[-1] if values else None


def judge(recipe: Recipe, references: Sequence[Reference], runs: Sequence[TrainedRun], seconds: float) -> list[Row]:
    """Compare every figure of a recipe with its runs.

    Where several runs are about one figure, such as those of ten seeds, their median is compared with it: a single spike says
    nothing about the recipe.
    """
    if not references:
        finished = all(run.is_finished for run in runs)
        return [_without_figure(recipe, "runs to its end", len(runs), seconds, finished=finished)]
    return [_row(recipe, reference, runs, seconds) for reference in references]


def unjudged(recipe: Recipe, references: Sequence[Reference], about: str, count: int, seconds: float) -> list[Row]:
    """Return the rows of a recipe whose fallback finished in `count` runs: what finished (`about`), and the open figures."""
    open_rows = [replace(_row(recipe, entry, (), seconds), verdict=Verdict.NOT_JUDGED) for entry in references]
    return [_without_figure(recipe, about, count, seconds, finished=True), *open_rows]


def _without_figure(recipe: Recipe, about: str, count: int, seconds: float, *, finished: bool) -> Row:
    verdict = Verdict.AGREES if finished else Verdict.FAILED
    return Row(recipe.name, about, None, None, 0.0, "", None, None, None, count, seconds, verdict)


def _row(recipe: Recipe, reference: Reference, runs: Sequence[TrainedRun], seconds: float) -> Row:
    chosen = [run for run in runs if reference.is_about(run.tree)]
    values = [value for run in chosen if (value := run.measured(reference.metric, reference.step)) is not None]
    ours = statistics.median(values) if values else None
    if not chosen or not all(run.is_finished for run in chosen):
        verdict = Verdict.FAILED
    elif ours is None or not math.isfinite(ours):
        verdict = Verdict.MISSING if ours is None else Verdict.DIFFERS
    else:
        verdict = Verdict.AGREES if reference.agrees(ours) else Verdict.DIFFERS
    return Row(
        recipe=recipe.name,
        about=_about(reference),
        reference=reference.value,
        at_most=reference.at_most,
        spread=reference.spread,
        source=reference.source,
        ours=ours,
        low=min(values, default=None),
        high=max(values, default=None),
        runs=len(chosen),
        seconds=seconds,
        verdict=verdict,
        mean=statistics.fmean(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else None,
    )


def _about(reference: Reference) -> str:
    where = ", ".join(f"{path.partition('.')[2]} {value}" for path, value in reference.where.items())
    when = " at the end" if reference.step is None else f" at step {reference.step:,}"
    if reference.metric == "parameters":
        when = ""
    return ", ".join(filter(None, (f"{reference.metric}{when}", where)))
