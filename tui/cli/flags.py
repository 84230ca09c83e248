"""Settings on the command line: `--section.field value`, checked against the declaration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from torchtty.engine.contract.settings.configuration import (
    ConfigurationError,
    Problem,
    kinds,
    specs,
    variant,
    with_flags,
    with_value,
)
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.fields import FieldSpec, describe
from torchtty.tui.cli.console import UsageError


@dataclass
class Arguments:
    """What a person typed, taken apart: words, settings (None where the value is missing), and what is neither."""

    words: list[str] = field(default_factory=list)
    settings: dict[str, str | None] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)


def take_apart(arguments: Sequence[str]) -> Arguments:
    """Sort arguments into words and settings; both `--a.b value` and `--a.b=value` are a setting, `--` ends them."""
    found = Arguments()
    rest = list(arguments)
    while rest:
        token = rest.pop(0)
        if token == "--":
            found.words.extend(rest)
            break
        if not token.startswith("-") or token == "-":
            found.words.append(token)
        elif not token.startswith("--"):
            found.strange.append(token)
        else:
            name, equals, value = token[2:].partition("=")
            path = name.replace("-", "_")
            if equals:
                found.settings[path] = value
            elif rest and not rest[0].startswith("--"):
                found.settings[path] = rest.pop(0)
            else:
                found.settings[path] = None
    return found


def configured(tree: Mapping[str, Any], arguments: Arguments) -> Configuration:
    """Apply settings to a tree; raise a `UsageError` that names every wrong one, one a line."""
    kind = str(tree["model"]["kind"])
    problems = [Problem(token, "is not an option; settings begin with two dashes") for token in arguments.strange]
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
    raise UsageError(_listed(problems, kind))


def _listed(problems: Iterable[Problem], kind: str) -> str:
    lines = [f"{problem.path if problem.path.startswith('-') else '--' + str(problem.path)} {problem.message}"
             for problem in problems]  # fmt: skip
    return "\n".join([*dict.fromkeys(lines), f"'torchtty train {kind} --help' lists every setting."])


def settings_by_path(kind: str, tree: Mapping[str, Any], flags: Mapping[str, str | None]) -> dict[str, FieldSpec]:
    """Return the settings there are once the variants that the flags ask for are chosen."""
    changed = dict(tree)
    for path, text in flags.items():
        section, _, name = path.partition(".")
        if name == "kind" and section in changed and section != "model" and text in kinds(kind, section):
            changed = with_value(changed, path, text)
    return {spec.path: spec for spec in specs(kind, changed)}


def _full_path(name: str, fields: Mapping[str, FieldSpec]) -> tuple[str, Problem | None]:
    """Complete `max_steps` to `training.max_steps` where only one section has such a field."""
    if "." in name:
        return name, None
    matches = [path for path in fields if path.endswith(f".{name}")]
    if len(matches) == 1:
        return matches[0], None
    if matches:
        return name, Problem(name, f"could be {' or '.join('--' + path for path in matches)}: write it in full")
    endings = {path.partition(".")[2]: path for path in fields}
    close = get_close_matches(name, endings, n=1, cutoff=0.6)
    return name, Problem(name, "is not a setting" + (f"; did you mean --{endings[close[0]]}?" if close else ""))


def paths_given(tree: Mapping[str, Any], arguments: Arguments) -> list[str]:
    """Return the full paths of the settings that were given and are right."""
    fields = settings_by_path(str(tree["model"]["kind"]), tree, arguments.settings)
    return [_full_path(name, fields)[0] for name in arguments.settings]


def variants_of(kind: str, section: str) -> dict[str, list[FieldSpec]]:
    """Return the settings of each variant of a section, such as those of each optimizer."""
    if section == "model":
        return {}
    return {name: describe(section, variant(kind, section, name)) for name in kinds(kind, section)}


def check_live(kind: str, tree: Mapping[str, Any], arguments: Arguments) -> dict[str, Any]:
    """Return the live settings that were given as {path: value}; raise a `UsageError` for any other."""
    changed = configured(tree, arguments)
    fields = settings_by_path(kind, tree, arguments.settings)
    given = paths_given(tree, arguments)
    fixed = [path for path in given if path not in fields or not fields[path].live]
    if fixed:
        live = ", ".join(spec.path for spec in fields.values() if spec.live)
        listed = "\n".join(f"--{path} is fixed once a run has started" for path in fixed)
        raise UsageError(f"{listed}\nThe settings that can change are {live}.")
    values = changed.tree()
    return {path: values[path.partition(".")[0]][path.partition(".")[2]] for path in given}


def close_names(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known names nearest to a misspelt one, or nothing."""
    close = get_close_matches(name.lower(), list(known), n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""
