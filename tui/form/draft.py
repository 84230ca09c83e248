"""The draft of a run: the values entered so far, the values they started from, and their problems."""

import os
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeGuard

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.values import Span, Value, is_several, read_values
from torchtty.engine.contract.paths import expanded, written_path
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.configuration import (
    ConfigurationError,
    kinds,
    parse,
    specs,
    starting_tree,
    variant,
)
from torchtty.engine.contract.settings.data import DATASET, FIELD
from torchtty.engine.contract.settings.family import Configuration, Tree
from torchtty.engine.contract.settings.fields import FieldSpec, exact, in_form_order, show
from torchtty.engine.contract.settings.recipes import Recipe

if TYPE_CHECKING:
    from torchtty.engine.contract.client.fork import ForkPoint
    from torchtty.engine.contract.experiments.sweep import Sweep


class Draft:
    """The settings of one model family, valid or not yet.

    `base` holds the values the draft started from (a recipe's, a model's defaults, or a run's), to which a reset returns. A
    text that is no valid value is stored beside the last valid one, so that it can be corrected. Of a setting with several
    values the tree holds the first one: it is the configuration of the first run.
    """

    def __init__(self, base: Tree, recipe: str | None = None) -> None:
        self.base = deepcopy(base)  # live edits change it, and a recipe's tree is shared
        self.recipe = recipe
        self.tree: Tree = deepcopy(base)
        self.fork: ForkPoint | None = None  # the checkpoint that the run is to begin from
        self.is_live = False  # whether these are the settings of a run that trains
        self._invalid: dict[str, tuple[str, str]] = {}  # path -> (text, message)
        self._several: dict[str, tuple[str, tuple[Value, ...]]] = {}  # path -> (text, what it stands for)
        self._combined: tuple[object, dict[str, str]] = (None, {})  # the problems of a combination that was looked at
        self._edited: list[str] = []  # paths in the order of their last change
        self._reported: dict[str, str] = {}  # problems that only the worker can detect, such as a missing file
        self._former: dict[tuple[str, str], dict[str, Any]] = {}  # the values of kinds that were chosen before

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> "Draft":
        return cls(recipe.tree, recipe.name)

    @classmethod
    def from_family(cls, family: str, before: "Draft | None" = None) -> "Draft":
        """Start from a model's defaults, on the dataset of the draft before if the model can learn from it."""
        draft = cls(starting_tree(family))
        if before is not None and before.reads_text == draft.reads_text:
            draft.set("data.dataset", before.value("data.dataset"))
        return draft

    @classmethod
    def like(cls, tree: Tree, origin: Recipe | None) -> "Draft":
        """Start with the settings of a run, marked where they differ from its recipe, or from the model's defaults."""
        draft = cls.from_recipe(origin) if _is_of(origin, tree) else cls.from_family(tree["model"]["kind"])
        draft.tree = deepcopy(tree)
        return draft

    @classmethod
    def from_checkpoint(cls, point: "ForkPoint", origin: Recipe | None = None) -> "Draft":
        """Start a fork with the settings that its parent had at the checkpoint; `origin` is the parent's recipe."""
        draft = cls(point.settings, origin.name if origin is not None and _is_of(origin, point.settings) else None)
        draft.fork = point
        return draft

    @property
    def reads_text(self) -> bool:
        """Whether the model learns from text, not from pictures."""
        return "tokenizer" in self.base

    @property
    def family(self) -> str:
        return str(self.base["model"]["kind"])

    def specs(self) -> list[FieldSpec]:
        """List the settings of the chosen kinds in the order of the form; each section's choice of kind comes first."""
        found: list[FieldSpec] = []
        settings = specs(self.family, self.tree)
        for section in self.tree:
            names = kinds(self.family, section) if section != "model" else ()
            if len(names) > 1:
                about = f"Which {section} is used; each kind brings its own settings."
                chosen = variant(self.family, section, self.tree[section]["kind"])
                folds, heading = chosen.folds, chosen.heading or section
                spec = FieldSpec(f"{section}.kind", str, names[0], about, names, folds=folds, heading=heading)
                found.append(spec)
            found.extend(spec for spec in settings if spec.section == section)
        return in_form_order(found)

    def help(self, spec: FieldSpec) -> str:
        """Explain a setting in a sentence; for a kind, explain the chosen one."""
        if spec.name != "kind":
            return spec.help
        chosen = variant(self.family, spec.section, self.tree[spec.section]["kind"])
        return (chosen.__doc__ or spec.help).strip().partition("\n")[0]

    def value(self, path: str) -> Any:
        section, _, name = path.partition(".")
        return self.tree[section][name]

    def kind_of(self, section: str) -> str | None:
        """Return the chosen kind of a section, if it has kinds."""
        return self.tree.get(section, {}).get("kind")

    def start(self, path: str) -> Any:
        """Return the value to which a reset returns."""
        section, _, name = path.partition(".")
        origin = self.base.get(section, {})
        if origin.get("kind") == self.tree[section].get("kind") and name in origin:
            return origin[name]
        return next(spec.default for spec in self.specs() if spec.path == path)

    def text(self, path: str) -> str:
        """Return the text of the field: an invalid text as it was typed, else the value; none is empty."""
        if path in self._invalid:
            return self._invalid[path][0]
        if path in self._several:
            return self._several[path][0]
        value = self.value(path)
        return "" if value is None else show(value)

    def exact_text(self, path: str) -> str:
        """Return a text that brings back this very state of the field."""
        if path in self._invalid:
            return self._invalid[path][0]
        if path in self._several:
            return self._several[path][0]
        return "" if self.value(path) is None else exact(self.value(path))

    def is_modified(self, path: str) -> bool:
        if path in self._invalid or path in self._several:
            return True
        if path.endswith(".kind"):
            section = path.partition(".")[0]
            return bool(self.tree[section]["kind"] != self.base[section]["kind"])
        return bool(self.value(path) != self.start(path))

    def set(self, path: str, value: Any) -> None:
        """Change one value; changing a `kind` exchanges the settings of the section."""
        section, _, name = path.partition(".")
        self._note_edit(path)
        self._invalid.pop(path, None)
        self._several.pop(path, None)
        self._reported.pop(path, None)
        if name == "kind":
            self._change_kind(section, value)
        else:
            self.tree[section][name] = value

    def enter(self, spec: FieldSpec, text: str) -> None:
        """Store a typed text: as a value, as several of them, or as an invalid text with the reason."""
        try:
            if is_several(spec, text):
                self._enter_several(spec, text)
            else:
                self.set(spec.path, spec.parse(text))
        except UserError as error:
            self._note_edit(spec.path)
            self._reported.pop(spec.path, None)
            self._several.pop(spec.path, None)
            message = str(error).removeprefix(f"{spec.path} ").rstrip(".")
            self._invalid[spec.path] = (text, message if is_several(spec, text) else f"takes {spec.allowed()}")

    def _enter_several(self, spec: FieldSpec, text: str) -> None:
        if not self.takes_several:
            raise UserError(f"takes one value: {'this run trains' if self.is_live else 'a fork is one run'}")
        values = read_values(spec, text)
        if isinstance(values, Span):
            many = f"{text.strip()}{'' if values.log else ' lin'} 5"
            raise UserError(f"is a range: say how many numbers of it, such as '{many}', or list them")
        self.set(spec.path, values[0])
        if len(values) > 1:
            self._several[spec.path] = (text.strip(), values)

    # Several values.

    @property
    def takes_several(self) -> bool:
        """Whether these may be the settings of several runs."""
        return not self.is_live and self.fork is None

    @property
    def several(self) -> dict[str, tuple[Value, ...]]:
        """The settings that have several values, and these, in the order of the form."""
        return {spec.path: self._several[spec.path][1] for spec in self.specs() if spec.path in self._several}

    def sweep(self, grid: Mapping[str, tuple[Value, ...]] | None = None) -> "Sweep":
        """Return the sweep of the settings with several values, and of a recipe's `grid` where that is given.

        What was changed here takes the place of what the grid has. Raises `ConfigurationError`.
        """
        # Here: one run needs none of it, and the form opens sooner without.
        from torchtty.engine.contract.experiments.sweep import define

        varied_kinds = {path.partition(".")[0] for path in self._several if path.endswith(".kind")}
        texts = {path: text for path, (text, _) in self._several.items()}
        for spec in self.specs():
            path = spec.path
            if path not in texts and self.is_modified(path) and (spec.section in varied_kinds or path in (grid or {})):
                texts[path] = exact(self.value(path))
        return define(self.portable(), texts, grid, recipe=self.recipe, sweeps=False)

    def _problems_of_combinations(self) -> dict[str, str]:
        """Return what is wrong with a sweep as a whole, {path: message}: a combination that cannot be, or too many runs."""
        if not self._several:
            return {}
        key = (repr(self.tree), dict(self._several))
        if self._combined[0] != key:
            found: dict[str, str] = {}
            try:
                self.sweep().check()
            except ConfigurationError as error:
                for problem in error.problems:
                    found.setdefault(*self._at_edited(problem.path, problem.message))
            except UserError as error:
                last = next(path for path in reversed(self._edited) if path in self._several)
                found[last] = str(error).rstrip(".")
            self._combined = (key, found)
        return self._combined[1]

    def reset(self, path: str) -> None:
        section, _, name = path.partition(".")
        self.set(path, self.base[section]["kind"] if name == "kind" else self.start(path))

    def drop_former_field(self) -> bool:
        """Empty `data.field` where it was chosen for what was learnt from before; return whether it was."""
        order = {path: index for index, path in enumerate(self._edited)}
        is_former = order.get(DATASET, -1) > order.get(FIELD, -1)
        if not is_former or FIELD in self._several or not self.tree["data"].get("field"):
            return False
        self.tree["data"]["field"] = None
        self._reported.pop(FIELD, None)
        return True

    def report(self, problems: Mapping[str, str]) -> None:
        """Store the problems that the worker reports, in place of its former ones."""
        self._reported = dict(problems)

    def report_one(self, path: str, problem: str) -> None:
        """Store a problem that was found before the worker has looked."""
        self._reported[path] = problem

    def problems(self) -> dict[str, str]:
        """Return the problems, {path: message}, in the order of the form.

        A problem between several settings is shown at the one that was edited last.
        """
        found = {path: message for path, (_, message) in self._invalid.items()}
        try:
            configuration = parse(self.tree)
            if self.fork is not None:
                from torchtty.engine.contract.client.fork import refused  # here: it brings all that a run directory has

                found |= {problem.path: problem.message for problem in refused(self.fork, configuration)}
        except ConfigurationError as error:
            for problem in error.problems:
                found.setdefault(*self._at_edited(problem.path, problem.message))
        if not found:
            found |= self._problems_of_combinations()
        for spec in self.specs():
            if spec.is_path and not spec.optional and self.value(spec.path) == "" != spec.default:
                found.setdefault(spec.path, "Type a path")
        for path, message in self._reported.items():
            found.setdefault(path, message)
        order = {spec.path: index for index, spec in enumerate(self.specs())}
        return {path: found[path] for path in sorted(found, key=lambda path: order.get(path, -1)) if path in order}

    def configuration(self) -> Configuration:
        """Return the configuration; raise `ConfigurationError` if a value is invalid."""
        return parse(self.portable())

    def portable(self) -> Tree:
        """Return the values with the paths of files made absolute, so that they mean the same from any folder."""
        tree = deepcopy(self.tree)
        for spec in self.specs():
            path = tree[spec.section][spec.name]
            if spec.is_path and path and path not in catalogue():
                file = expanded(written_path(path))
                if os.path.exists(file):
                    tree[spec.section][spec.name] = str(file.absolute())
        return tree

    @property
    def was_edited(self) -> bool:
        """Whether anything was changed in it."""
        return bool(self._edited)

    def _note_edit(self, path: str) -> None:
        self._edited = [*(edited for edited in self._edited if edited != path), path]

    def _at_edited(self, path: str, message: str) -> tuple[str, str]:
        """Return where to show a problem and how to word it there.

        Of the setting at `path` and those of its section that the message names, the one edited last has the problem.
        """
        section = path.partition(".")[0]
        named = {path, *(f"{section}.{word}" for word in re.findall(r"\w+", message))}
        culprit = next((edited for edited in reversed(self._edited) if edited in named), path)
        return (path, message) if culprit == path else (culprit, f"{path} {message}")

    def _change_kind(self, section: str, kind: str) -> None:
        old = self.tree[section]
        if old["kind"] == kind:
            return
        self._former[section, old["kind"]] = old
        prefix = f"{section}."
        self._invalid = {path: entry for path, entry in self._invalid.items() if not path.startswith(prefix)}
        self._several = {path: entry for path, entry in self._several.items() if not path.startswith(prefix)}
        former = self._former.get((section, kind))
        origin = self.base[section]
        if former is not None:
            self.tree[section] = former
        elif origin["kind"] == kind:
            self.tree[section] = deepcopy(origin)
        else:
            self.tree[section] = {"kind": kind}
            defaults = {spec.name: spec.default for spec in specs(self.family, self.tree) if spec.section == section}
            self.tree[section] |= defaults


def _is_of(recipe: Recipe | None, tree: Tree) -> TypeGuard[Recipe]:
    """Whether a recipe is still one for the model that a run has."""
    return recipe is not None and bool(recipe.tree["model"]["kind"] == tree["model"]["kind"])


def sentence(path: str, message: str) -> str:
    """Word a problem for another place than its field: with the path in front, unless the message begins with one."""
    if re.match(r"[a-z]+\.[a-z_]+\b", message):
        return message
    return f"{path}: {message}" if message[:1].isupper() else f"{path} {message}"
