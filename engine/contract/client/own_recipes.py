"""A person's own recipes: `recipes/*.toml` in the configuration folder, in the form of those that ship."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import config_folder
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.settings.configuration import difference, parse, starting_tree
from torchtty.engine.contract.settings.fallbacks import check_recipe
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.recipes import Recipe, load_recipes, read_recipe

ABOUT = "A recipe of your own."


def own_recipes_folder() -> Path:
    """Return the folder of a person's own recipes, which need not be there."""
    return config_folder() / "recipes"


def all_recipes(on_error: Callable[[UserError], None]) -> dict[str, Recipe]:
    """Return the recipes that ship and then a person's own by name, in the order of a picker.

    One that cannot be used is left out and told to `on_error`.
    """
    shipped = load_recipes(on_error=on_error)
    folder = own_recipes_folder()
    if not os.path.isdir(folder):
        return shipped
    own: dict[str, Recipe] = {}
    try:
        files = [path for path in sorted(folder.iterdir()) if path.suffix == ".toml"]
    except OSError as error:
        on_error(UserError(f"Your recipes in {folder} cannot be read: {error.strerror or error}."))
        return shipped
    for path in files:
        try:
            recipe = read_recipe(path)
            _check_free(recipe.name, shipped)
            check_recipe(recipe.fallback, {name: known.tree for name, known in shipped.items()})
        except UserError as error:
            on_error(UserError(f"{error} It is {path}: correct it or delete it."))
        else:
            own[recipe.name] = replace(recipe, is_own=True)
    return shipped | dict(sorted(own.items(), key=lambda item: (item[1].order, item[0])))


def recipe_name(title: str) -> str:
    """Return the name of the recipe with this title, as it stands in a command: `my-small-gpt`; empty where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")


def save_recipe(
    title: str,
    tree: Tree,
    shipped: Mapping[str, Recipe],
    about: str = ABOUT,
    grid: Mapping[str, tuple[Any, ...]] | None = None,
) -> Recipe:
    """Write a configuration as a recipe of one's own, in place of an earlier one of this name; return it.

    `grid` holds settings with several values: a run for every combination. Raises `UserError`.
    """
    name = recipe_name(title)
    if not name:
        raise UserError("A recipe needs a name with a letter or a digit in it.")
    _check_free(name, shipped)
    kind = tree["model"]["kind"]
    content: dict[str, Any] = {"title": " ".join(title.split()), "about": about, "model": {"kind": kind}}
    start, whole = starting_tree(kind), parse(tree).tree()
    for section, values in whole.items():
        if values.get("kind") != start[section].get("kind"):  # which starts from its own defaults
            start[section] = {}
    for path, (_, value) in difference(start, whole).items():
        section, _, field = path.partition(".")
        if value is not None:  # TOML has no none
            content.setdefault(section, {})[field] = value
    for path, several in (grid or {}).items():
        if None in several:
            raise UserError(f"A recipe cannot have none among several values, as {path} has it: give it others.")
        content.setdefault("grid", {})[path] = list(several)
    target = own_recipes_folder() / f"{name}.toml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, tomli_w.dumps(content))
    except OSError as error:
        advice = "Set TORCHTTY_CONFIG to a folder you can write to."
        raise UserError(f"The recipe cannot be written to {target}: {error.strerror or error}. {advice}") from None
    return replace(read_recipe(target), is_own=True)


def delete_recipe(name: str) -> Path:
    """Delete a recipe of one's own; return its former path. Raises `UserError`."""
    path = own_recipes_folder() / f"{name}.toml"
    if recipe_name(name) != name or not os.path.isfile(path):
        raise UserError(f"There is no recipe of yours called '{shortened(name)}' in {own_recipes_folder()}.")
    try:
        path.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be deleted: {error.strerror or error}.") from None
    return path


def _check_free(name: str, shipped: Mapping[str, Recipe]) -> None:
    if name in FAMILIES or (name in shipped and not shipped[name].is_own):
        what = "model" if name in FAMILIES else "recipe that ships"
        raise UserError(f"There is a {what} called '{name}' already: choose another name.")
