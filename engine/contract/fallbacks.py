"""What is trained in the place of a recipe that has to fetch something, where that cannot be reached."""

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.catalogue import catalogue
from engine.contract.configuration import Configuration, ConfigurationError, Tree, difference, parse, with_value
from engine.contract.deletion import delete
from engine.contract.errors import UserError
from engine.contract.models.gpt2 import UNTRAINED
from engine.contract.run_directory import RunDirectory, create
from engine.contract.status import RunState

if TYPE_CHECKING:
    from engine.contract.recipes import Recipe

PATIENCE = 5.0  # seconds for the worker of a run that failed to leave it


@dataclass(frozen=True, slots=True)
class Fallback:
    """The same on another dataset, or another recipe: one of the two is given."""

    dataset: str | None = None
    recipe: str | None = None

    @property
    def name(self) -> str:
        return self.dataset or self.recipe or ""


def read_fallback(tree: Tree, content: Any) -> Fallback | None:
    """Read what the recipe of a configuration says; raise `UserError` if that is no fallback for it."""
    if content is None:
        return None
    if not isinstance(content, dict) or len(content) != 1 or not content.keys() <= {"dataset", "recipe"}:
        raise UserError('fallback must be { dataset = "…" } or { recipe = "…" }')
    if not fetches(tree):
        raise UserError("fallback is for a recipe that has to fetch something, and this one has not")
    found = Fallback(**content)
    if "dataset" in content:
        own, other = catalogue()[tree["data"]["dataset"]], catalogue().get(str(found.dataset))
        if other is None or not other.embedded or other.kind != own.kind:
            raise UserError(
                "fallback.dataset must be a dataset that comes with the installation, of the same kind as the recipe's own"
            )
    return found


def check_recipe(fallback: Fallback | None, trees: Mapping[str, Tree]) -> None:
    """Raise `UserError` unless a recipe's fallback is one of the recipes (name -> configuration) that fetch nothing."""
    if fallback is None or fallback.recipe is None:
        return
    if fallback.recipe not in trees:
        raise UserError(f"fallback.recipe is no recipe that can be used: '{fallback.recipe}'.")
    if what := fetches(trees[fallback.recipe]):
        raise UserError(
            f"fallback.recipe must be one that fetches nothing, and {fallback.recipe} has {', '.join(what)}."
        )


def fetches(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings for which a configuration has to fetch something, unless it was fetched before."""
    found = {}
    model, tokenizer = tree["model"], tree.get("tokenizer", {})
    entry = catalogue().get(str(tree["data"]["dataset"]))
    if entry is not None and not entry.embedded:
        found["data.dataset"] = entry.name
    weights = str(model.get("weights", UNTRAINED))
    published = weights != UNTRAINED and not Path(weights).expanduser().is_dir()
    if published:
        found["model.weights"] = weights
    if tokenizer.get("kind") == "gpt2" and not tokenizer["path"] and (published or weights == UNTRAINED):
        found["tokenizer.kind"] = "gpt2"
    return found


@dataclass(frozen=True)
class Substitute:
    """What is trained in the place of a run, and the sentence that tells a person so."""

    configuration: Configuration
    recipe: str  # whose run it is
    missing: "Recipe"
    reason: str  # why the run failed
    left_out: tuple[str, ...] = ()  # settings that a person chose and that do not exist for it

    @property
    def sentence(self) -> str:
        """Say what could not be had, what is trained instead, and what that means for the figures."""
        what = in_brief(self.reason)
        if self.recipe == self.missing.name:
            dataset = self.configuration.tree()["data"]["dataset"]
            told = f"{what}, so {self.recipe} is trained on {dataset} instead, to which its figures do not apply."
        else:
            told = (
                f"{what}, so {self.recipe} is trained instead of {self.missing.name}, whose figures do not apply to it."
            )
        return told + (f" It has no {', '.join(self.left_out)}: left out." if self.left_out else "")


def in_brief(reason: str) -> str:
    """Return what happened, without the setting in front of it and the advice behind it."""
    return re.sub(r"^[a-z]+\.[a-z_]+: ", "", reason).partition(". ")[0].rstrip(".")


def substitute(run: RunDirectory, recipes: Mapping[str, "Recipe"], chosen: Collection[str] = ()) -> Substitute | None:
    """Return what to train in the place of a run of a recipe that failed because something cannot be fetched; else None.

    None too where a person put something of their own in the place of what the recipe fetches: they want that and nothing else.
    What they changed otherwise, and the settings `chosen`, hold for the fallback as well, as far as it has them.
    """
    status = run.written_status()
    missing = recipes.get(str(run.meta().get("recipe")))
    if status.state is not RunState.FAILED or not status.unreachable or missing is None or missing.fallback is None:
        return None
    tree, needed = run.configuration().tree(), fetches(missing.tree)
    if fetches(tree) != needed:
        return None
    if missing.fallback.dataset is not None:
        configuration = parse(with_value(tree, "data.dataset", missing.fallback.dataset))
        return Substitute(configuration, missing.name, missing, status.message)
    other = recipes[missing.fallback.name]
    changed = {path for path in (*difference(missing.tree, tree), *chosen) if path not in needed and _has(tree, path)}
    configuration, left_out = _with_changes(other.tree, tree, sorted(changed))
    return Substitute(configuration, other.name, missing, status.message, left_out)


def begin_instead(run: RunDirectory, found: Substitute, name: str | None = None) -> RunDirectory:
    """Make the run that takes the place of one that could not begin, which is removed: it holds nothing but the reason.

    The reason is kept as `instead_of` in the new run's provenance. Raises `UserError`. Blocks until the old worker has left.
    """
    until = time.monotonic() + PATIENCE
    while run.written_status().process_is_alive() and time.monotonic() < until:
        time.sleep(0.05)
    delete(run)
    instead_of = {"recipe": found.missing.name, "reason": found.reason}
    return create(found.configuration, name=name, recipe=found.recipe, instead_of=instead_of)


def _has(tree: Mapping[str, Any], path: str) -> bool:
    section, _, name = path.partition(".")
    return name in tree.get(section, {})


def _with_changes(tree: Tree, source: Tree, paths: Collection[str]) -> tuple[Configuration, tuple[str, ...]]:
    """Take settings over from another tree, one by one; return those too that the result would not have."""
    configuration, left_out = parse(tree), []
    for path in sorted(paths, key=lambda path: not path.endswith(".kind")):  # a kind brings the settings of its section
        section, _, name = path.partition(".")
        now = configuration.tree()
        if path.endswith(".kind") and now.get(section, {}).get("kind") == source[section]["kind"]:
            continue
        try:
            configuration = parse(with_value(now, path, source[section][name]))
        except ConfigurationError:
            left_out.append(path)
    return configuration, tuple(left_out)
