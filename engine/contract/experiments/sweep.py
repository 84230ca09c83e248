"""A sweep before it is started: what its runs have in common, what they differ in, how they are chosen, what that costs."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.plan import Kind, Plan
from torchtty.engine.contract.experiments.values import Span, Value, is_several, read_values
from torchtty.engine.contract.experiments.variation import Variation, fields_of, short
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.settings.configuration import (
    ConfigurationError,
    Problem,
    kinds,
    with_flags,
    with_value,
)
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Configuration, Tree
from torchtty.engine.contract.settings.fields import show


@dataclass(frozen=True)
class Sweep:
    """What a sweep is made of. `tree` is the configuration that its runs have in common, with first values of what varies."""

    tree: Tree
    variation: Variation
    plan: Plan = field(default_factory=Plan)
    recipe: str | None = None

    @property
    def runs(self) -> int:
        """How many runs there are at most."""
        return self.plan.count(self.variation)

    def first(self) -> Configuration:
        """Return a run's configuration, for an estimate; raise `UserError` or `ConfigurationError`."""
        settings = {path: values[0] for path, values in self.variation.values.items()}
        settings |= {path: span.at(0.5) for path, span in self.variation.spans.items()}
        return self.variation.configuration(self.tree, {path: settings[path] for path in self.variation.paths})

    def check(self) -> None:
        """Raise `UserError` where there is nothing to sweep, too many runs, or one that cannot be."""
        family = family_of(self.tree["model"]["kind"])
        if not self.variation.paths:
            raise UserError("Nothing varies: give a setting several values, such as --training.seed 1..5.")
        if not family.trains_by_steps and self.plan.kind is Kind.HALVING:
            raise UserError(f"{family.title} is trained in one pass over the data: there are no rounds of halving.")
        if self.plan.kind.searches or self.plan.kind is Kind.HALVING:
            if family.watched is None and not family.headline:
                raise UserError(f"{family.title} has no metric by which one run is better than another.")
            self.first()
        settings = self.plan.settings(self.variation)
        for one in settings:
            self.variation.configuration(self.tree, one)

    def in_words(self) -> str:
        """Say what varies: `n_layer 1, 2 x seed 1..10`."""
        return " x ".join(f"{short(path)} {self._values_in_words(path)}" for path in self.variation.paths)

    def _values_in_words(self, path: str) -> str:
        if path in self.variation.spans:
            return str(self.variation.spans[path])
        values = self.variation.values[path]
        if whole := _range_of(values):
            return whole
        if len(values) > 8:
            return f"{show(values[0])} to {show(values[-1])} ({len(values)} values)"
        return ", ".join(show(value) for value in values)


def define(
    tree: Mapping[str, Any],
    texts: Mapping[str, str],
    grid: Mapping[str, tuple[Value, ...]] | None = None,
    plan: Plan | None = None,
    recipe: str | None = None,
    *,
    sweeps: bool = True,
) -> Sweep:
    """Return the sweep of a configuration, given what was typed for its settings: {path: text}, one value or several.

    `grid` holds the values of a recipe's grid, which what was typed takes the place of. Without `sweeps` a shape's `1,024` is one
    number. Raises `ConfigurationError` with a
    problem for every text that is wrong.
    """
    kind = str(tree["model"]["kind"])
    problems: list[Problem] = []
    varied_kinds, base = _kinds(kind, tree, texts, problems)
    fields = fields_of(kind, base, varied_kinds)
    values: dict[str, tuple[Value, ...]] = {**(grid or {})}
    spans: dict[str, Span] = {}
    single: dict[str, str] = {}
    for path, text in texts.items():
        values.pop(path, None)
        spec = fields.get(path)
        if spec is None or not is_several(spec, text, sweeps=sweeps):
            single[path] = text
            continue
        try:
            found = read_values(spec, text)
        except UserError as error:
            problems.append(Problem(path, str(error).removeprefix(f"{path} ").rstrip(".")))
            continue
        if isinstance(found, Span):
            spans[path] = found
        elif len(found) == 1:
            single[path] = show(found[0])
        else:
            values[path] = found
    common, fixed = dict[str, str](), dict[str, Value]()
    for path, text in single.items():
        section = path.partition(".")[0]
        if section not in varied_kinds:
            common[path] = text
        elif path in fields:
            try:
                fixed[path] = fields[path].parse(text)
            except UserError as error:
                problems.append(Problem(path, str(error).removeprefix(f"{path} ").rstrip(".")))
        else:
            problems.append(Problem(path, f"is not a setting of any of {section} {', '.join(varied_kinds[section])}"))
    try:
        whole = with_flags(tree, common)
    except ConfigurationError as error:
        problems = [*error.problems, *problems]
    if problems:
        raise ConfigurationError(problems)
    return Sweep(whole.tree(), Variation(values, spans, fixed), plan or Plan(), recipe)


def _range_of(values: Sequence[Value]) -> str:
    """Return `1..10` for whole numbers that follow each other, otherwise nothing."""
    numbers = [value for value in values if type(value) is int]
    follow = len(values) > 2 and len(numbers) == len(values) and list(range(numbers[0], numbers[-1] + 1)) == numbers
    return f"{numbers[0]}..{numbers[-1]}" if follow else ""


def texts_of(sweep: Sweep) -> dict[str, str]:
    """Return what a person would type for what varies in a sweep: {path: text}, to the last digit."""
    variation = sweep.variation
    texts = {path: _range_of(values) or _as_text(list(values)) for path, values in variation.values.items()}
    texts |= {path: str(span) for path, span in variation.spans.items()}
    return {**texts, **{path: _as_text(value) for path, value in variation.fixed.items()}}


def _kinds(
    kind: str, tree: Mapping[str, Any], texts: Mapping[str, str], problems: list[Problem]
) -> tuple[dict[str, tuple[str, ...]], Tree]:
    """Return the sections whose kinds vary with these, and the tree with the kinds that do not."""
    varied: dict[str, tuple[str, ...]] = {}
    base: Tree = dict(tree)
    for path, text in texts.items():
        section, _, name = path.partition(".")
        if name != "kind" or section == "model" or section not in tree:
            continue
        wanted = tuple(part.strip() for part in text.split(","))
        if unknown := [one for one in wanted if one not in kinds(kind, section)]:
            message = f"cannot be '{shortened(unknown[0])}': it must be one of {', '.join(kinds(kind, section))}"
            if len(wanted) > 1:  # with one, it is said with the others
                problems.append(Problem(path, message))
        elif len(wanted) > 1:
            varied[section] = wanted
        elif tree[section].get("kind") != text:
            base = with_value(base, path, text)
    return varied, base


@dataclass(frozen=True)
class Written:
    """A sweep as a TOML file says it: what it starts from, and {path: text} for its settings."""

    start: str
    texts: Mapping[str, str] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)
    name: str | None = None


PLAN_KEYS = ("plan", "runs", "seed", "keep", "first")


def read_file(path: Path) -> Written | None:
    """Read a sweep from a TOML file; None where it is no sweep but a configuration. Raises `UserError`.

    start = "names-mlp"             # a model, a recipe, or a configuration's file
    plan = "random"                 # grid if left out
    runs = 20
    [training]
    seed = "1..10"                  # as typed; a list [1, 2] too
    max_steps = 500                 # one value for all
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"The sweep in {path} cannot be read: {error}.") from None
    if "start" not in content:
        return None
    start, name = content.pop("start"), content.pop("name", None)
    found = {key: content.pop(key) for key in PLAN_KEYS if key in content}
    if not isinstance(start, str) or not isinstance(name, str | None):
        raise UserError(f"{path}: start and name are texts.")
    texts: dict[str, str] = {}
    for section, fields in content.items():
        if not isinstance(fields, dict):
            raise UserError(f"{path}: '{shortened(section)}' is no section; settings stand in one, such as [training].")
        for setting, value in fields.items():
            texts[f"{section}.{setting}"] = _as_text(value)
    return Written(start, texts, plan_from(found), name)


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_as_text(one) for one in value)
    return value if isinstance(value, str) else repr(value) if isinstance(value, float) else show(value)


def plan_from(found: Mapping[str, Any]) -> Plan:
    """Return the plan that options or a file name; raise `UserError` that lists the plans there are."""
    plan = Plan()
    if (name := found.get("plan")) is not None:
        try:
            plan = replace(plan, kind=Kind(name))
        except ValueError:
            raise UserError(f"There is no plan called '{shortened(str(name))}'. Known are {', '.join(Kind)}.") from None
    for key, types in (("runs", (int,)), ("seed", (int,)), ("keep", (int,)), ("first", (int, float))):
        value = found.get(key)
        if value is not None:
            if type(value) not in types:
                raise UserError(f"{key} of a plan is a number, not '{shortened(str(value))}'.")
            plan = replace(plan, **{key: value})
    if plan.keep < 2 or not 0 < plan.first < 1:
        raise UserError("Halving keeps 1 in 2 or more, and its first round is a share of the steps between 0 and 1.")
    return plan
