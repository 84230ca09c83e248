"""Recipes: configurations worth starting from, read from `assets/recipes/*.toml`.

The file's name is the recipe's. It holds a title, a paragraph on what to look at, and then the sections of a run's
`config.toml` with what differs from the model family's own start: a `config.toml` with a title on top is a recipe.

    title = "A small GPT that invents given names"
    about = "One paragraph: what it shows and what to look at."
    order = 10                         # place in a picker; 100 if left out

    [model]
    kind = "gpt"                       # the only setting that must be there
    n_layer = 3

    [data]
    dataset = "given-names"            # a name of the catalogue: a recipe never names a path

    [[references]]                     # optional: figures that a run of it is held against
    metric = "val_loss"                # a metric of a run, or one of its summary
    value = 1.72
    spread = 0.03                      # how far two runs lie apart, 0 if the figure is exact
    step = 5000                        # where it holds; left out: at the end
    source = "where the figure comes from"
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from engine.contract.configuration import ConfigurationError, Tree, family_of, parse, starting_tree
from engine.contract.errors import UserError

DEFAULT = "names-gpt"


@dataclass(frozen=True, slots=True)
class Reference:
    """A figure that a run of the recipe is held against."""

    metric: str
    value: float
    source: str
    spread: float = 0.0
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """A configuration worth starting from. `tree` is complete and valid."""

    name: str
    title: str
    about: str
    tree: Tree
    references: tuple[Reference, ...] = ()
    order: int = 100

    @property
    def family(self) -> str:
        """The kind of model, such as `gpt`."""
        kind: str = self.tree["model"]["kind"]
        return kind


def load_recipes(
    folder: Traversable | None = None, on_error: Callable[[UserError], None] | None = None
) -> dict[str, Recipe]:
    """Return the recipes of a folder (those that ship, by default) by name, in the order in which a picker shows them.

    A recipe that cannot be used raises `UserError`, or is left out and told to `on_error` where that is given.
    """
    found = []
    for path in _files(folder or resources.files("assets").joinpath("recipes")):
        try:
            found.append(read_recipe(path))
        except UserError as error:
            if on_error is None:
                raise
            on_error(error)
    return {recipe.name: recipe for recipe in sorted(found, key=lambda recipe: (recipe.order, recipe.name))}


@cache
def shipped_recipes() -> Mapping[str, Recipe]:
    """Return the recipes that ship, read once."""
    return load_recipes()


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name. Raises a `UserError` that lists the names there are."""
    try:
        return shipped_recipes()[name]
    except KeyError:
        raise UserError(f"There is no recipe called '{name}'. Known are {', '.join(shipped_recipes())}.") from None


def _files(folder: Traversable) -> list[Traversable]:
    try:
        return sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    except OSError as error:
        raise UserError(f"Cannot read the recipes in {folder}: {error.strerror or error}.") from None


def read_recipe(path: Traversable | Path) -> Recipe:
    """Read one recipe; raise `UserError` that names the file and everything that is wrong with it."""
    name = path.name.removesuffix(".toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"Recipe '{name}' cannot be read: {error}.") from None
    try:
        title, about = _text(content, "title"), _text(content, "about")
        order = content.pop("order", 100)
        if not isinstance(order, int):
            raise UserError("order must be a whole number")
        references = tuple(_reference(entry) for entry in content.pop("references", []))
        return Recipe(name, title, about, complete(content), references, order)
    except ConfigurationError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        raise UserError(f"Recipe '{name}' cannot be used: {problems}.") from None
    except UserError as error:
        raise UserError(f"Recipe '{name}' cannot be used: {str(error).rstrip('.')}.") from None


def _text(content: dict[str, Any], key: str) -> str:
    text = content.pop(key, None)
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{key} must be a text")
    return " ".join(text.split())


def _reference(entry: Any) -> Reference:
    try:
        reference = Reference(**entry)
        numbers = (reference.value, reference.spread, reference.step or 0)
        if all(isinstance(number, int | float) for number in numbers) and reference.source:
            return reference
    except TypeError:
        pass
    raise UserError("each of its references needs metric, value (a number) and source, and may have spread and step")


def complete(tree: Mapping[str, Any]) -> Tree:
    """Fill what a partial tree leaves out from the start of its model family, and validate the whole.

    A section whose `kind` differs from the family's start (another optimizer) begins from that kind's own defaults.
    """
    model = tree.get("model")
    kind = model.get("kind") if isinstance(model, Mapping) else None
    if not isinstance(kind, str):
        raise UserError("model.kind is missing")
    whole: dict[str, Any] = dict(starting_tree(family_of(kind).kind))
    for section, values in tree.items():
        start = whole.get(section, {})
        same = isinstance(values, Mapping) and values.get("kind", start.get("kind")) == start.get("kind")
        whole[section] = start | dict(values) if same else values
    return parse(whole).tree()
