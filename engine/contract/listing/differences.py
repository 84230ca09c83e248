"""What distinguishes a run: from the others of its group, from its parent, or from its recipe or its model's defaults."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.settings.abbreviations import ABBREVIATIONS
from torchtty.engine.contract.settings.configuration import difference, starting_tree
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.engine.contract.settings.training import OF_THE_MACHINE

LONG = ("learning_rate", "weight_decay", "batch_size")  # names that leave no room for their values
Changes = dict[str, tuple[Any, Any]]
"""Settings that differ, by their paths: what they are elsewhere, and here."""


@dataclass(frozen=True)
class Origin:
    """What a run is compared with, such as `recipe names-gpt`, and in what it differs from that."""

    title: str
    changes: Changes


def origin_of(entry: Entry) -> Origin | None:
    """Return what a run comes from: its parent, its recipe, or its model's defaults; None where its settings are not known."""
    if not entry.settings:
        return None
    parent = entry.snapshot.parent
    if parent is not None:
        changes = {path: pair for path, pair in parent.changed.items() if path not in OF_THE_MACHINE}
        return Origin(parent.title, changes)
    if entry.recipe and (tree := _recipe_tree(entry.recipe)) is not None:
        return Origin(f"recipe {entry.recipe}", _changes(tree, entry.settings))
    if entry.family is None:
        return None
    return Origin(f"defaults of {entry.family.title}", _changes(_defaults(entry.kind), entry.settings))


def _changes(before: Tree, now: Tree) -> Changes:
    """Return what is set otherwise; what a run lacks is of another kind of section, or was no setting when it was made."""
    found = difference(before, now)
    return {path: pair for path, pair in found.items() if path not in OF_THE_MACHINE and _has(now, path)}


def _has(tree: Tree, path: str) -> bool:
    section, _, field = path.partition(".")
    return field in tree.get(section, {})


@cache
def _recipe_tree(name: str) -> Tree | None:
    try:
        return recipe_named(name).tree
    except UserError:  # it was renamed or removed since
        return None


@cache
def _defaults(kind: str) -> Tree:
    return starting_tree(kind)


def differing(trees: Sequence[Tree]) -> list[str]:
    """List the settings in which trees differ, in the order of the configuration."""
    found: dict[str, None] = {}
    for tree in trees[1:]:
        found |= dict.fromkeys(difference(trees[0], tree))
    order = {f"{section}.{field}": None for tree in trees for section, fields in tree.items() for field in fields}
    return [path for path in order if path in found]


def short_name(path: str) -> str:
    """Return a setting's name as it stands in a list: `n_layer`, and `optimizer` for `optimizer.kind`."""
    section, _, field = path.partition(".")
    return section if field == "kind" else field


def shortest_name(path: str) -> str:
    """Return a setting's name for a narrow cell: `lr`, by which a filter knows it too."""
    name = short_name(path)
    return next((short for short, long in ABBREVIATIONS.items() if long == name and name in LONG), name)


def in_words(changes: Changes) -> str:
    """Write what differs: `learning_rate 0.1 → 0.01, batch_size 32 → 64`."""
    return ", ".join(f"{short_name(path)} {show(old)} → {show(new)}" for path, (old, new) in changes.items())


def values_in_words(settings: Tree, paths: Iterable[str]) -> str:
    """Write the values that a run has of settings: `n_layer 2, lr 0.1`; one that it lacks is left out."""
    parts = []
    for path in paths:
        section, _, field = path.partition(".")
        if field in settings.get(section, {}):
            parts.append(f"{shortest_name(path)} {show(settings[section][field])}")
    return ", ".join(parts)


def distinction(entry: Entry, in_group: Sequence[str] = ()) -> str:
    """Write in a few words what distinguishes a run; in a group, its values of the settings that differ there."""
    if in_group:
        return values_in_words(entry.settings, in_group)
    origin = origin_of(entry)
    if origin is None:
        return ""
    return ", ".join(f"{shortest_name(path)} {show(new)}" for path, (_, new) in origin.changes.items())
