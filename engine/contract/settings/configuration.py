"""A run's configuration: a tree of sections, validated as one, read from TOML and flags and written back."""

import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import tomli_w
from pydantic import ValidationError

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.families import FAMILIES, family_of
from torchtty.engine.contract.settings.family import Configuration, Family, Tree
from torchtty.engine.contract.settings.fields import FieldSpec, Section, describe


@dataclass(frozen=True)
class Problem:
    """Why a configuration cannot run, tied to the field it is about (`model.n_head`)."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path} {self.message}"


class ConfigurationError(UserError):
    """A configuration that cannot run; `problems` holds one entry a field."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def starting_tree(kind: str) -> Tree:
    """Return the complete default configuration of a model family as plain values."""
    start = family_of(kind).start
    return parse({**start, "model": {"kind": kind, **start.get("model", {})}}).tree()


def parse(tree: Mapping[str, Any]) -> Configuration:
    """Validate plain values into a configuration; raise `ConfigurationError` with every field that is wrong."""
    model = tree.get("model")
    kind = model.get("kind") if isinstance(model, Mapping) else None
    if not isinstance(kind, str):
        raise ConfigurationError([Problem("model.kind", f"is missing: it is one of {', '.join(FAMILIES)}")])
    family = family_of(kind)
    try:
        configuration = family.configuration.model_validate(dict(tree))
    except ValidationError as error:
        raise ConfigurationError(list(_problems(error, tree, family))) from None
    clashes = [
        Problem(f"{name}.{field}", message)
        for name, section in configuration.sections().items()
        for field, message in section.check()
    ]
    clashes += [Problem(path, message) for path, message in configuration.check()]
    if clashes:
        raise ConfigurationError(clashes)
    return configuration


def _problems(error: ValidationError, tree: Mapping[str, Any], family: Family) -> Iterator[Problem]:
    for entry in error.errors(include_url=False, include_context=False):
        where = [str(part) for part in entry["loc"]]
        section, field = where[0], where[-1]
        path = section if len(where) == 1 else f"{section}.{field}"
        if entry["type"] == "extra_forbidden":
            yield Problem(path, f"is not a setting of {family.title}{_nearest(path, tree, family)}")
            continue
        if entry["type"] in ("union_tag_invalid", "union_tag_not_found"):
            yield Problem(f"{section}.kind", f"must be one of {', '.join(kinds(family.kind, section))}")
            continue
        found = {spec.path: spec for spec in specs(family.kind, tree)}.get(path)
        yield Problem(path, f"takes {found.allowed()}" if found else entry["msg"].lower())


def _nearest(path: str, tree: Mapping[str, Any], family: Family) -> str:
    from difflib import get_close_matches

    names = [spec.path for spec in specs(family.kind, tree)]
    close = get_close_matches(path, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def kinds(family: str, section: str) -> tuple[str, ...]:
    """List the variants of a section, such as the optimizers; empty if it has one form only."""
    return tuple(_variants(family_of(family).configuration, section)) if section != "model" else tuple(FAMILIES)


def variant(family: str, section: str, kind: str) -> type[Section]:
    """Return the class of a section's variant."""
    return _variants(family_of(family).configuration, section)[kind]


def _variants(configuration: type[Configuration], section: str) -> dict[str, type[Section]]:
    annotation = configuration.model_fields[section].annotation
    classes = get_args(annotation) if get_origin(annotation) is not None else (annotation,)
    return {cls.model_fields["kind"].default: cls for cls in classes if "kind" in cls.model_fields}


def specs(family: str, tree: Mapping[str, Any]) -> list[FieldSpec]:
    """List the settings of a family, given which variants (`kind`) the tree picks for its sections."""
    configuration = family_of(family).configuration
    found: list[FieldSpec] = []
    for name, info in configuration.model_fields.items():
        variants = _variants(configuration, name)
        if variants:
            section = tree.get(name)
            kind = section.get("kind") if isinstance(section, Mapping) else None
            if name == "model":
                kind = family
            cls = variants.get(str(kind)) or variants[_default_kind(family, name)]
        else:
            assert isinstance(info.annotation, type)
            cls = info.annotation
        found.extend(describe(name, cls))
    return found


def _default_kind(family: str, section: str) -> str:
    start = family_of(family).start.get(section, {})
    if "kind" in start:
        return str(start["kind"])
    info = family_of(family).configuration.model_fields[section]
    return str(info.get_default(call_default_factory=True).kind)


def with_value(tree: Mapping[str, Any], path: str, value: Any) -> Tree:
    """Return a copy of a tree with one value changed; changing a `kind` starts that section afresh."""
    section, _, field = path.partition(".")
    changed = deepcopy(dict(tree))
    if field == "kind":
        changed[section] = {"kind": value}
    else:
        changed[section] = dict(changed.get(section, {})) | {field: value}
    return changed


def with_flags(tree: Mapping[str, Any], flags: Mapping[str, str]) -> Configuration:
    """Apply `section.field` texts, such as command-line flags, to a tree and validate the result.

    Raises `ConfigurationError` that names every wrong flag at once.
    """
    changed: Tree = deepcopy(dict(tree))
    kind = changed["model"]["kind"]
    family, problems = family_of(kind), list[Problem]()
    for path, text in flags.items():  # a kind decides which fields its section has, so these come first
        section, _, field = path.partition(".")
        if field == "kind" and section != "model" and section in family.configuration.model_fields:
            if text not in kinds(kind, section):
                problems.append(Problem(path, f"must be one of {', '.join(kinds(kind, section))}"))
            elif changed.get(section, {}).get("kind") != text:
                changed = with_value(changed, path, text)
    fields = {spec.path: spec for spec in specs(kind, changed)}
    for path, text in flags.items():
        if path.endswith(".kind") and path != "model.kind":
            if path.partition(".")[0] not in family.configuration.model_fields:
                problems.append(Problem(path, f"is not a setting of {family.title}"))
            continue
        if path not in fields:
            problems.append(Problem(path, f"is not a setting of {family.title}{_nearest(path, changed, family)}"))
            continue
        try:
            changed = with_value(changed, path, fields[path].parse(text))
        except UserError as error:
            problems.append(Problem(path, str(error).removeprefix(f"{path} ").rstrip(".")))
    if problems:
        raise ConfigurationError(problems)
    return parse(changed)


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two trees differ, as {path: (first, second)}; a missing one is None."""
    left, right = _flat(first), _flat(second)
    return {path: (left.get(path), right.get(path)) for path in left | right if left.get(path) != right.get(path)}


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{section}.{field}": value for section, fields in tree.items() for field, value in fields.items()}


def to_toml(tree: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a configuration's tree as TOML; settings that are none are left out."""
    sections = {
        section: {name: value for name, value in fields.items() if value is not None}
        for section, fields in tree.items()
    }
    return tomli_w.dumps(sections)


def from_toml(text: str, source: str = "the configuration") -> Configuration:
    """Read a configuration from TOML; raise `UserError` if it is broken."""
    try:
        return parse(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{source} is not valid TOML: {error}.") from None
    except RecursionError:
        raise UserError(f"{source} is not a configuration: it is nested too deeply.") from None


def load(path: Path) -> Configuration:
    """Read a configuration file."""
    try:
        return from_toml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path}: {error}.") from None
