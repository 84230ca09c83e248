"""`torchtty race`: models of one text under one budget, trained one after the other and compared in bits per character."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.entrants import (
    Entrant,
    every_family,
    measured,
    of_recipes,
    with_settings,
    within,
)
from torchtty.engine.contract.experiments.lifecycle import start_race
from torchtty.engine.contract.experiments.race import Budget, BudgetKind
from torchtty.engine.contract.settings.abbreviations import written_out
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.configuration import parse, specs, starting_tree
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.mirrors import refuse_missing_mirror
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.cli.arguments import (
    Arguments,
    parse_argv,
    recipes,
    refuse_unreadable_data,
    suggestion,
    with_absolute_paths,
)
from torchtty.tui.cli.console import Exit, UsageError, notify
from torchtty.tui.cli.sweep import followed
from torchtty.tui.format import rough_duration

SECONDS = 30.0  # of each model, where nobody says how many
CORPUS = "given-names"


def race(
    arguments: Sequence[str],
    budgets: Mapping[BudgetKind, float | None],
    names: str | None,
    *,
    name: str | None,
    dry_run: bool,
    detach: bool,
    as_json: bool,
) -> int:
    """Race models on the text that the arguments name and print how they stand; return the exit code."""
    given = parse_argv(arguments)
    budget, asked = _budget(budgets), _asked(names)
    corpus = _corpus(given, asked)
    entrants = _entrants(corpus, asked, given)
    corpus = str(entrants[0].tree["data"]["dataset"])
    notify(f"Measuring a step of {len(entrants)} models.")
    racing = _those_that_can(measured(entrants), chosen=bool(asked))
    for entrant in racing:
        within(entrant, budget)
    notify(announcement(racing, budget, corpus))
    if dry_run:
        return Exit.DONE
    return followed(lambda: start_race(racing, budget, corpus, name), detach=detach, as_json=as_json)


def announcement(racing: Sequence[Entrant], budget: Budget, corpus: str) -> str:
    """Say who races on what, for how much, and how long that takes where it can be told."""
    said = f"{len(racing)} models race on {corpus}, {budget} each, one after the other: "
    said += ", ".join(entrant.name for entrant in racing)
    steppers = [entrant for entrant in racing if entrant.family.trains_by_steps]
    if budget.kind is BudgetKind.SECONDS:
        return f"{said}. Training takes {rough_duration(budget.amount * len(steppers))}, evaluations more."
    seconds = [
        (entrant.seconds_per_step or 0) * within(entrant, budget)["training"]["max_steps"] for entrant in steppers
    ]
    return f"{said}. Training takes about {rough_duration(sum(seconds))} on this processor."


def _budget(budgets: Mapping[BudgetKind, float | None]) -> Budget:
    given = [(kind, amount) for kind, amount in budgets.items() if amount is not None]
    if len(given) > 1:
        raise UsageError("A race has one budget: give one of --seconds, --steps and --flops.")
    kind, amount = given[0] if given else (BudgetKind.SECONDS, SECONDS)
    return Budget(kind, amount)


def _asked(names: str | None) -> list[Recipe]:
    """Return the recipes that are named, each once; a model's name stands for the settings that it starts with."""
    found: dict[str, Recipe] = {}
    known = recipes() if names else {}
    for name in filter(None, (part.strip() for part in (names or "").split(","))):
        if name in FAMILIES:
            found[name] = Recipe(name, FAMILIES[name].title, FAMILIES[name].summary, starting_tree(name))
        elif name in known:
            found[name] = known[name]
        else:
            raise UsageError(f"There is no model or recipe called '{name}'.{suggestion(name, [*FAMILIES, *known])}")
    if names is not None and len(found) < 2:
        raise UsageError("A race has two models or more: --recipes names-mlp,names-gpt.")
    return list(found.values())


def _corpus(given: Arguments, asked: Sequence[Recipe]) -> str:
    if given.unknown:
        raise UsageError(f"{given.unknown[0]} is not an option; settings begin with two dashes.")
    if len(given.words) > 1:
        raise UsageError(
            f"One text at a time, but there are {len(given.words)}: {' '.join(given.words[:5])}.\n"
            "--recipes NAME,NAME says which models and recipes race."
        )
    corpus = given.words[0] if given.words else str(asked[0].tree["data"]["dataset"]) if asked else CORPUS
    if corpus in catalogue() and catalogue()[corpus].kind == "images":
        raise UsageError(f"{corpus} are pictures, and a race is one of texts: 'torchtty data' lists them.")
    return corpus


def _entrants(corpus: str, asked: Sequence[Recipe], given: Arguments) -> list[Entrant]:
    """Return who is to take part, with the settings that were given to all."""
    found = of_recipes(corpus, asked) if asked else every_family(corpus)
    found = [replace(one, recipe=None) if one.name in FAMILIES else one for one in found]
    found = with_settings(found, _texts(found, given))
    ready: list[Entrant] = []
    for entrant in found:
        configuration = with_absolute_paths(parse(entrant.tree))
        refuse_missing_mirror(configuration)
        if not ready:  # all learn from the same
            refuse_unreadable_data(configuration)
        ready.append(replace(entrant, tree=configuration.tree()))
    return ready


def _texts(found: Sequence[Entrant], given: Arguments) -> dict[str, str]:
    """Return what was typed by the full paths of its settings."""
    paths = {spec.path for entrant in found for spec in specs(entrant.family.kind, entrant.tree)}
    texts = {}
    for name, text in given.settings.items():
        fitting = [path for path in paths if written_out(name) in (path, path.partition(".")[2])]
        if len(fitting) > 1:
            raise UsageError(f"--{name} could be {' or '.join(f'--{path}' for path in sorted(fitting))}.")
        texts[fitting[0] if fitting else name] = "yes" if text is None else text
    return texts


def _those_that_can(found: Sequence[Entrant], *, chosen: bool) -> list[Entrant]:
    """Leave out what cannot learn this text, and say so; raise `UserError` where it was chosen, or fewer than two are left."""
    for entrant in found:
        if entrant.problem and chosen:
            raise UserError(f"{entrant.name} cannot take part: {entrant.problem}")
    racing = [entrant for entrant in found if not entrant.problem]
    if len(racing) < 2:
        raise UserError(f"No two models can learn this text: {found[0].problem}")
    for entrant in found:
        if entrant.problem:
            notify(f"{entrant.name} is left out: {entrant.problem}")
    return racing
