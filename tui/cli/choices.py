"""What can be trained by name: a model family, a recipe, or a configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.configuration import load, parse, specs, starting_tree, with_value
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.recipes import Recipe, load_recipes
from torchtty.tui.cli.console import UsageError, say
from torchtty.tui.cli.flags import close_names


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


def with_whole_paths(configuration: Configuration) -> Configuration:
    """Return the configuration with the paths of its files made absolute, so that it can be resumed from any folder.

    Raises a `UsageError` if the dataset is neither known nor a file: said here, before a worker has to start for it.
    """
    tree = configuration.tree()
    for spec in specs(configuration.kind, tree):
        name = tree.get(spec.section, {}).get(spec.name)
        if not spec.is_path or not isinstance(name, str) or not name or name in catalogue():
            continue
        path = Path(name).expanduser()
        if path.exists():
            tree = with_value(tree, spec.path, str(path.absolute()))
        elif spec.path == "data.dataset":
            problem = f"--data.dataset is neither a known dataset nor a file: '{name}'.{close_names(name, catalogue())}"
            raise UsageError(f"{problem}\n'torchtty data' lists the datasets; any UTF-8 text file will do.")
    return parse(tree)
