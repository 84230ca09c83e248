"""A run group: the runs of a sweep, which differ in some settings, and the plan by which they are chosen.

<group>/group.json     its runs, what they differ in, what they have in common, the plan, and where it comes from
        status.json    what its coordinator is doing, as that of a run
        inbox/         requests to all of its runs: stop
        batches/1/     of members that train as one batched model: status, inbox and log of their worker
        jobs/          of a sweep on a cluster, as submitit keeps them
        worker.log     of the coordinator

It lies beside its runs, each of which is a run like any other. Their own files say how each has fared; a group whose coordinator
is gone can be read, and gone on with: `group.json` gains runs only where the plan searches for them.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.cluster import Cluster
from torchtty.engine.contract.experiments.plan import Plan
from torchtty.engine.contract.experiments.race import Race
from torchtty.engine.contract.experiments.values import MOST, Span, Value
from torchtty.engine.contract.experiments.variation import MODEL, Variation, short
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.access import PRIVATE, READABLE, access_to_new_runs
from torchtty.engine.contract.run.directory import GROUP_FILE, RunDirectory, check_name, claim, create, stem_of
from torchtty.engine.contract.run.files import read_json, write_atomically
from torchtty.engine.contract.run.requests import Stop
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.family import Configuration, Tree
from torchtty.engine.contract.settings.fields import show

FORMAT = 2  # 1 had neither plan nor tree
LONGEST_NAME = 80  # of a run


@dataclass(frozen=True)
class Planned:
    """A run of a group: its name, and the values that it has of the varied settings."""

    name: str
    settings: Mapping[str, Value]
    ended: str = ""  # why the plan ended it before its last step: pruned, or halved


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
        return self.path / GROUP_FILE

    def about(self) -> dict[str, Any]:
        """Return what `group.json` holds, or nothing where it cannot be read."""
        try:
            found = read_json(self.about_path)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def variation(self) -> Variation:
        """Return what its runs differ in."""
        about = self.about()
        varied, spans, fixed = (about.get(key) for key in ("varied", "spans", "fixed"))
        return Variation(
            {path: tuple(values) for path, values in varied.items()} if isinstance(varied, dict) else {},
            {path: Span(**span) for path, span in spans.items()} if isinstance(spans, dict) else {},
            fixed if isinstance(fixed, dict) else {},
        )

    def plan(self) -> Plan:
        """Return how its runs are chosen."""
        return Plan.of(self.about().get("plan"))

    def race(self) -> Race | None:
        """Return what it races for; None for a sweep."""
        return Race.of(self.about().get("race"))

    def cluster(self) -> Cluster | None:
        """Return the cluster whose jobs train its runs; None where this machine does."""
        return Cluster.of(self.about().get("cluster"))

    def tree(self) -> Tree | None:
        """Return the configuration that its runs have in common; None for a race, and a group of before there were plans."""
        tree = self.about().get("tree")
        return tree if isinstance(tree, dict) else None

    def planned(self) -> list[Planned]:
        """Return its runs as they were planned, whether or not they are still there."""
        runs = self.about().get("runs")
        found = runs if isinstance(runs, list) else []
        return [
            Planned(str(run["name"]), dict(run.get("settings", {})), str(run.get("ended", "")))
            for run in found
            if isinstance(run, dict)
        ]

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

    def write_about(self, about: Mapping[str, Any]) -> None:
        """Replace what `group.json` holds."""
        write_atomically(self.about_path, json.dumps(about, indent=1), mode=READABLE)

    def add(self, settings: Mapping[str, Value], tree: Mapping[str, Any]) -> RunDirectory:
        """Make one more run, which the plan has asked for; raise `UserError`."""
        configuration = self.variation().configuration(tree, settings)
        about, number = self.about(), len(self.planned()) + 1
        name = f"{self.name}-run-{number}"
        note = partial(_note, group=self.name)
        run = create(configuration, root=self.path.parent, name=name, recipe=about.get("recipe"), fill=note)
        self.write_about(about | {"runs": [*about["runs"], {"name": name, "settings": dict(settings)}]})
        return run

    def mark(self, names: Mapping[str, str]) -> None:
        """Note why the plan has ended runs: {name: why}."""
        about = self.about()
        runs = [run | ({"ended": names[run["name"]]} if run["name"] in names else {}) for run in about["runs"]]
        self.write_about(about | {"runs": runs})


def create_group(
    tree: Mapping[str, Any],
    variation: Variation,
    *,
    root: Path | None = None,
    name: str | None = None,
    recipe: str | None = None,
    plan: Plan | None = None,
    cluster: Cluster | None = None,
) -> RunGroup:
    """Make a group and the runs of it that are known; `tree` is the configuration that they have in common.

    Raises `UserError` where a name is taken or the disk refuses; then nothing of the group stays.
    """
    plan = plan or Plan()
    settings = plan.settings(variation)
    new = [NewRun(one, variation.configuration(tree, one), recipe) for one in settings]
    stem = stem_of(new[0].configuration if new else parse(tree), recipe)
    about = {
        "recipe": recipe,
        "plan": plan.as_json(),
        "tree": dict(tree),
        "varied": {path: list(values) for path, values in variation.values.items()},
        "spans": {path: asdict(span) for path, span in variation.spans.items()},
        "fixed": dict(variation.fixed),
    } | ({"cluster": cluster.as_json()} if cluster is not None else {})
    return make_group(new, about, stem, root=root, name=name)


@dataclass(frozen=True)
class NewRun:
    """A run that a group is to be made with: what it differs in, all of its settings, and the recipe it comes from."""

    settings: Mapping[str, Value]
    configuration: Configuration
    recipe: str | None = None


def make_group(
    new: Sequence[NewRun], about: Mapping[str, Any], stem: str, *, root: Path | None = None, name: str | None = None
) -> RunGroup:
    """Make a group, called by a stem and a number unless it has a name; `about` is what `group.json` says beside its runs.

    Raises `UserError` as `create_group` does.
    """
    root, stem = root or runs_folder(), name or stem
    check_name(stem if name else f"{stem}-1")
    if len(stem) > (longest := LONGEST_NAME - len(f"-run-{MOST}")):
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
        planned = _planned(group.name, [one.settings for one in new])
        beginning = {"format": FORMAT, "created": time.time()}
        listed = {"runs": [{"name": run.name, "settings": dict(run.settings)} for run in planned]}
        group.directory.write_status(Status(state=RunState.STARTING, heartbeat=time.time()))
        group.write_about(beginning | dict(about) | listed)
        for run, one in zip(planned, new, strict=True):
            note = partial(_note, group=group.name)
            runs.append(create(one.configuration, root=root, name=run.name, recipe=one.recipe, fill=note))
    except (OSError, UserError) as error:
        for folder in (*(run.path for run in runs), *([group.path] if group else [])):
            shutil.rmtree(folder, ignore_errors=True)  # nobody has begun to work in there
        if isinstance(error, UserError):
            raise
        raise UserError(f"Cannot create a group in {root}: {error.strerror or error}.") from None
    return group


def _note(run: RunDirectory, group: str) -> None:
    write_atomically(run.meta_path, json.dumps(run.meta() | {"group": group}, indent=1), mode=READABLE)


def _planned(group: str, settings: Sequence[Mapping[str, Value]]) -> list[Planned]:
    """Name the runs by what they differ in: `names-mlp-4-seed-3`; by their numbers where that would be too long, or twice one."""
    names = ["-".join([group, *(_part_of_name(path, value) for path, value in one.items())]) for one in settings]
    clear = len(set(names)) == len(names) and all(len(name) <= LONGEST_NAME for name in names)
    return [
        Planned(name if clear else f"{group}-run-{number}", one)
        for number, (name, one) in enumerate(zip(names, settings, strict=True), 1)
    ]


def _part_of_name(path: str, value: Value) -> str:
    return _in_a_name(value) if path == MODEL else f"{short(path)}-{_in_a_name(value)}"


def _in_a_name(value: Value) -> str:
    """Write a value with what a run's name may have; of a file its own name."""
    text = Path(value).stem if isinstance(value, str) else show(value)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "x"


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
