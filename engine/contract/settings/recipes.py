"""Recipes: configurations worth starting from, read from `assets/recipes/*.toml`.

The file's name is the recipe's. It holds a title, a paragraph on what to look at, and then the sections of a run's
`config.toml` with what differs from the model family's own start: a `config.toml` with a title on top is a recipe.

    title = "A small GPT that invents given names"
    about = "One paragraph: what it shows and what to look at."
    order = 10                         # place in a picker; 100 if left out
    lens = "attention"                 # optional: the lens that shows what it is about, opened first
    steps_per_epoch = 13               # optional: tables count in epochs of so many steps

    [model]
    kind = "gpt"                       # the only setting that must be there
    n_layer = 3

    [data]
    dataset = "given-names"            # a name of the catalogue: a recipe never names a path

    [[references]]                     # optional: figures that a run of it is held against
    metric = "val_loss"                # a metric of a run, or one of its summary
    value = 1.72
    spread = 0.03                      # how far two runs lie apart, 0 if the figure is exact
    at_most = 1.80                     # optional: what a run has to stay below, instead of within the spread
    step = 5000                        # where it holds; left out: at the end
    where = { "model.n_layer" = 2 }    # optional: the runs of the grid that it is about; left out: each of them
    source = "where the figure comes from"

    [grid]                             # optional: the runs that reproduce it; the app starts the configuration above
    "training.seed" = [1, 2, 3]        # every combination of the values listed

    [quick]                            # optional: a short run that shows that the recipe works
    training.max_steps = 200           # sections and fields that differ from the recipe
    [[quick.references]]               # what that run is held against, as above
    metric = "train_loss"
    at_most = 2.5
    source = "where the figure comes from"

A recipe that has to fetch something may say what shows the same thing to someone without a network, where its figures do not
apply: `fallback = { dataset = "given-names" }` or `fallback = { recipe = "a5-gpt2-untrained" }`.
"""

import contextlib
import itertools
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse, starting_tree, with_value
from torchtty.engine.contract.settings.fallbacks import Fallback, check_recipe, read_fallback
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Tree

DEFAULT = "names-gpt"


@dataclass(frozen=True, slots=True)
class Reference:
    """A figure that a run of the recipe is held against; `where` narrows it to some runs of a grid."""

    metric: str
    source: str
    value: float | None = None
    spread: float = 0.0
    at_most: float | None = None
    step: int | None = None
    where: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest measured value that agree with the figure."""
        if self.at_most is not None:
            return -math.inf, self.at_most
        assert self.value is not None
        return self.value - self.spread, self.value + self.spread

    def agrees(self, measured: float) -> bool:
        """Whether a measured value lies within the bounds."""
        low, high = self.bounds
        slack = 1e-9 * max(1.0, abs(high))  # 0.1 + 0.2 is not 0.3
        return low - slack <= measured <= high + slack

    def is_about(self, tree: Mapping[str, Any]) -> bool:
        """Whether the figure is one of the run with this configuration."""
        places = ((path.partition("."), value) for path, value in self.where.items())
        return all(tree.get(section, {}).get(name) == value for (section, _, name), value in places)


@dataclass(frozen=True, slots=True)
class Quick:
    """A recipe cut short. `tree` is complete and valid."""

    tree: Tree
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """A configuration worth starting from. `tree` is complete and valid."""

    name: str
    title: str
    about: str
    tree: Tree
    references: tuple[Reference, ...] = ()
    order: int = 100
    quick: Quick | None = None
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fallback: Fallback | None = None
    lens: str = ""
    steps_per_epoch: int | None = None  # at its own batch size, where its text counts in epochs
    is_own: bool = False  # one of the person's own

    def runs(self, quick: bool = False) -> tuple[Tree, ...]:
        """Return the configurations that reproduce the recipe: one, or one a combination of its grid's values."""
        first = self.quick.tree if quick and self.quick else self.tree
        combinations = itertools.product(*self.grid.values())
        return tuple(_varied(first, dict(zip(self.grid, values, strict=True))) for values in combinations)

    @property
    def family(self) -> str:
        """The kind of model, such as `gpt`."""
        return self.tree["model"]["kind"]


def load_recipes(
    folder: Traversable | None = None, on_error: Callable[[UserError], None] | None = None
) -> dict[str, Recipe]:
    """Return the recipes of a folder (those that ship, by default) by name, in the order in which a picker shows them.

    A recipe that cannot be used raises `UserError`, or is left out and told to `on_error` where that is given.
    """

    def refuse(error: UserError) -> None:
        if on_error is None:
            raise error from None
        on_error(error)

    found = []
    for path in _files(folder or resources.files("torchtty.assets").joinpath("recipes")):
        try:
            found.append(read_recipe(path))
        except UserError as error:
            refuse(error)
    trees = {recipe.name: recipe.tree for recipe in found}
    for recipe in list(found):
        try:
            check_recipe(recipe.fallback, trees)
        except UserError as error:
            refuse(UserError(f"Recipe '{recipe.name}' cannot be used: {error}"))
            found.remove(recipe)
    return {recipe.name: recipe for recipe in sorted(found, key=lambda recipe: (recipe.order, recipe.name))}


def read_shipped(name: str) -> Recipe:
    """Read one of the recipes that ship, alone: all of them take ten times as long."""
    return read_recipe(resources.files("torchtty.assets").joinpath("recipes", f"{name}.toml"))


def is_shipped(name: str) -> bool:
    """Whether a recipe of that name ships."""
    return resources.files("torchtty.assets").joinpath("recipes", f"{name}.toml").is_file()


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
    except RecursionError:
        raise UserError(f"Recipe '{name}' cannot be read: it is nested too deeply.") from None
    try:
        title, about = _text(content, "title"), _text(content, "about")
        order = content.pop("order", 100)
        if not isinstance(order, int):
            raise UserError("order must be a whole number")
        lens = content.pop("lens", "")
        if not isinstance(lens, str):
            raise UserError("lens must be the name of a lens")
        epoch = content.pop("steps_per_epoch", None)
        if epoch is not None and (type(epoch) is not int or epoch < 1):
            raise UserError("steps_per_epoch must be a whole number above 0")
        references = _references(content)
        quick, grid, fallback = content.pop("quick", None), content.pop("grid", {}), content.pop("fallback", None)
        tree = complete(content)
        recipe = Recipe(
            name,
            title,
            about,
            tree,
            references,
            order,
            _quick(tree, quick),
            _grid(grid),
            read_fallback(tree, fallback),
            lens,
            epoch,
        )
        recipe.runs()
        return recipe
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


def _references(content: dict[str, Any]) -> tuple[Reference, ...]:
    with contextlib.suppress(TypeError):
        found = tuple(Reference(**entry) for entry in content.pop("references", []))
        if all(map(_is_sound, found)):
            return found
    raise UserError(
        "each of its references needs metric, source and a number as value or at_most, and may have spread, step and where"
    )


def _is_sound(reference: Reference) -> bool:
    numbers = (reference.value or 0, reference.spread, reference.at_most or 0, reference.step or 0)
    bounded = reference.value is not None or reference.at_most is not None
    return bounded and all(isinstance(number, int | float) for number in numbers) and bool(reference.source)


def _quick(tree: Tree, content: Any) -> Quick | None:
    if content is None:
        return None
    if not isinstance(content, dict) or not all(
        isinstance(part, dict) for key, part in content.items() if key != "references"
    ):
        raise UserError("quick must hold sections with what differs, and references")
    references = _references(content)
    changes = {f"{name}.{key}": value for name, part in content.items() for key, value in part.items()}
    return Quick(_varied(tree, changes), references)


def _varied(tree: Tree, values: Mapping[str, Any]) -> Tree:
    changed: Tree = tree
    for path, value in values.items():
        changed = with_value(changed, path, value)
    return parse(changed).tree()


def _grid(content: Any) -> dict[str, tuple[Any, ...]]:
    if isinstance(content, dict) and all(isinstance(values, list) and values for values in content.values()):
        return {path: tuple(values) for path, values in content.items()}
    raise UserError('grid must hold settings with the list of their values, such as "training.seed" = [1, 2]')


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
