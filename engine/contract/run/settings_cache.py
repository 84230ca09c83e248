"""The settings of runs as they were read last, in the state folder: reading them anew takes half a second for a thousand runs.

An entry holds as long as the files are the ones that it was read from. It is a cache: where it is missing, broken or cannot be
written, the runs' own files are read.
"""

import os
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import read_small, write_atomically
from torchtty.engine.contract.run.lineage import Parent, parent_of
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.family import Configuration

FILE = "listing.json"  # `runs.json` lacked groups and recipes
LARGEST = 64 * 1024 * 1024  # bytes
MOST_RUNS = 10_000

Mark = list[list[int] | None]


class Known(NamedTuple):
    """A run's settings with its live edits applied, when it was made, in seconds since the epoch (0 if nobody knows), and
    what `meta.json` says of its parent, its group and its recipe.
    """

    tree: dict[str, dict[str, Any]]
    created: float
    origin: dict[str, Any] | None = None
    group: str = ""
    recipe: str = ""

    @property
    def parent(self) -> Parent | None:
        return parent_of({"parent": self.origin})


_ADAPTER = TypeAdapter(dict[str, tuple[Mark, Known]])


class SettingsCache:
    """The settings in force of runs, by their paths. Not thread-safe."""

    def __init__(self) -> None:
        self._path = state_folder() / FILE
        self._changed = False
        self._entries: dict[str, tuple[Mark, Known]] = {}
        try:
            self._entries = _ADAPTER.validate_json(read_small(self._path, LARGEST))
        except (OSError, ValidationError):
            return

    def known(self, run: RunDirectory) -> Known:
        """Return what is known of a run. Raises `UserError` where its settings cannot be read."""
        mark, key = _mark(run), str(run.path)
        found = self._entries.get(key)
        if found is None or found[0] != mark:
            found = mark, known_by_itself(run, settings_in_force(run))
            self._entries.pop(key, None)
            self._entries[key] = found
            self._changed = True
        return found[1]

    def configuration(self, run: RunDirectory) -> tuple[Configuration, Known]:
        """Return a run's settings in force, validated, and what else is known of it. Raises `UserError`."""
        known = self.known(run)
        try:
            return parse(known.tree), known
        except UserError:  # what the cache holds may be nonsense
            self._entries.pop(str(run.path), None)
            known = self.known(run)
            return parse(known.tree), known

    def save(self) -> None:
        """Write what has changed, if it can be written."""
        if not self._changed:
            return
        self._changed = False
        kept = dict(list(self._entries.items())[-MOST_RUNS:])
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, _ADAPTER.dump_json(kept), mode=0o600)
        except (OSError, ValueError):
            return


def known_by_itself(run: RunDirectory, tree: dict[str, dict[str, Any]]) -> Known:
    """Return what the files of a run with these settings say of it."""
    meta = run.meta()
    moment, parent = meta.get("created"), meta.get("parent")
    origin = parent if isinstance(parent, dict) else None
    try:
        made = float(moment) if isinstance(moment, int | float) else run.config_path.stat().st_mtime
    except (OSError, OverflowError):
        made = 0.0
    group, recipe = (str(meta.get(name) or "") for name in ("group", "recipe"))
    return Known(tree, made, origin, group, recipe)


def _mark(run: RunDirectory) -> Mark:
    """Return what tells whether the files that settings are read from have changed."""
    folder = str(run.path)  # quicker than the paths that the run would make, a thousand times three
    return [_identity(f"{folder}/{name}") for name in ("config.toml", "meta.json", "events.jsonl")]


def _identity(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]
