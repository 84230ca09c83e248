"""Deleting a run from the disk, and giving one another name."""

import json
import os
import shutil
import time
from contextlib import suppress

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.directory import RunDirectory, check_name, list_runs
from torchtty.engine.contract.run.files import write_atomically
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
    return size


def rename(run: RunDirectory, name: str) -> RunDirectory:
    """Give a run another name, which its forks then name as their parent; raise `UserError` as `delete` does, or for the name.

    A run whose model is still in memory is released first: its worker would look for it under the old name.
    """
    check_name(name)
    target = run.path.with_name(name)
    if os.path.lexists(target):
        raise UserError(f"There is a run called {name} already: choose another name.")
    let_go(run, Action.RENAME)
    try:
        target.mkdir()  # so that nobody else takes the name meanwhile
        run.path.rename(target)
    except OSError as error:
        with suppress(OSError):
            target.rmdir()
        raise UserError(f"{run.name} could not be renamed: {error.strerror or error}.") from None
    for fork in list_runs():
        meta = fork.meta()
        parent = meta.get("parent")
        if isinstance(parent, dict) and parent.get("run") == run.name:
            with suppress(OSError):  # a fork of which only the parent's name is out of date
                write_atomically(fork.meta_path, json.dumps(meta | {"parent": parent | {"run": name}}, indent=1))
    return RunDirectory(target)


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
