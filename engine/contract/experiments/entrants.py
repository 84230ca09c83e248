"""Who takes part in a race, what a step costs each, and the settings by which each comes to the end of the same budget."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import LONGEST_NAME, NewRun, RunGroup, make_group
from torchtty.engine.contract.experiments.race import Budget, BudgetKind, Race
from torchtty.engine.contract.experiments.variation import MODEL
from torchtty.engine.contract.settings.configuration import parse, specs, starting_tree, with_flags, with_value
from torchtty.engine.contract.settings.families import FAMILIES, family_of
from torchtty.engine.contract.settings.family import Family, Output, Tree
from torchtty.engine.contract.settings.recipes import Recipe

EVALUATIONS = 16  # of each run, about
ENDLESS = 1000  # times the steps that are expected, and so never reached by a run that is given seconds
WITHOUT_ESTIMATE = 0.01  # seconds that a step is taken to last where that could not be measured
PATIENCE = 300.0  # seconds that a worker may take over its answers
LOOK = 0.05


@dataclass(frozen=True)
class Entrant:
    """A model that takes part: what it is called, its settings, and what a step of it costs."""

    name: str
    tree: Tree
    recipe: str | None = None
    seconds_per_step: float | None = None  # on the processor
    flops_per_step: float = 0.0
    problem: str = ""  # why it cannot take part

    @property
    def family(self) -> Family:
        return family_of(self.tree["model"]["kind"])


def takes_part(family: Family) -> bool:
    """Whether models of a family can be raced: they predict text, and their weights are not those of a download."""
    return family.output is Output.TEXT and family.tested is not None and not family.rebuilt


def every_family(corpus: str) -> list[Entrant]:
    """Return the families that can be raced, in the order in which they are declared, with the settings that each starts with."""
    kinds = [kind for kind, family in FAMILIES.items() if takes_part(family)]
    return [Entrant(kind, with_value(starting_tree(kind), "data.dataset", corpus)) for kind in kinds]


def of_recipes(corpus: str, recipes: Sequence[Recipe]) -> list[Entrant]:
    """Return what recipes start, all on the same text: prepared as by the first of them that is about it, else as by default.

    Raises `UserError` where one cannot be raced.
    """
    data = with_value(starting_tree(next(iter(FAMILIES))), "data.dataset", corpus)["data"]
    data = next((recipe.tree["data"] for recipe in recipes if recipe.tree["data"]["dataset"] == corpus), data)
    found = []
    for recipe in recipes:
        family = family_of(recipe.family)
        if not takes_part(family):
            raise UserError(f"{recipe.name} cannot be raced: {family.title} does not learn a text from nothing.")
        found.append(Entrant(recipe.name, {**recipe.tree, "data": dict(data)}, recipe.name))
    return found


def with_settings(entrants: Sequence[Entrant], texts: Mapping[str, str]) -> list[Entrant]:
    """Return entrants with settings, {path: text}, each where a model has it; raise `UserError` for what none has or takes."""
    known = {spec.path for entrant in entrants for spec in specs(entrant.family.kind, entrant.tree)}
    if unknown := [path for path in texts if path not in known]:
        raise UserError(f"--{unknown[0]} is not a setting of any of the models that take part.")
    found = []
    for entrant in entrants:
        own = {spec.path for spec in specs(entrant.family.kind, entrant.tree)}
        given = {path: text for path, text in texts.items() if path in own}
        found.append(replace(entrant, tree=with_flags(entrant.tree, given).tree()))
    return found


def measured(entrants: Sequence[Entrant]) -> list[Entrant]:
    """Return entrants with what a step of each costs, timed by a worker on the processor, or why one cannot take part.

    Raises `UserError` where the worker ends.
    """
    worker = WarmWorker()
    try:
        asked = [worker.prepare(_on_processor(entrant.tree), with_flops=True) for entrant in entrants]
        answers, until = dict[int, dict[str, Any]](), time.monotonic() + PATIENCE
        while len(answers) < len(asked):
            answers |= {number: answer for number in asked if (answer := worker.answer(number)) is not None}
            if not worker.is_alive or time.monotonic() > until:
                last = worker.log().strip().splitlines()[-1:] or ["it left no message"]
                raise UserError(f"The models could not be measured: {last[0]}.")
            time.sleep(LOOK)
    finally:
        worker.close()
    return [_with_cost(entrant, answers[number]) for entrant, number in zip(entrants, asked, strict=True)]


def _on_processor(tree: Tree) -> Tree:
    has_device = "device" in tree["training"]
    return (
        with_value(with_value(tree, "training.device", "cpu"), "training.precision", "float32") if has_device else tree
    )


def _with_cost(entrant: Entrant, answer: Mapping[str, Any]) -> Entrant:
    problems = answer.get("problems") or []
    if not problems and not answer["tokens"].get("val"):
        problems = [["data.val_fraction", "there is no validation split to compare on"]]
    if problems:
        return replace(entrant, problem=str(problems[0][1]))
    flops = float(answer.get("flops_per_step") or 0.0)
    return replace(entrant, seconds_per_step=answer.get("seconds_per_step"), flops_per_step=flops)


def within(entrant: Entrant, budget: Budget) -> Tree:
    """Return settings that end a run when the budget is spent, and nothing else does; evaluations are of whole splits.

    What counts in one pass is left as it is. How many steps there are in so many seconds is not known beforehand, so the
    learning rate of those runs stays constant; else each schedule fits the steps that it has. What multiplies no matrices
    has no FLOPs to spend: it keeps the steps of its own settings. Raises `UserError` for a budget below one step.
    """
    tree = entrant.tree
    if not entrant.family.trains_by_steps:
        return parse(tree).tree()
    steps = int(tree["training"]["max_steps"])
    expected = float(steps)
    if budget.kind is BudgetKind.SECONDS:
        expected = max(1.0, budget.amount / (entrant.seconds_per_step or WITHOUT_ESTIMATE))
        steps = 10 ** min(9, math.ceil(math.log10(ENDLESS * expected)))
        tree = with_value({**tree, "schedule": {"kind": "constant"}}, "training.max_seconds", budget.amount)
    elif budget.kind is BudgetKind.STEPS or entrant.flops_per_step:
        expected = budget.amount / (entrant.flops_per_step if budget.kind is BudgetKind.FLOPS else 1.0)
        if expected < 1:
            one = Budget(budget.kind, entrant.flops_per_step)
            raise UserError(f"{entrant.name} cannot do a step of {one} with {budget}: give more, or leave it out.")
        expected = steps = min(10**9, int(expected))
        tree = with_value(tree, "training.max_seconds", None)
    interval = max(1, round(expected / EVALUATIONS))
    wanted: dict[str, Any] = {"max_steps": steps, "eval_interval": interval, "checkpoint_interval": interval}
    wanted |= {"eval_batches": 0, "patience": None, "target_loss": None}
    there = {spec.path for spec in specs(entrant.family.kind, tree)}
    for path, value in {f"training.{name}": value for name, value in wanted.items()}.items():
        tree = with_value(tree, path, value) if path in there else tree
    if "sampling.interval" in there:
        tree = with_value(tree, "sampling.interval", 0)
    return parse(tree).tree()


def create_race(
    entrants: Sequence[Entrant], budget: Budget, corpus: str, *, root: Path | None = None, name: str | None = None
) -> RunGroup:
    """Make the group of a race with its runs; raise `UserError`, and then nothing of it stays."""
    new = [NewRun({MODEL: entrant.name}, parse(within(entrant, budget)), entrant.recipe) for entrant in entrants]
    race = Race(corpus, budget, {entrant.name: entrant.flops_per_step for entrant in entrants})
    about = {"recipe": None, "race": race.as_json(), "varied": {MODEL: [entrant.name for entrant in entrants]}}
    return make_group(new, about, f"{_short(corpus)}-race", root=root, name=name)


def _short(corpus: str) -> str:
    """Return what a race on a corpus is called after: its name, or that of its file."""
    own = Path(corpus).stem if "/" in corpus or "." in corpus else corpus
    kept = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "-" for sign in own).strip("-")
    return kept[: LONGEST_NAME // 2].strip("-") or "text"
