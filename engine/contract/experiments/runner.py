"""Training the runs of recipes one after the other, each recipe in one worker, the next worker warming up meanwhile."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchtty.engine.contract.client.offline_fallback import in_brief
from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.experiments.verdict import Row, Verdict, judge, unjudged
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, with_value
from torchtty.engine.contract.settings.fallbacks import Fallback
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.recipes import Recipe, recipe_named

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

    def __init__(self, folder: Path, *, quick: bool, show: Callable[[str, int, int, Status], None]) -> None:
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
        references = recipe.quick.references if self.quick and recipe.quick else recipe.references
        began = time.monotonic()
        runs = self._train(recipe, recipe.runs(self.quick), more)
        note = _first_failure(runs)
        if recipe.fallback is not None and any(status.unreachable for _, _, status in runs):
            instead = self._train(*self._fallback_of(recipe, recipe.fallback), more)
            reason, note = note, _first_failure(instead)
            if not note:
                other = recipe.fallback.recipe
                about = f"{other} runs to its end" if other else f"runs to its end on {recipe.fallback.dataset}"
                rows = unjudged(recipe, references, about, len(instead), time.monotonic() - began)
                return Reproduction(
                    recipe, tuple(rows), f"{recipe.fallback.name} ran instead, since {in_brief(reason)}"
                )
            runs = instead
        finished = [(tree, run, status.state is RunState.FINISHED) for tree, run, status in runs]
        rows = judge(recipe, references, finished, time.monotonic() - began)
        if any(status.unreachable for _, _, status in runs):
            rows = [replace(rows[0], verdict=Verdict.NOT_HERE, about="needs a download")]
        return Reproduction(recipe, tuple(rows), note)

    def _fallback_of(self, recipe: Recipe, fallback: Fallback) -> tuple[Recipe, Sequence[Tree]]:
        """Return the runs of a recipe's fallback, and whose they are."""
        if fallback.recipe is not None:
            other = recipe_named(fallback.recipe)
            return other, other.runs(self.quick)
        return recipe, [with_value(tree, "data.dataset", fallback.dataset) for tree in recipe.runs(self.quick)]

    def _train(self, recipe: Recipe, trees: Sequence[Tree], more: bool) -> list[tuple[Tree, RunDirectory, Status]]:
        runs = [create(parse(tree), root=self.folder, recipe=recipe.name) for tree in trees]
        worker, self._next = self._next or WarmWorker(), None
        if not worker.is_alive:
            worker.close()
            worker = WarmWorker()
        worker.hand_over_series(runs)
        if more:
            self._next = WarmWorker()
        try:
            for number, run in enumerate(runs, 1):
                self._follow(recipe, run, number, len(runs), worker)
        except KeyboardInterrupt:
            worker.process.send_signal(signal.SIGTERM)
            worker.process.wait()
            raise Interrupted from None
        worker.process.wait()
        return [(tree, run, run.status()) for tree, run in zip(trees, runs, strict=True)]

    def _follow(self, recipe: Recipe, run: RunDirectory, number: int, count: int, worker: WarmWorker) -> None:
        while True:
            gone = not worker.is_alive
            status = run.written_status()
            self._show(recipe.name, number, count, status)
            if gone or not status.state.is_live:
                return
            time.sleep(LOOK_EVERY)


def _first_failure(runs: Sequence[tuple[Tree, RunDirectory, Status]]) -> str:
    """Say why the first of the runs that did not finish did not; nothing if all did."""
    return next((status.message or DIED for _, _, status in runs if status.state is not RunState.FINISHED), "")


def as_json(reproduction: Reproduction) -> dict[str, Any]:
    """Return a reproduction as JSON values."""
    rows = [vars(row) | {"verdict": row.verdict.value, "difference": row.difference} for row in reproduction.rows]
    return {
        "recipe": reproduction.recipe.name,
        "title": reproduction.recipe.title,
        "note": reproduction.note,
        "rows": rows,
    }
