"""What can be done to a sweep as one: start, go on, stop, delete, rename, fork."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from torchtty.engine.contract.client.deletion import delete
from torchtty.engine.contract.client.deletion import rename as rename_run
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.cluster import Cluster
from torchtty.engine.contract.experiments.entrants import Entrant, create_race
from torchtty.engine.contract.experiments.group import RunGroup, create_group, find_group, list_groups
from torchtty.engine.contract.experiments.race import Budget
from torchtty.engine.contract.experiments.sweep import Sweep, define, texts_of
from torchtty.engine.contract.run.access import READABLE
from torchtty.engine.contract.run.directory import RunDirectory, check_name, taken
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState

COORDINATOR = "torchtty.engine.contract.experiments.coordinator"


def start_sweep(
    sweep: Sweep,
    name: str | None = None,
    *,
    root: Path | None = None,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> RunGroup:
    """Make the group of a sweep with its runs, and start its coordinator, which needs nobody any more; raise `UserError`.

    On a cluster its runs are trained by jobs, which the coordinator submits; `workers` limits how many there are at a time.
    """
    sweep.check()
    if cluster is not None:
        cluster.check()
    if sweep.plan.kind.searches:
        from torchtty.engine.contract.experiments.search import check_installed

        check_installed(sweep.plan)
    group = create_group(
        sweep.tree, sweep.variation, root=root, name=name, recipe=sweep.recipe, plan=sweep.plan, cluster=cluster
    )
    start_coordinator(group, workers)
    return group


def start_race(
    entrants: Sequence[Entrant], budget: Budget, corpus: str, name: str | None = None, *, root: Path | None = None
) -> RunGroup:
    """Make the group of a race with its runs, and start its coordinator; raise `UserError`."""
    group = create_race(entrants, budget, corpus, root=root, name=name)
    start_coordinator(group)
    return group


def start_coordinator(group: RunGroup, workers: int | None = None) -> "subprocess.Popen[bytes]":
    """Start the process that trains the runs of a group; it is a session of its own. `workers` limits how many train at once."""
    limit = ["--workers", str(workers)] if workers is not None else []
    with group.directory.log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", COORDINATOR, str(group.path), *limit],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )


def group_named(name: str) -> RunGroup:
    """Return the group called so, or the one whose name begins so, or the latest; raise `UserError` that lists some."""
    if (found := find_group(name)) is not None:
        return found
    groups = list_groups()
    if name == "latest" and groups:
        return groups[0]
    fitting = [group for group in groups if group.name.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(group.name for group in (fitting or groups)[:6]) or "none yet"
    raise UserError(f"There is no one sweep called '{name}'. Known are {known}.")


def resume_sweep(group: RunGroup, workers: int | None = None) -> None:
    """Go on with a sweep that was stopped or whose coordinator is gone; raise `UserError` where there is nothing to go on with."""
    status = group.status()
    if status.state.is_live and status.pid:
        raise UserError(f"{group.name} is {status.state.value} already.")
    if status.state is RunState.FINISHED and not open_runs(group):
        raise UserError(f"All runs of {group.name} are over: there is nothing to go on with.")
    group.directory.write_status(
        group.directory.written_status().model_copy(
            update={"state": RunState.STARTING, "pid": 0, "heartbeat": time.time(), "message": ""}
        )
    )
    start_coordinator(group, workers)


def open_runs(group: RunGroup) -> list[RunDirectory]:
    """Return the runs of a group that neither have finished, nor failed, nor were ended by the plan."""
    ended = {planned.name for planned in group.planned() if planned.ended}
    over = (RunState.FINISHED, RunState.FAILED)
    return [run for run in group.runs() if run.name not in ended and run.written_status().state not in over]


def delete_group(group: RunGroup) -> int:
    """Delete a group with all of its runs; return the bytes that they took. Raises `UserError` if it is live."""
    _refuse_live(group, "deleted")
    size = sum(delete(run) for run in group.runs())
    try:
        shutil.rmtree(group.path)
    except OSError as error:
        raise UserError(f"{group.name} could not be deleted: {error.strerror or error}.") from None
    return size


def rename_group(group: RunGroup, name: str) -> RunGroup:
    """Give a group another name, and so its runs that are called after it; raise `UserError` if it is live or a name is taken."""
    check_name(name)
    if name == group.name:
        return group
    _refuse_live(group, "renamed")
    if refusals := [found for run in group.runs() if (found := RunSnapshot.of(run).refusal(Action.RENAME))]:
        raise UserError(refusals[0])
    about = group.about()
    names = {
        run["name"]: name + run["name"].removeprefix(group.name) if run["name"].startswith(group.name) else run["name"]
        for run in about["runs"]
    }
    root = group.path.parent
    for new in (name, *names.values()):
        check_name(new)
        if os.path.lexists(root / new) and new not in names:
            raise taken(root / new)
    for entry in about["runs"]:
        new = names[entry["name"]]
        if entry["name"] != new and (run := RunDirectory(root / entry["name"])).config_path.is_file():
            moved = rename_run(run, new)
            with suppress(OSError):
                write_atomically(moved.meta_path, json.dumps(moved.meta() | {"group": name}, indent=1), mode=READABLE)
        entry["name"] = new
        group.write_about(about)  # after each, so that none is lost to the group whatever happens next
    try:
        group.path.rename(root / name)
    except OSError as error:
        raise UserError(f"{group.name} could not be renamed: {error.strerror or error}.") from None
    return RunGroup(root / name)


def _refuse_live(group: RunGroup, what: str) -> None:
    status = group.status()
    lock = FileLock(group.path / ".worker.lock")
    try:
        lock.acquire(timeout=0)
        lock.release()
    except Timeout:
        pass
    else:
        if not status.state.is_live:
            return
    raise UserError(
        f"{group.name} is {status.state.value}: it can be {what} once it is stopped ('torchtty stop {group.name}')."
    )


def fork_of(group: RunGroup, texts: Mapping[str, str]) -> Sweep:
    """Return the sweep of a group with other settings, one value or several each; raise `UserError` or `ConfigurationError`."""
    sweep = sweep_of(group)
    return define(sweep.tree, {**texts_of(sweep), **texts}, plan=sweep.plan, recipe=sweep.recipe)


def sweep_of(group: RunGroup) -> Sweep:
    """Return the sweep that a group was made from, to fork it with other settings; raise `UserError` for one of before plans."""
    tree = group.tree()
    if group.race() is not None:
        raise UserError(f"{group.name} is a race: fork one of its runs, or start another with 'torchtty race'.")
    if tree is None:
        raise UserError(f"{group.name} was made by an older torchtty, which did not note what its runs have in common.")
    recipe = group.about().get("recipe")
    return Sweep(tree, group.variation(), group.plan(), recipe if isinstance(recipe, str) else None)
