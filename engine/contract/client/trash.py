"""The trash: runs that were deleted in the app, which can be brought back until it is left.

A run is moved to `.trash/<moment>-<process>-<host>/<name>` in the runs folder, on the same disk, so that it is gone at once and
back at once. The app empties it when it is left. What a killed one left stays, and the next one on the same machine brings it
back or, when it is left in turn, removes it. A run that somebody works on after all is put back instead of being removed.
"""

import os
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

import psutil

from torchtty.engine.contract.client.deletion import let_go
from torchtty.engine.contract.client.piped_text import remove_unneeded
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.run.access import PRIVATE
from torchtty.engine.contract.run.directory import RunDirectory, find_free_name
from torchtty.engine.contract.run.snapshot import Action

TRASH = ".trash"


def move_to_trash(run: RunDirectory) -> RunDirectory:
    """Take a run out of the list; return it as it lies in the trash. Raises `UserError` as deleting does: a live run is refused."""
    let_go(run, Action.DELETE)
    place = runs_folder() / TRASH / f"{time.time_ns()}-{os.getpid()}-{socket.gethostname()}"
    try:
        place.parent.mkdir(PRIVATE, exist_ok=True)
        place.mkdir(PRIVATE)
        return RunDirectory(run.path.rename(place / run.name))
    except OSError as error:
        with suppress(OSError):
            place.rmdir()
        raise UserError(f"{run.name} could not be deleted: {error.strerror or error}.") from None


def trashed() -> list[RunDirectory]:
    """Return the runs in the trash that are this process's, or whose process on this machine is gone; the latest first."""
    found = []
    for place in _places():
        with suppress(OSError):  # another app empties it this very moment, or it is no folder
            found += [RunDirectory(path) for path in sorted(place.iterdir())]
    return found


def _places() -> list[Path]:
    try:
        names = os.listdir(runs_folder() / TRASH)
    except OSError:
        return []
    found = []
    for name in names:
        moment, _, rest = name.partition("-")
        pid, _, host = rest.partition("-")
        if not (moment.isdigit() and pid.isdigit()) or host != socket.gethostname():
            continue
        if int(pid) == os.getpid() or not psutil.pid_exists(int(pid)):
            found.append((int(moment), runs_folder() / TRASH / name))
    return [place for _, place in sorted(found, reverse=True)]


def restore(run: RunDirectory) -> RunDirectory:
    """Bring a run back from the trash, under another name where its own is taken by now; raise `UserError` if the disk refuses."""
    root = runs_folder()
    target = root / find_free_name(run.name, root)
    try:
        target.mkdir()  # so that nobody else takes the name meanwhile
        run.path.rename(target)
    except OSError as error:
        with suppress(OSError):
            target.rmdir()
        raise UserError(f"{run.name} could not be brought back: {error.strerror or error}.") from None
    with suppress(OSError):  # as soon as nothing else is in them
        run.path.parent.rmdir()
        run.path.parent.parent.rmdir()
    return RunDirectory(target)


def empty_trash() -> None:
    """Remove what is in the trash of this process, and of those that are gone; a run that is alive after all is put back."""
    for run in trashed():
        status = run.status()
        if status.state.is_live and status.process_is_alive():
            with suppress(UserError):
                restore(run)
            continue
        shutil.rmtree(run.path.parent, ignore_errors=True)
        remove_unneeded()
    with suppress(OSError):
        (runs_folder() / TRASH).rmdir()
