"""What the runs of a group have come to, read as they grow: settings, states and curves, and the figures that sum them up."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.curves import Curve
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.race import BITS, LOSS, BudgetKind, Race, bits_per_character
from torchtty.engine.contract.experiments.stabilisation import Stabilisation
from torchtty.engine.contract.experiments.statistics import Spread
from torchtty.engine.contract.experiments.variation import SEED
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.metrics import Batch
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Family, Tree
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.recipes import Recipe, Reference, recipe_named

LAST, BEST = "last", "best"
At = float | str
"""Where a curve is read: at a step, or `LAST`, or `BEST`, which is its lowest value."""


@dataclass(frozen=True)
class Member:
    """A run of a group at one moment. Its curves grow on; nobody but their reader changes them."""

    name: str
    settings: Mapping[str, Any]  # those in which the group's runs differ
    status: Status
    tree: Tree
    curves: Mapping[str, Curve] = field(default_factory=dict)
    exists: bool = True
    seconds: Curve = field(default_factory=Curve)  # of training, at each evaluation of a run that races
    chance: float | None = None  # bits per character of one that races, were all of its tokens equally likely

    @property
    def seed(self) -> Any:
        return self.settings.get(SEED)

    @property
    def setting(self) -> tuple[tuple[str, Any], ...]:
        """What it differs in but for the seed."""
        return tuple((path, value) for path, value in self.settings.items() if path != SEED)

    @property
    def has_diverged(self) -> bool:
        """Whether one of its losses has left the numbers."""
        declared = family_of(self.tree["model"]["kind"]) if self.tree else None
        return any(
            curve.broken is not None and (not declared or declared.metric(name).loss)
            for name, curve in self.curves.items()
        )

    @property
    def has_failed(self) -> bool:
        """Whether it is over and has not come to its end, for another reason than that it was stopped or diverged."""
        return not self.exists or (self.status.state in (RunState.FAILED, RunState.LOST) and not self.has_diverged)

    @property
    def state(self) -> str:
        """Its state in a word."""
        if not self.exists:
            return "deleted"
        return "diverged" if self.has_diverged else self.status.state.value

    def value(self, metric: str, at: At = LAST) -> float | None:
        """Return a metric's value; None where it has none there, such as the last or best one of a run that diverged."""
        curve = self.curves.get(metric)
        if curve is None:
            return None
        if isinstance(at, str):
            if self.has_diverged or self.has_failed:
                return None
            return curve.best if at == BEST else curve.last
        return curve.at(at)

    def stabilised(self, metric: str, until: float | None = None) -> Stabilisation | None:
        """Return when the curve of a metric, up to a step or as a whole, has stabilised; None where it is too short to say.

        A curve that does not reach that step yet is too short.
        """
        curve = self.curves.get(metric)
        if curve is None or not curve.steps or (until is not None and curve.steps[-1] < until):
            return None
        if curve.broken is not None and (until is None or curve.broken <= until):
            return Stabilisation(None, math.nan, math.nan)
        return curve.stabilised(until)


@dataclass(frozen=True)
class Results:
    """What a group has come to at one moment."""

    name: str
    members: tuple[Member, ...]
    status: Status
    recipe: Recipe | None = None
    race: Race | None = None

    @cached_property
    def family(self) -> Family | None:
        """The family of its runs; None if none of them can be read."""
        tree = next((member.tree for member in self.members if member.tree), None)
        return family_of(tree["model"]["kind"]) if tree else None

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The settings in which the runs differ, the seed last."""
        found = dict.fromkeys(path for member in self.members for path in member.settings)
        return tuple(sorted(found, key=lambda path: path == SEED))

    def values(self, path: str) -> tuple[Any, ...]:
        """Return the values of a setting, in ascending order where they are numbers, else as they were planned."""
        found = list(dict.fromkeys(member.settings[path] for member in self.members if path in member.settings))
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in found)
        return tuple(sorted(found) if numbers else found)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of which a run has points, those of the family first, in its order."""
        there = {name for member in self.members for name, curve in member.curves.items() if len(curve)}
        declared = [metric.name for metric in self.family.metrics] if self.family else []
        return (*(name for name in declared if name in there), *sorted(there - set(declared)))

    @cached_property
    def metric(self) -> str:
        """The metric that the group is judged by: the watched one, else that of the recipe's figures, else the headline's."""
        wished = [BITS, self.family.watched] if self.family else []
        wished += [reference.metric for reference in self.references]
        wished += [names[0] for names in self.family.headline] if self.family else []
        return next((name for name in wished if name in self.metrics), next(iter(self.metrics), ""))

    @cached_property
    def trained(self) -> str:
        """The metric whose curve has the most points: the one that tells best when a curve has stabilised."""
        roles = [metric.name for metric in self.family.metrics if metric.role == "train"] if self.family else []
        there = [name for name in roles if name in self.metrics] or [self.metric]
        return max(
            there, key=lambda name: max((len(member.curves.get(name, ())) for member in self.members), default=0)
        )

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The figures of its recipe: those of the short form where the runs are no longer than that."""
        if self.recipe is None:
            return ()
        quick = self.recipe.quick
        if quick and quick.references and self.last_step <= int(quick.tree["training"].get("max_steps", 0)):
            return quick.references
        return self.recipe.references

    @cached_property
    def last_step(self) -> int:
        """The step at which its runs end; in a race of seconds, the furthest that one has come to."""
        if self.race is not None and self.race.budget.kind is BudgetKind.SECONDS:
            return max((member.status.step for member in self.members), default=0)
        planned = [int(member.tree.get("training", {}).get("max_steps", 0)) for member in self.members if member.tree]
        return max((*planned, *(member.status.max_steps for member in self.members)), default=0)

    def step_of(self, reference: Reference) -> int:
        """Return the step of a figure: one of the end is of the recipe's own end, however long these runs are."""
        if reference.step is not None or self.recipe is None:
            return reference.step or 0
        quick = self.recipe.quick
        tree = quick.tree if quick and reference in quick.references else self.recipe.tree
        return int(tree["training"].get("max_steps", 0)) or self.last_step

    def steps(self, metric: str) -> tuple[int, ...]:
        """Return the steps at which a run has a value of a metric."""
        return tuple(
            sorted(
                {
                    int(step)
                    for member in self.members
                    if metric in member.curves
                    for step in member.curves[metric].steps
                }
            )
        )

    def reference(self, members: Sequence[Member], metric: str, step: float) -> Reference | None:
        """Return the recipe's figure for a metric of all of these runs at a step, if it has one."""
        for reference in self.references:
            at = self.step_of(reference)
            if (
                reference.metric == metric
                and at == step
                and members
                and all(reference.is_about(member.tree) for member in members)
            ):
                return reference
        return None

    def spread(self, members: Sequence[Member], metric: str, at: At = LAST) -> Spread:
        """Return what a metric of some runs comes to. Runs that diverged or failed are counted, not dropped."""
        values = [value for member in members if (value := member.value(metric, at)) is not None]
        without = [member for member in members if member.value(metric, at) is None]
        diverged = sum(member.has_diverged for member in without)
        return Spread(tuple(values), diverged, sum(member.has_failed for member in without))


class ResultsReader:
    """Reads the runs of a group as they grow: what was read before is not read again. For one thread at a time."""

    def __init__(self, group: RunGroup) -> None:
        self.group = group
        self._logs: dict[str, RunLog] = {}
        self._curves: dict[str, dict[str, Curve]] = {}
        self._seconds: dict[str, Curve] = {}
        self._trees: dict[str, Tree] = {}

    def read(self, goes_on: Callable[[], bool] = lambda: True) -> Results:
        """Return what the group has come to by now. It stops reading curves when `goes_on` says no."""
        members, race = [], self.group.race()
        for planned in self.group.planned():
            run = RunDirectory(self.group.path.parent / planned.name)
            exists = run.config_path.is_file()
            if exists and goes_on():
                self._read(run)
            curves = dict(self._curves.get(run.name, {}))
            status = run.status() if exists else Status(state=RunState.LOST)
            member = Member(run.name, planned.settings, status, self._tree(run), curves, exists)
            members.append(member if race is None else self._racing(member))
        return Results(self.group.name, tuple(members), self.group.status(), self._recipe(), race)

    def _racing(self, member: Member) -> Member:
        """Return a member with what a race compares, as far as that is known."""
        log = self._logs.get(member.name)
        characters = log.facts.characters_per_token if log is not None else None
        if log is None or characters is None or LOSS not in member.curves:
            return member
        bits = member.curves[LOSS].scaled(bits_per_character(1.0, characters))
        chance = log.facts.references.get("chance")
        return replace(
            member,
            curves={BITS: bits, **member.curves},
            seconds=self._seconds.get(member.name, Curve()),
            chance=None if chance is None else bits_per_character(chance, characters),
        )

    def _read(self, run: RunDirectory) -> None:
        log = self._logs.setdefault(run.name, RunLog(run))
        curves = self._curves.setdefault(run.name, {})
        if log.read().metrics_restarted:
            for curve in (*curves.values(), self._seconds.get(run.name, Curve())):
                curve.clear()
        for name in log.metrics.names:
            curve = curves.setdefault(name, Curve())
            for batch in log.metrics.pop(name):
                curve.extend(batch)
                if name == LOSS and "seconds" in batch.coordinates:
                    seconds = Batch(batch.steps, batch.coordinates["seconds"], {})
                    self._seconds.setdefault(run.name, Curve()).extend(seconds)

    def _tree(self, run: RunDirectory) -> Tree:
        """Return a run's settings at its start; nothing where they cannot be read."""
        if run.name not in self._trees:
            try:
                self._trees[run.name] = run.configuration().tree()
            except UserError:
                return {}
        return self._trees[run.name]

    def _recipe(self) -> Recipe | None:
        name = self.group.about().get("recipe")
        try:
            return recipe_named(name) if isinstance(name, str) and name else None
        except UserError:
            return None


def read_results(group: RunGroup) -> Results:
    """Return what a group has come to by now."""
    return ResultsReader(group).read()


def short_name(path: str) -> str:
    """Return a setting without its section."""
    return path.partition(".")[2] or path


def label(settings: Sequence[tuple[str, Any]]) -> str:
    """Return settings in a few words: `n_layer 2, block_size 3`."""
    return ", ".join(f"{short_name(path)} {show(value)}" for path, value in settings) or "all"
