"""Training the runs of recipes one after the other, each recipe in one worker, the next worker warming up meanwhile."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchtty.engine.contract.client.offline_fallback import in_brief
from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.experiments.verdict import Row, TrainedRun, Verdict, judge, unjudged
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.configuration import parse, with_value
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.recipes import Recipe, Reference, recipe_named


@dataclass(frozen=True)
class Plan:
    """Runs that are trained one after the other, the recipe whose runs they are, and the figures they are compared with.

    `about` says what is shown if they finish and there is no figure to compare.
    """

    recipe: Recipe
    trees: tuple[Tree, ...]
    references: tuple[Reference, ...]
    about: str = "runs to its end"


def plan_for(recipe: Recipe, *, quick: bool) -> Plan:
    """Return the runs of a recipe, one or one a combination of its grid's values, in full or in the recipe's short form."""
    references = recipe.quick.references if quick and recipe.quick else recipe.references
    return Plan(recipe, recipe.runs(quick), references)


def fallback_plan(recipe: Recipe, *, quick: bool) -> Plan | None:
    """Return the runs of a recipe's offline fallback, to which its figures do not apply; None if it names none."""
    fallback = recipe.fallback
    if fallback is None:
        return None
    if fallback.recipe is not None:
        other = recipe_named(fallback.recipe)
        return Plan(other, other.runs(quick), (), f"{other.name} runs to its end")
    trees = tuple(with_value(tree, "data.dataset", fallback.dataset) for tree in recipe.runs(quick))
    return Plan(recipe, trees, (), f"runs to its end on {fallback.dataset}")


LOOK_EVERY = 0.1  # seconds
DIED = "Its worker ended before it could say why; worker.log in its folder may."


class Interrupted(Exception):
    """The person pressed ctrl+c; the run at work was stopped with a checkpoint."""


@dataclass(frozen=True)
class Reproduction:
    """What came of one recipe."""

    recipe: Recipe
    rows: tuple[Row, ...]
    note: str  # why it failed, or what ran in its place and why


class Runner:
    """Reproduces recipes into a folder of their own."""

    def __init__(self, folder: Path, *, quick: bool, show: Callable[[Recipe, int, int, Status], None]) -> None:
        self.folder, self.quick, self._show = folder, quick, show
        self._next: WarmWorker | None = None

    def reproduce(self, recipes: Sequence[Recipe], done: Callable[[Reproduction], None]) -> None:
        """Run recipes and report each as it is done; raises `Interrupted`."""
        try:
            for number, recipe in enumerate(recipes):
                done(self._one(recipe, more=number + 1 < len(recipes)))
        finally:
            if self._next is not None:
                self._next.close()

    def _one(self, recipe: Recipe, more: bool) -> Reproduction:
        began = time.monotonic()
        plan, fallback = plan_for(recipe, quick=self.quick), fallback_plan(recipe, quick=self.quick)
        runs = self._train(plan, more)
        note = _first_failure(runs)
        if fallback is not None and any(run.status.unreachable for run in runs):
            instead = self._train(fallback, more)
            reason, note = note, _first_failure(instead)
            if not note:
                seconds = time.monotonic() - began
                rows = unjudged(recipe, plan.references, fallback.about, len(instead), seconds)
                name = recipe.fallback.name if recipe.fallback else ""
                return Reproduction(recipe, tuple(rows), f"{name} ran instead, since {in_brief(reason)}")
            runs = instead
        rows = judge(recipe, plan.references, runs, time.monotonic() - began)
        if any(run.status.unreachable for run in runs):
            rows = [replace(rows[0], verdict=Verdict.NOT_HERE, about="needs a download")]
        return Reproduction(recipe, tuple(rows), note)

    def _train(self, plan: Plan, more: bool) -> list[TrainedRun]:
        runs = [create(parse(tree), root=self.folder, recipe=plan.recipe.name) for tree in plan.trees]
        worker, self._next = self._next or WarmWorker(), None
        if not worker.is_alive:
            worker.close()
            worker = WarmWorker()
        worker.hand_over_series(runs)
        if more:
            self._next = WarmWorker()
        try:
            for number, run in enumerate(runs, 1):
                self._follow(plan.recipe, run, number, len(runs), worker)
        except KeyboardInterrupt:
            worker.process.send_signal(signal.SIGTERM)
            worker.process.wait()
            raise Interrupted from None
        worker.process.wait()
        return [TrainedRun(run, tree) for run, tree in zip(runs, plan.trees, strict=True)]

    def _follow(self, recipe: Recipe, run: RunDirectory, number: int, count: int, worker: WarmWorker) -> None:
        while True:
            gone = not worker.is_alive
            status = run.written_status()
            self._show(recipe, number, count, status)
            if gone or not status.state.is_live:
                return
            time.sleep(LOOK_EVERY)


def _first_failure(runs: Sequence[TrainedRun]) -> str:
    """Say why the first of the runs that did not finish did not; nothing if all did."""
    return next((run.status.message or DIED for run in runs if not run.is_finished), "")


def as_json(reproduction: Reproduction) -> dict[str, Any]:
    """Return a reproduction as JSON values."""
    rows = [vars(row) | {"verdict": row.verdict.value, "difference": row.difference} for row in reproduction.rows]
    recipe = reproduction.recipe
    return {"recipe": recipe.name, "title": recipe.title, "note": reproduction.note, "rows": rows}
