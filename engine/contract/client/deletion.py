"""Deleting a run from the disk."""

import shutil
import time

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.requests import Release
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot

PATIENCE = 5.0  # seconds for a worker that still has the model in memory to release it


def delete(run: RunDirectory) -> None:
    """Delete a run's folder; raise `UserError` if it is live, lies elsewhere, or the disk refuses. Blocks for a moment."""
    folder = runs_folder()
    if run.path.is_symlink() or run.path.parent.resolve() != folder.resolve():
        raise UserError(f"{run.name} lies outside the runs folder {folder}, so it is not deleted from here.")
    status = run.status()
    if refusal := RunSnapshot(run, status).refusal(Action.DELETE):
        raise UserError(refusal)
    if status.serving:
        run.send(Release())
        until = time.monotonic() + PATIENCE
        while run.status().serving and time.monotonic() < until:
            time.sleep(0.1)
    try:
        # Renamed first, so that the run is not listed while its files are deleted one by one.
        shutil.rmtree(run.path.rename(run.path.with_name(f".deleted-{time.time_ns()}-{run.name}")))
    except OSError as error:
        raise UserError(f"{run.name} could not be deleted: {error.strerror or error}.") from None
