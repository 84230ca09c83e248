"""Which runs reproduce a recipe, and which take their place where its download cannot be had."""

from dataclasses import dataclass

from torchtty.engine.contract.settings.configuration import with_value
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
