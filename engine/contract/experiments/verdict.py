"""Holding the runs of a recipe against its reference figures."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.settings.recipes import Recipe, Reference


class Verdict(StrEnum):
    """What became of a figure."""

    AGREES = "agrees"
    DIFFERS = "differs"
    MISSING = "missing"  # the run came to its end and never measured it
    FAILED = "failed"  # the run did not come to its end
    NOT_HERE = "not here"  # it needs something that this machine lacks, such as a download
    NOT_JUDGED = "not judged"  # what ran was the recipe's fallback, to which the figure does not apply

    @property
    def is_failure(self) -> bool:
        return self in (Verdict.DIFFERS, Verdict.MISSING, Verdict.FAILED)


@dataclass(frozen=True)
class Row:
    """One figure of a recipe, beside ours. Several runs give their median, and `low` and `high` the range."""

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

    @property
    def difference(self) -> float | None:
        return None if self.ours is None or self.reference is None else self.ours - self.reference


def measured(run: RunDirectory, metric: str, step: int | None) -> float | None:
    """Return a metric of a run at a step, or the last one; None if it was not measured there."""
    if metric == "parameters":  # a fact of the model, not of a step
        return run.written_status().parameters
    rows = JsonLinesTail(run.metrics_path).read()
    values = [(row["step"], row[metric]) for row in rows if metric in row and isinstance(row.get("step"), int)]
    if step is not None:
        values = [(at, value) for at, value in values if at == step]
    return float(values[-1][1]) if values else None


def judge(
    recipe: Recipe,
    references: Sequence[Reference],
    runs: Sequence[tuple[Mapping[str, Any], RunDirectory, bool]],
    seconds: float,
) -> list[Row]:
    """Judge every figure of a recipe. `runs` are (configuration, run, whether it finished).

    Where several runs are about one figure, such as those of ten seeds, their median is held against it: a single spike says
    nothing about the recipe.
    """
    if not references:
        finished = all(done for _, _, done in runs)
        verdict = Verdict.AGREES if finished else Verdict.FAILED
        return [Row(recipe.name, "runs to its end", None, None, 0.0, "", None, None, None, len(runs), seconds, verdict)]
    return [_row(recipe, reference, runs, seconds) for reference in references]


def unjudged(recipe: Recipe, references: Sequence[Reference], about: str, count: int, seconds: float) -> list[Row]:
    """Return the rows of a recipe whose fallback ran to its end in `count` runs: what did (`about`), and the figures left open."""
    ran = Row(recipe.name, about, None, None, 0.0, "", None, None, None, count, seconds, Verdict.AGREES)
    return [
        ran,
        *(replace(_row(recipe, reference, (), seconds), verdict=Verdict.NOT_JUDGED) for reference in references),
    ]


def _row(
    recipe: Recipe, reference: Reference, runs: Sequence[tuple[Mapping[str, Any], RunDirectory, bool]], seconds: float
) -> Row:
    chosen = [(run, done) for tree, run, done in runs if reference.is_about(tree)]
    values = [value for run, _ in chosen if (value := measured(run, reference.metric, reference.step)) is not None]
    ours = statistics.median(values) if values else None
    if not chosen or not all(done for _, done in chosen):
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
    )


def _about(reference: Reference) -> str:
    where = ", ".join(f"{path.partition('.')[2]} {value}" for path, value in reference.where.items())
    when = " at the end" if reference.step is None else f" at step {reference.step:,}"
    if reference.metric == "parameters":
        when = ""
    return ", ".join(filter(None, (f"{reference.metric}{when}", where)))
