"""A run being composed: the values entered so far, what they came from, and what is wrong with them."""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import (
    ConfigurationError,
    kinds,
    parse,
    specs,
    starting_tree,
    variant,
)
from torchtty.engine.contract.settings.family import Configuration, Tree
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.engine.contract.settings.recipes import Recipe


class Draft:
    """The settings of one model family on their way to a configuration.

    `base` is what the settings came from (a recipe, a model's own start, or a run) and what a reset returns to. A text that
    is no value is kept beside the last good value, so that a person finds their own words again.
    """

    def __init__(self, base: Tree, recipe: str | None = None) -> None:
        self.base = deepcopy(base)  # what a live run was given becomes its base, and a recipe's tree is everybody's
        self.recipe = recipe
        self.tree: Tree = deepcopy(base)
        self._wrong: dict[str, tuple[str, str]] = {}  # path -> (text, message)
        self._reported: dict[str, str] = {}  # problems that only the worker can see, such as a missing file
        self._left: dict[tuple[str, str], dict[str, Any]] = {}  # sections of the kinds that were left, to come back to

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> "Draft":
        return cls(recipe.tree, recipe.name)

    @classmethod
    def from_family(cls, family: str, before: "Draft | None" = None) -> "Draft":
        """Start from a model's own defaults, on the dataset that was chosen before if the model can learn from that."""
        draft = cls(starting_tree(family))
        if before is not None and before.reads_text == draft.reads_text:
            draft.set("data.dataset", before.value("data.dataset"))
        return draft

    @property
    def reads_text(self) -> bool:
        """Whether the model learns from text, not from pictures."""
        return "tokenizer" in self.base

    @property
    def family(self) -> str:
        kind: str = self.base["model"]["kind"]
        return kind

    def specs(self) -> list[FieldSpec]:
        """List the settings there are, given the kinds that are chosen; a section's choice of kind comes first."""
        found: list[FieldSpec] = []
        settings = specs(self.family, self.tree)
        for section in self.tree:
            names = kinds(self.family, section) if section != "model" else ()
            if len(names) > 1:
                about = f"Which {section} is used; each kind brings its own settings."
                found.append(FieldSpec(f"{section}.kind", str, names[0], about, choices=names))
            found.extend(spec for spec in settings if spec.section == section)
        return found

    def help(self, spec: FieldSpec) -> str:
        """Explain a setting in a sentence; a kind is explained by what is chosen."""
        if spec.name != "kind":
            return spec.help
        chosen = variant(self.family, spec.section, self.tree[spec.section]["kind"])
        return (chosen.__doc__ or spec.help).strip().partition("\n")[0]

    def value(self, path: str) -> Any:
        section, _, name = path.partition(".")
        return self.tree[section][name]

    def start(self, path: str) -> Any:
        """Return the value a reset brings back."""
        section, _, name = path.partition(".")
        origin = self.base.get(section, {})
        if origin.get("kind") == self.tree[section].get("kind") and name in origin:
            return origin[name]
        return next(spec.default for spec in self.specs() if spec.path == path)

    def text(self, path: str) -> str:
        """Return what the field shows: what was typed if that is no value, else the value; none is left empty."""
        if path in self._wrong:
            return self._wrong[path][0]
        value = self.value(path)
        return "" if value is None else show(value)

    def is_modified(self, path: str) -> bool:
        if path in self._wrong:
            return True
        if path.endswith(".kind"):
            section = path.partition(".")[0]
            return bool(self.tree[section]["kind"] != self.base[section]["kind"])
        return bool(self.value(path) != self.start(path))

    def set(self, path: str, value: Any) -> None:
        """Change one value; changing a `kind` brings that kind's settings."""
        section, _, name = path.partition(".")
        self._wrong.pop(path, None)
        self._reported.pop(path, None)
        if name == "kind":
            self._change_kind(section, value)
        else:
            self.tree[section][name] = value

    def enter(self, spec: FieldSpec, text: str) -> None:
        """Take what a person typed: a value, or a text that is remembered as wrong with the reason."""
        try:
            value = spec.parse(text)
        except UserError:
            self._reported.pop(spec.path, None)
            self._wrong[spec.path] = (text, f"takes {spec.allowed()}")
        else:
            self.set(spec.path, value)

    def reset(self, path: str) -> None:
        section, _, name = path.partition(".")
        self.set(path, self.base[section]["kind"] if name == "kind" else self.start(path))

    def report(self, problems: Mapping[str, str]) -> None:
        """Remember what the worker found wrong; it replaces what it found before."""
        self._reported = dict(problems)

    def problems(self) -> dict[str, str]:
        """Return what is wrong, {path: message}, in the order of the form."""
        found = {path: message for path, (_, message) in self._wrong.items()}
        try:
            parse(self.tree)
        except ConfigurationError as error:
            for problem in error.problems:
                found.setdefault(problem.path, problem.message)
        for spec in self.specs():
            if spec.is_path and not spec.optional and self.value(spec.path) == "" != spec.default:
                found.setdefault(spec.path, f"takes {spec.allowed()}: write its path")
        for path, message in self._reported.items():
            found.setdefault(path, message)
        order = {spec.path: index for index, spec in enumerate(self.specs())}
        return {path: found[path] for path in sorted(found, key=lambda path: order.get(path, -1)) if path in order}

    def configuration(self) -> Configuration:
        """Return the finished configuration; raise `ConfigurationError` while something is wrong."""
        return parse(self.tree)

    def _change_kind(self, section: str, kind: str) -> None:
        old = self.tree[section]
        if old["kind"] == kind:
            return
        self._left[section, old["kind"]] = old
        prefix = f"{section}."
        self._wrong = {path: entry for path, entry in self._wrong.items() if not path.startswith(prefix)}
        remembered = self._left.get((section, kind))
        origin = self.base[section]
        if remembered is not None:
            self.tree[section] = remembered
        elif origin["kind"] == kind:
            self.tree[section] = deepcopy(origin)
        else:
            self.tree[section] = {"kind": kind}
            defaults = {spec.name: spec.default for spec in specs(self.family, self.tree) if spec.section == section}
            self.tree[section] |= defaults


def sentence(path: str, message: str) -> str:
    """Write a problem of a setting away from the setting: its path in front, unless the message names one itself."""
    if re.match(r"[a-z]+\.[a-z_]+\b", message):
        return message
    return f"{path}: {message}" if message[:1].isupper() else f"{path} {message}"
