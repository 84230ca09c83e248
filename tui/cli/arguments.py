"""What a person types: a model, a recipe or a file to start from, and settings as `--section.field value`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torchtty.engine.contract.client.dataset_look import refuse_unreadable
from torchtty.engine.contract.client.own_recipes import all_recipes
from torchtty.engine.contract.client.piped_text import is_piped, keep_piped
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.variation import fields_of
from torchtty.engine.contract.paths import expanded, written_path
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.settings.abbreviations import written_out
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.configuration import (
    ConfigurationError,
    Problem,
    kinds,
    load,
    parse,
    specs,
    starting_tree,
    with_flags,
    with_value,
)
from torchtty.engine.contract.settings.data import DATASET
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import FieldSpec
from torchtty.engine.contract.settings.recipes import Recipe
from torchtty.engine.contract.settings.training import OF_THE_MACHINE
from torchtty.tui.cli.console import UsageError, notify
from torchtty.tui.form.dataset_facts import naming_settings

HELP = ("--help", "-h")


@dataclass(frozen=True)
class Preset:
    """A configuration to start from: that of a model family, a recipe or a file."""

    name: str
    title: str
    about: str
    tree: Mapping[str, Any]
    recipe: str | None = None

    @property
    def kind(self) -> str:
        return str(self.tree["model"]["kind"])


def recipes() -> dict[str, Recipe]:
    """Return the recipes that can be used; warn of one that cannot."""
    return all_recipes(on_error=lambda error: notify(f"warning: {error}"))


def preset_named(name: str) -> Preset:
    """Find a model family, a recipe or a `.toml` file; raise a `UsageError` with a suggestion if there is none."""
    if name in FAMILIES:
        family = FAMILIES[name]
        return Preset(name, family.title, family.summary, starting_tree(name))
    if name.endswith(".toml"):
        return Preset(name, Path(name).name, f"The configuration in {name}.", load(Path(name)).tree())
    known = recipes()
    if name in known:
        recipe = known[name]
        return Preset(name, recipe.title, recipe.about, recipe.tree, recipe=name)
    raise UsageError(
        f"There is no model or recipe called '{name}'.{suggestion(name, [*FAMILIES, *known])}\n"
        f"Models: {', '.join(FAMILIES)}\nRecipes: {', '.join(known)}"
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known names nearest to a misspelt one, or nothing."""
    close = get_close_matches(name.lower(), list(known), n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def with_absolute_paths(configuration: Configuration) -> Configuration:
    """Return the configuration with the paths of its files made absolute, so that it can be resumed from any folder.

    A text that is piped in is kept in a file, whose path it gets.

    Raises a `UsageError` if the dataset is neither known nor a file, before a worker has to start to find that out.
    """
    tree = configuration.tree()
    for spec in specs(configuration.kind, tree):
        name = tree.get(spec.section, {}).get(spec.name)
        if not spec.is_path or not isinstance(name, str) or not name or name in catalogue():
            continue
        path = keep_piped(name) if spec.path == DATASET and is_piped(name) else expanded(written_path(name))
        if os.path.lexists(path):
            tree = with_value(tree, spec.path, str(path.absolute()))
        elif spec.path == DATASET:
            raise UsageError(
                f"--data.dataset is neither a known dataset nor a file: '{shortened(name)}'.{suggestion(name, catalogue())}\n"
                "'torchtty data' lists the datasets; a text file or a folder of them can be used too, or - for standard input."
            )
    return parse(tree)


def refuse_unreadable_data(configuration: Configuration) -> None:
    """Raise a `UsageError` where a person's own text cannot be read as they say, before a run is made of it."""
    try:
        refuse_unreadable(configuration)
    except UserError as error:
        raise UsageError(naming_settings(str(error), r"--data.\1")) from None


# Settings.


@dataclass
class Arguments:
    """Parsed arguments: words, settings (None where the value is missing), and options that are unknown."""

    words: list[str] = field(default_factory=list)
    settings: dict[str, str | None] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    wants_help: bool = False


def parse_argv(arguments: Sequence[str]) -> Arguments:
    """Sort arguments into words and settings; both `--a.b value` and `--a.b=value` are a setting, `--` ends them."""
    found = Arguments(wants_help=any(argument in HELP for argument in arguments))
    rest = [argument for argument in arguments if argument not in HELP]
    while rest:
        token = rest.pop(0)
        if token == "--":
            found.words.extend(rest)
            break
        if not token.startswith("-") or token == "-":
            found.words.append(token)
        elif not token.startswith("--"):
            found.unknown.append(token)
        else:
            name, equals, value = token[2:].partition("=")
            path = name.replace("-", "_")
            if equals:
                found.settings[path] = value
            elif rest and not rest[0].startswith("--"):
                value = rest.pop(0)
                if ".." in value and rest and rest[0] in ("log", "lin"):  # 1e-4..1e-1 log 7, unquoted
                    value = f"{value} {rest.pop(0)}"
                    if rest and rest[0].isdigit():
                        value = f"{value} {rest.pop(0)}"
                found.settings[path] = value
            else:
                found.settings[path] = None
    return found


def configured(tree: Mapping[str, Any], arguments: Arguments) -> Configuration:
    """Apply settings to a tree; raise a `UsageError` that names every invalid one, one a line."""
    kind = str(tree["model"]["kind"])
    problems = [Problem(token, "is not an option; settings begin with two dashes") for token in arguments.unknown]
    flags: dict[str, str] = {}
    fields = settings_by_path(kind, tree, arguments.settings)
    for name, text in arguments.settings.items():
        path, problem = _full_path(name, fields)
        if problem:
            problems.append(problem)
        elif text is None and path in fields and fields[path].type is bool:
            flags[path] = "yes"
        elif text is None and path in fields:
            problems.append(Problem(path, f"needs a value: {fields[path].allowed()}"))
        else:
            flags[path] = text or ""
    try:
        configuration = with_flags(tree, flags)
    except ConfigurationError as error:
        problems.extend(error.problems)
    else:
        if not problems:
            return configuration
    lines = [f"{'' if one.path.startswith('-') else '--'}{one}" for one in problems]
    raise UsageError("\n".join([*dict.fromkeys(lines), f"'torchtty train {kind} --help' lists every setting."]))


def full_paths(tree: Mapping[str, Any], arguments: Arguments) -> dict[str, str | None]:
    """Return what was typed by the full path of its setting; raise a `UsageError` for a short name that fits none or several.

    Of a section whose kind takes several values, the fields of each of them are known.
    """
    kind = str(tree["model"]["kind"])
    several = {
        path.partition(".")[0]: tuple(part for part in text.split(",") if part in kinds(kind, path.partition(".")[0]))
        for path, text in arguments.settings.items()
        if text and path.endswith(".kind") and path != "model.kind" and path.partition(".")[0] in tree
    }
    fields, found = fields_of(kind, tree, several), dict[str, str | None]()
    for name, text in arguments.settings.items():
        path, problem = _full_path(name, {path: spec for path, spec in fields.items() if spec.name != "kind"})
        if problem:
            raise UsageError(f"--{problem}\n'torchtty train {kind} --help' lists every setting.")
        found[path] = text
    return found


def settings_by_path(kind: str, tree: Mapping[str, Any], flags: Mapping[str, str | None]) -> dict[str, FieldSpec]:
    """Return the settings that exist once the variants that the flags choose are in the tree."""
    changed = dict(tree)
    for path, text in flags.items():
        section, _, name = path.partition(".")
        if name == "kind" and section in changed and section != "model" and text in kinds(kind, section):
            changed = with_value(changed, path, text)
    return {spec.path: spec for spec in specs(kind, changed)}


def _full_path(name: str, fields: Mapping[str, FieldSpec]) -> tuple[str, Problem | None]:
    """Complete `max_steps` to `training.max_steps` where only one section has such a field; `lr` stands for `learning_rate`."""
    if "." in name:
        return name, None
    matches = [path for path in fields if path.endswith(f".{written_out(name)}")]
    if len(matches) == 1:
        return matches[0], None
    if matches:
        return name, Problem(name, f"could be {' or '.join('--' + path for path in matches)}: write it in full")
    endings = {path.partition(".")[2]: path for path in fields}
    close = get_close_matches(name, endings, n=1, cutoff=0.6)
    return name, Problem(name, "is not a setting" + (f"; did you mean --{endings[close[0]]}?" if close else ""))


def paths_given(tree: Mapping[str, Any], arguments: Arguments) -> list[str]:
    """Return the full paths of the settings that were given; all of them must be valid."""
    fields = settings_by_path(str(tree["model"]["kind"]), tree, arguments.settings)
    return [_full_path(name, fields)[0] for name in arguments.settings]


def live_settings(tree: Mapping[str, Any], arguments: Arguments) -> dict[str, Any]:
    """Return the settings that were given as {path: value}; raise a `UsageError` for one that a resumed run cannot change."""
    configuration = configured(tree, arguments)
    fields = settings_by_path(str(tree["model"]["kind"]), tree, arguments.settings)
    given = paths_given(tree, arguments)
    changed = (with_absolute_paths(configuration) if DATASET in given else configuration).tree()
    fixed = [path for path in given if path not in fields or not (fields[path].live or path in OF_THE_MACHINE)]
    if fixed:
        live = ", ".join(spec.path for spec in fields.values() if spec.live or spec.path in OF_THE_MACHINE)
        listed = "\n".join(f"--{path} is fixed once a run has started" for path in fixed)
        raise UsageError(f"{listed}\nThe settings that can change are {live}.")
    return {path: changed[path.partition(".")[0]][path.partition(".")[2]] for path in given}
