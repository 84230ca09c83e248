"""What a recipe that has to fetch something names instead, for someone who cannot reach it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.models.gpt2 import UNTRAINED


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
    published = weights != UNTRAINED and not os.path.isdir(expanded(weights))
    if published:
        found["model.weights"] = weights
    if tokenizer.get("kind") == "gpt2" and not tokenizer["path"] and (published or weights == UNTRAINED):
        found["tokenizer.kind"] = "gpt2"
    return found
