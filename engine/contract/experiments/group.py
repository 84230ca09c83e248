"""A run group: runs that differ in a few numbers and are trained together by one worker.

<group>/group.json     its runs, what they differ in, and where it comes from; never changes
        status.json    what its worker is doing, as that of a run
        events.jsonl   what befell the group as a whole
        inbox/         requests to all of its runs: stop
        worker.log

It lies beside its runs, each of which is a run like any other. Their own files say how each has fared; a group whose worker is
gone can be read, and its runs resumed one by one.
"""

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.variation import Number, Variation
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.access import PRIVATE, READABLE, access_to_new_runs
from torchtty.engine.contract.run.directory import RunDirectory, check_name, claim, create, stem_of
from torchtty.engine.contract.run.files import read_json, write_atomically
from torchtty.engine.contract.run.requests import Stop
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.fields import show

FORMAT = 1
LONGEST_NAME = 80  # of a run


@dataclass(frozen=True)
class Planned:
    """A run of a group: its name, and the values that it has of the varied settings."""

    name: str
    settings: Mapping[str, Number]


class RunGroup:
    """A group on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = RunDirectory(path)  # of its status, its events, its inbox and its log

    def __repr__(self) -> str:
        return f"RunGroup({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def about_path(self) -> Path:
        return self.path / "group.json"

    def about(self) -> dict[str, Any]:
        """Return what `group.json` holds, or nothing where it cannot be read."""
        try:
            found = read_json(self.about_path)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def variation(self) -> Variation:
        """Return what its runs differ in."""
        varied = self.about().get("varied")
        return Variation({path: tuple(values) for path, values in varied.items()} if isinstance(varied, dict) else {})

    def planned(self) -> list[Planned]:
        """Return its runs as they were planned, whether or not they are still there."""
        runs = self.about().get("runs")
        found = runs if isinstance(runs, list) else []
        return [Planned(str(run["name"]), dict(run.get("settings", {}))) for run in found if isinstance(run, dict)]

    def runs(self) -> list[RunDirectory]:
        """Return those of its runs that are there."""
        found = [RunDirectory(self.path.parent / planned.name) for planned in self.planned()]
        return [run for run in found if run.config_path.is_file()]

    def status(self, now: float | None = None) -> Status:
        """Return what the group is doing, with a vanished worker shown as lost."""
        return self.directory.status(now)

    def stop(self) -> None:
        """Ask its worker to stop every run with a checkpoint; raise `UserError` where that cannot be asked."""
        self.directory.send(Stop())


def create_group(
    tree: Mapping[str, Any],
    variation: Variation,
    *,
    root: Path | None = None,
    name: str | None = None,
    recipe: str | None = None,
) -> RunGroup:
    """Make a group and its runs; `tree` is the configuration that they have in common.

    Raises `UserError` where a name is taken or the disk refuses; then nothing of the group stays.
    """
    root = root or runs_folder()
    configurations = variation.configurations(tree)
    stem = name or stem_of(configurations[0], recipe)
    check_name(stem if name else f"{stem}-1")
    if len(stem) > (longest := LONGEST_NAME - len("-run-64")):
        raise UserError(
            f"A group's name has {longest} characters at most, for its runs begin with it: choose another name."
        )
    runs: list[RunDirectory] = []
    group: RunGroup | None = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        group = RunGroup(claim(root, stem, numbered=name is None))
        group.path.chmod(access_to_new_runs())
        group.directory.inbox.mkdir()
        group.directory.inbox.chmod(PRIVATE)
        planned = _planned(group.name, variation)
        about = {
            "format": FORMAT,
            "created": time.time(),
            "recipe": recipe,
            "varied": {path: list(values) for path, values in variation.values.items()},
            "runs": [{"name": run.name, "settings": dict(run.settings)} for run in planned],
        }
        group.directory.write_status(Status(state=RunState.STARTING, heartbeat=time.time()))
        write_atomically(group.about_path, json.dumps(about, indent=1), mode=READABLE)
        for run, configuration in zip(planned, configurations, strict=True):
            note = partial(_note, group=group.name)
            runs.append(create(configuration, root=root, name=run.name, recipe=recipe, fill=note))
    except (OSError, UserError) as error:
        for folder in (*(run.path for run in runs), *([group.path] if group else [])):
            shutil.rmtree(folder, ignore_errors=True)  # nobody has begun to work in there
        if isinstance(error, UserError):
            raise
        raise UserError(f"Cannot create a group in {root}: {error.strerror or error}.") from None
    return group


def _note(run: RunDirectory, group: str) -> None:
    write_atomically(run.meta_path, json.dumps(run.meta() | {"group": group}, indent=1), mode=READABLE)


def _planned(group: str, variation: Variation) -> list[Planned]:
    """Name the runs by what they differ in: `names-mlp-4-seed-3`; by their numbers where that would be too long."""
    found = []
    for number, settings in enumerate(variation.settings(), 1):
        parts = [f"{path.partition('.')[2]}-{show(value)}" for path, value in settings.items()]
        name = "-".join([group, *parts])
        found.append(Planned(name if len(name) <= LONGEST_NAME else f"{group}-run-{number}", settings))
    return found


def list_groups(root: Path | None = None) -> list[RunGroup]:
    """Return the groups in a folder, the newest first."""
    folder = root or runs_folder()
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        return []
    groups = [RunGroup(folder / name) for name in names if (folder / name / "group.json").is_file()]
    return sorted(groups, key=lambda group: float(group.about().get("created") or 0.0), reverse=True)


def find_group(name: str, root: Path | None = None) -> RunGroup | None:
    """Return the group of that name, if there is one."""
    return next((group for group in list_groups(root) if group.name == name), None)


def remove_group(group: RunGroup) -> None:
    """Remove the folder of a group whose runs have been deleted; raise `UserError` if some are left, or the disk refuses."""
    if left := group.runs():
        raise UserError(f"{group.name} still has {left[0].name}: delete its runs first.")
    try:
        shutil.rmtree(group.path)
    except OSError as error:
        raise UserError(f"{group.name} could not be deleted: {error.strerror or error}.") from None
