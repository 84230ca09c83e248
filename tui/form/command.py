"""The command that does what the form does."""

import os
import shlex
from collections.abc import Mapping
from typing import Any

from torchtty.engine.contract.paths import expanded, written_path
from torchtty.engine.contract.settings.configuration import difference, specs
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.fields import FieldSpec, exact
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.tui.form.draft import Draft


def command_of(draft: Draft, recipes: Mapping[str, Recipe]) -> str:
    """Return the command line that starts a draft, with a flag for each value that differs from where it started."""
    recipe, several = recipes.get(draft.recipe or ""), draft.several
    if draft.fork is not None:
        words, start = ["fork", draft.fork.run.name, "--step", str(draft.fork.step)], draft.fork.settings
    else:
        # `sweep` takes what the recipe's grid has besides, `train` does not.
        verb = "sweep" if several and not (recipe and set(recipe.grid) - set(several)) else "train"
        words, start = [verb, recipe.name if recipe is not None else draft.family], draft.base
    flags: list[str] = []
    start = {section: dict(values) for section, values in start.items()}
    for section, values in draft.tree.items():
        kind = values.get("kind")
        if f"{section}.kind" in several:
            flags += _flag(f"{section}.kind", draft.exact_text(f"{section}.kind"))
        elif kind != start.get(section, {}).get("kind"):
            flags += _flag(f"{section}.kind", str(kind))
        if kind != start.get(section, {}).get("kind"):
            start[section] = {"kind": kind} | _defaults(draft, section)
    fields = {spec.path: spec for spec in draft.specs()}
    changed = {path: value for path, (_, value) in difference(start, draft.tree).items()}
    for path in fields:
        if path in several and not path.endswith(".kind"):
            flags += _flag(path, draft.exact_text(path))
        elif path in changed:
            flags += _flag(path, _written(fields[path], changed[path]))
    return shlex.join(["torchtty", *words, *flags])


def _flag(path: str, text: str) -> list[str]:
    return [f"--{path}={text}"] if text.startswith("--") else [f"--{path}", text]


def _defaults(draft: Draft, section: str) -> Tree:
    return {spec.name: spec.default for spec in specs(draft.family, draft.tree) if spec.section == section}


def _written(spec: FieldSpec, value: Any) -> str:
    """Write a value so that it is read back as the same one."""
    if spec.is_path and value and os.path.exists(file := expanded(written_path(value))):
        return str(file.absolute())
    return exact(value)
