"""What can be trained by name: a model family, a recipe, or a configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract.catalogue import catalogue
from engine.contract.configuration import FAMILIES, Configuration, Problem, load, parse, starting_tree, with_value
from engine.contract.recipes import Recipe, load_recipes
from tui.cli.console import UsageError, say
from tui.cli.flags import close_names


@dataclass(frozen=True)
class Choice:
    """A configuration to start from and where it comes from."""

    name: str
    title: str
    about: str
    tree: Mapping[str, Any]
    recipe: str | None = None

    @property
    def kind(self) -> str:
        return str(self.tree["model"]["kind"])


def recipes() -> dict[str, Recipe]:
    """Return the recipes that can be used; one that cannot is told and left out."""
    return load_recipes(on_error=lambda error: say(f"warning: {error}"))


def chosen(name: str) -> Choice:
    """Find a model family, a recipe or a `.toml` file; raise a `UsageError` with a suggestion if there is none."""
    if name in FAMILIES:
        family = FAMILIES[name]
        return Choice(name, family.title, family.summary, starting_tree(name))
    if name.endswith(".toml"):
        return Choice(name, Path(name).name, f"The configuration in {name}.", load(Path(name)).tree())
    known = recipes()
    if name in known:
        recipe = known[name]
        return Choice(name, recipe.title, recipe.about, recipe.tree, recipe=name)
    raise UsageError(
        f"There is no model or recipe called '{name}'.{close_names(name, [*FAMILIES, *known])}\n"
        f"Models: {', '.join(FAMILIES)}\nRecipes: {', '.join(known)}"
    )


def with_whole_path(configuration: Configuration) -> Configuration:
    """Return the configuration with the path of its corpus made absolute, so that it can be resumed from any folder.

    Raises a `UsageError` if the dataset is neither known nor a file: said here, before a worker has to start for it.
    """
    tree = configuration.tree()
    dataset = tree.get("data", {}).get("dataset")
    if not isinstance(dataset, str) or dataset in catalogue():
        return configuration
    path = Path(dataset).expanduser()
    if not path.exists():
        hint = close_names(dataset, catalogue())
        problem = Problem("data.dataset", f"is neither a known dataset nor a file: '{dataset}'.{hint}")
        raise UsageError(f"--{problem}\n'torchtty data' lists the datasets; any UTF-8 text file will do.")
    return parse(with_value(tree, "data.dataset", str(path.absolute())))
