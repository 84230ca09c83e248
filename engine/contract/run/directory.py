"""The run directory, format 1: the only interface between whoever watches and whoever trains.

<run>/config.toml     the resolved configuration; never changes
      meta.json       provenance
      status.json     replaced atomically
      metrics.jsonl   one line a logged step
      events.jsonl    everything that happened
      inbox/          requests for the worker
      steps/000500/   checkpoints
      pinned.json     checkpoints that are kept
      marks.json      star, tags and note
      media/          image grids
      worker.log
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import time
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import runs_folder
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.run.access import PRIVATE, READABLE, SHARED, access_to_new_runs, is_of_another_user
from torchtty.engine.contract.run.files import read_json, read_small, write_atomically
from torchtty.engine.contract.run.provenance import provenance
from torchtty.engine.contract.run.requests import Request, Stop, drop
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings import configuration as configurations
from torchtty.engine.contract.settings.catalogue import catalogue
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.recipes import is_shipped

GROUP_FILE = "group.json"  # in the folder of a group: what its runs are called
LATEST = "latest"  # the name by which a person means the newest run
_UNFINISHED = ".creating-"  # begins the name of a folder that becomes a run: its process and host follow
_STEP = re.compile(r"[0-9]{6,18}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class RunDirectory:
    """One run on disk. Reading never fails on torn or missing files where an answer makes sense without them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunDirectory) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config_path(self) -> Path:
        return self.path / "config.toml"

    @property
    def meta_path(self) -> Path:
        return self.path / "meta.json"

    @property
    def status_path(self) -> Path:
        return self.path / "status.json"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def inbox(self) -> Path:
        return self.path / "inbox"

    @property
    def steps(self) -> Path:
        return self.path / "steps"

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def log_path(self) -> Path:
        return self.path / "worker.log"

    def configuration(self) -> Configuration:
        """Return the configuration the run was started with; raise `UserError` if it cannot be read."""
        try:
            return configurations.from_toml(read_small(self.config_path).decode(), str(self.config_path))
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise UserError(f"Cannot read {self.config_path}: {reason}.") from None

    def meta(self) -> dict[str, Any]:
        """Return the provenance, or nothing if it cannot be read."""
        try:
            found = read_json(self.meta_path)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def accept_changed_data(self) -> None:
        """Let the run be resumed with data that are others than those it began with; raise `UserError`."""
        meta = self.meta()
        if before := meta.pop("data_sha256", None):
            meta["data_sha256_before"] = [*meta.get("data_sha256_before", []), before]
            try:
                write_atomically(self.meta_path, json.dumps(meta, indent=1), mode=READABLE)
            except OSError as error:
                raise UserError(f"{self.meta_path} cannot be written: {error.strerror or error}.") from None

    def status(self, now: float | None = None) -> Status:
        """Return what the run is doing, with a vanished worker shown as lost."""
        return self.written_status().observed(now)

    def written_status(self) -> Status:
        """Return `status.json` as it stands."""
        try:
            return Status.model_validate_json(read_small(self.status_path))
        except FileNotFoundError:
            return Status(state=RunState.LOST, message="The run has no status.json.")
        except OSError as error:
            reason = error.strerror or str(error)
            return Status(state=RunState.LOST, message=f"The run's status.json cannot be read: {reason}.")
        except ValidationError:
            return Status(state=RunState.LOST, message="The run's status.json cannot be read.")

    def write_status(self, status: Status) -> None:
        write_atomically(self.status_path, json.dumps(status.model_dump(mode="json")), mode=READABLE)

    def checkpoints(self) -> list[int]:
        """Return the steps that have a complete checkpoint, in order."""
        try:
            return sorted(int(name) for name in os.listdir(self.steps) if _STEP.fullmatch(name))
        except OSError:
            return []

    def has_metrics(self) -> bool:
        """Whether a step was logged."""
        try:
            return os.stat(self.metrics_path).st_size > 0
        except OSError:
            return False

    def checkpoint_path(self, step: int) -> Path:
        return self.steps / f"{step:06d}"

    def best_step(self) -> int | None:
        """Return the step of the checkpoint with the lowest validation loss, if it is there."""
        try:
            step = read_json(self.steps / "best.json")["step"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return step if step in self.checkpoints() else None

    def send(self, request: Request) -> None:
        """Put a request into the inbox; raise `UserError` if that cannot be done.

        A stop reaches a worker on this machine all the same: it takes SIGTERM as one.
        """
        try:
            drop(self.inbox, request)
        except OSError as error:
            if isinstance(request, Stop) and self.status().signal(signal.SIGTERM):
                return
            if isinstance(error, PermissionError) and is_of_another_user(self.path):
                raise UserError(f"{self.name} is another user's run: only its owner can steer it.") from None
            raise UserError(f"Cannot send a request to {self.name}: {error.strerror or error}.") from None


def create(
    configuration: Configuration,
    *,
    root: Path | None = None,
    name: str | None = None,
    stem: str | None = None,
    recipe: str | None = None,
    parent: Mapping[str, Any] | None = None,
    instead_of: Mapping[str, str] | None = None,
    fill: Callable[[RunDirectory], None] = lambda _: None,
) -> RunDirectory:
    """Make the directory of a new run; raise `UserError` if the name is taken or the disk refuses.

    Without a `name` it is called by `stem` and a number. `parent` is the run and step of which it is a fork, `instead_of` the
    recipe that could not be trained here and why. `fill` adds to the directory before anybody can see it: whoever is killed
    meanwhile leaves a hidden folder, which the next run that is made removes. Others may look into the run if `TORCHTTY_SHARE`
    says `read`; its inbox is the owner's alone.
    """
    root = root or runs_folder()
    stem = (stem or stem_of(configuration, recipe)) if name is None else name
    check_name(stem if name is not None else f"{stem}-1")
    hidden, access = root / f"{_UNFINISHED}{os.getpid()}-{time.time_ns()}-{socket.gethostname()}", access_to_new_runs()
    try:
        root.mkdir(parents=True, exist_ok=True)
        if name is not None and os.path.lexists(root / name):
            raise taken(root / name)
        _remove_unfinished(root)
        run = RunDirectory(hidden)
        for folder, mode in ((hidden, access), (run.inbox, PRIVATE), (run.steps, SHARED), (run.media, SHARED)):
            folder.mkdir()
            folder.chmod(mode)  # whatever the umask
        write_atomically(run.config_path, configurations.to_toml(configuration.tree()), mode=READABLE)
        about = json.dumps(provenance(recipe, parent, instead_of), indent=1)
        write_atomically(run.meta_path, about, mode=READABLE)
        run.write_status(Status(state=RunState.STARTING, heartbeat=time.time()))
        fill(run)
        path = claim(root, stem, numbered=name is None)
        hidden.rename(path)  # over the empty folder that holds the name
    except OSError as error:
        raise UserError(
            f"Cannot create a run in {root}: {error.strerror or error}. Set TORCHTTY_RUNS to a folder you can write to."
        ) from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)  # what is left of it if it did not become a run
    return RunDirectory(path)


def _remove_unfinished(root: Path) -> None:
    """Remove what processes of this machine left that were killed while they made a run."""
    for entry in root.glob(f"{_UNFINISHED}*-{socket.gethostname()}"):
        import psutil

        pid = entry.name.removeprefix(_UNFINISHED).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(entry, ignore_errors=True)


def taken(path: Path) -> UserError:
    """Return the error for a run or a group that is to have the folder of another."""
    what = "group" if (path / GROUP_FILE).is_file() else "run"
    return UserError(f"There is a {what} called {path.name} already: choose another name.")


def find_free_name(stem: str, root: Path | None = None) -> str:
    """Return a name that no run has: `stem`, or else `stem-2`, and so on."""
    root, number, name = root or runs_folder(), 1, stem
    while (root / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def is_name(text: str) -> bool:
    """Whether a run can be called so."""
    return _NAME.fullmatch(text) is not None and text != LATEST


def check_name(text: str) -> None:
    """Raise `UserError` where a run cannot be called so."""
    if not _NAME.fullmatch(text):
        raise UserError(
            f"A run cannot be called '{shortened(text, 40)}': use letters, digits, dots, dashes and underscores."
        )
    if text == LATEST:
        raise UserError(f"A run cannot be called '{LATEST}', which means the newest one: choose another name.")


def claim(root: Path, stem: str, *, numbered: bool) -> Path:
    """Make a run's folder of that name, or of the next number behind it; raise `UserError` if it is taken."""
    if not numbered:
        try:
            (root / stem).mkdir(PRIVATE)
        except FileExistsError:
            raise taken(root / stem) from None
        return root / stem
    used = [
        int(match[1]) for entry in root.iterdir() if (match := re.fullmatch(re.escape(stem) + r"-(\d+)", entry.name))
    ]
    number = max(used, default=0) + 1
    while True:
        try:
            (root / f"{stem}-{number}").mkdir(PRIVATE)
        except FileExistsError:  # another torchtty took it this very moment
            number += 1
        else:
            return root / f"{stem}-{number}"


def stem_of(configuration: Configuration, recipe: str | None) -> str:
    """Return what the name of a run begins with: its recipe, or its model and data.

    A shipped recipe that was given a file of the person's own lends its settings and not its name, which says what it learns.
    """
    dataset = str(getattr(getattr(configuration, "data", None), "dataset", ""))
    is_own = bool(dataset) and dataset not in catalogue()
    if recipe and is_own and is_shipped(recipe):
        recipe = None
    text = recipe or "-".join(filter(None, (configuration.kind, Path(dataset).stem)))
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()  # città is citta
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60] or "run"


def list_runs(root: Path | None = None) -> list[RunDirectory]:
    """Return the runs in a folder, the newest first; a folder that may not be looked into comes last: it may be one."""
    folder = root or runs_folder()
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        return []
    created = {name: moment for name in names if (moment := _created(folder / name)) is not None}
    return [RunDirectory(folder / name) for name in sorted(created, key=lambda name: created[name], reverse=True)]


def _created(path: Path) -> float | None:
    """Return when a run was made; None for what is no run."""
    try:
        found = os.stat(path / "config.toml")
    except PermissionError:
        return 0.0
    except OSError:
        return None
    return None if stat.S_ISDIR(found.st_mode) else found.st_mtime


def find_run(name: str, root: Path | None = None) -> RunDirectory:
    """Return the run called `name`: a full name, a unique beginning of one, a path, or `latest`."""
    if (os.sep in name or name in (".", "..")) and os.path.isfile(os.path.join(name, "config.toml")):
        return RunDirectory(Path(name).absolute())
    runs = list_runs(root)
    if not runs:
        raise UserError(f"There are no runs in {root or runs_folder()} yet: start one with 'torchtty train'.")
    if name == LATEST:
        return runs[0]
    matches = [run for run in runs if run.name == name] or [run for run in runs if run.name.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches and all(run.meta().get("group") == name for run in matches):
        raise UserError(
            f"{shortened(name)} is a group of runs: name one of them, such as {matches[0].name}. "
            f"'torchtty results {shortened(name)}' compares them all."
        )
    if matches:
        raise UserError(
            f"'{shortened(name)}' fits several runs: {', '.join(run.name for run in matches[:6])}. Write more of the name."
        )
    raise UserError(
        f"There is no run called '{shortened(name)}'. The latest are {', '.join(run.name for run in runs[:5])}."
    )
