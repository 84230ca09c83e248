"""Deleting a run from the disk, and giving one another name."""

import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from torchtty.engine.contract.client.piped_text import remove_unneeded
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.access import READABLE
from torchtty.engine.contract.run.directory import GROUP_FILE, RunDirectory, check_name, is_name, list_runs, taken
from torchtty.engine.contract.run.files import read_json, write_atomically
from torchtty.engine.contract.run.requests import Release
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot

PATIENCE = 5.0  # seconds for a worker that still has the model in memory to release it


def delete(run: RunDirectory) -> int:
    """Delete a run's folder; return the bytes that it took. Raises `UserError` if it is live, lies elsewhere, or the disk refuses.

    A link in it is removed, and what it leads to stays. Blocks for a moment.
    """
    let_go(run, Action.DELETE)
    size = disk_usage(run)
    try:
        # Renamed first, so that the run is not listed while its files are deleted one by one.
        shutil.rmtree(run.path.rename(run.path.with_name(f".deleted-{time.time_ns()}-{run.name}")))
    except OSError as error:
        raise UserError(f"{run.name} could not be deleted: {error.strerror or error}.") from None
    remove_unneeded()
    return size


def rename(run: RunDirectory, name: str) -> RunDirectory:
    """Give a run another name, by which its forks and its group then know it; raise `UserError` as `delete` does, or for the name.

    A run whose model is still in memory is released first: its worker would look for it under the old name.
    """
    check_name(name)
    target = run.path.with_name(name)
    if os.path.lexists(target):
        raise taken(target)
    group = _group_of(run)
    if group is not None and RunDirectory(group).status().state.is_live:
        raise UserError(f"{run.name} is part of {group.name}, which still trains: rename it once that has ended.")
    let_go(run, Action.RENAME)
    try:
        target.mkdir()  # so that nobody else takes the name meanwhile
        run.path.rename(target)
    except OSError as error:
        with suppress(OSError):
            target.rmdir()
        raise UserError(f"{run.name} could not be renamed: {error.strerror or error}.") from None
    if group is not None:
        with suppress(OSError, ValueError):  # a group that does not list this run any more
            _rename_in_group(group / GROUP_FILE, run.name, name)
    for fork in list_runs():
        meta = fork.meta()
        parent = meta.get("parent")
        if isinstance(parent, dict) and parent.get("run") == run.name:
            with suppress(OSError):  # a fork of which only the parent's name is out of date
                write_atomically(fork.meta_path, json.dumps(meta | {"parent": parent | {"run": name}}, indent=1))
    return RunDirectory(target)


def _group_of(run: RunDirectory) -> Path | None:
    """Return the folder of the group that a run was trained in, if it lies beside it."""
    name = str(run.meta().get("group") or "")
    folder = run.path.with_name(name) if is_name(name) else None
    return folder if folder is not None and (folder / GROUP_FILE).is_file() else None


def _rename_in_group(path: Path, before: str, now: str) -> None:
    """Let the file of a group name a run as it is called now; raise `OSError` or `ValueError`."""
    about = read_json(path)
    runs = about.get("runs") if isinstance(about, dict) else None
    if isinstance(runs, list):
        renamed = [one | {"name": now} if isinstance(one, dict) and one.get("name") == before else one for one in runs]
        write_atomically(path, json.dumps(about | {"runs": renamed}, indent=1), mode=READABLE)


def disk_usage(run: RunDirectory) -> int:
    """Return the bytes that a run's files take; links are not followed, and what cannot be looked at counts nothing."""
    total = 0
    for folder, _, files in os.walk(run.path):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def let_go(run: RunDirectory, action: Action) -> None:
    """See that nobody works on a run of the runs folder; raise `UserError` where somebody does, or it lies elsewhere."""
    folder = runs_folder()
    if run.path.is_symlink() or run.path.parent.resolve() != folder.resolve():
        raise UserError(f"{run.name} lies outside the runs folder {folder}, so it is not {action.value}d from here.")
    status = run.status()
    if refusal := RunSnapshot(run, status).refusal(action):
        raise UserError(refusal)
    if status.serving:
        run.send(Release())
        until = time.monotonic() + PATIENCE
        while run.status().serving and time.monotonic() < until:
            time.sleep(0.1)
        if action is Action.RENAME and run.status().serving:
            raise UserError(f"The worker of {run.name} still answers a request. Try again in a moment.")
