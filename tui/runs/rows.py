"""The rows of the table of runs: read from the run directories, and updated by a thread."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.lineage import as_tree
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.settings_cache import SettingsCache, known_by_itself
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.tui.format import branch

INTERVAL = 1.0  # seconds between two looks at the runs folder


@dataclass(frozen=True)
class RunRow:
    """One run of the list. Its snapshot lacks facts and checkpoints, which would take a second for a thousand runs."""

    snapshot: RunSnapshot
    created: float = 0.0  # seconds since the epoch
    depth: int = 0  # how many of its ancestors stand above it in the table

    @property
    def run(self) -> RunDirectory:
        return self.snapshot.run

    @property
    def key(self) -> str:
        return self.snapshot.name

    @property
    def title(self) -> str:
        """The name as the table shows it, a fork's behind a branch."""
        return branch(self.depth) + self.key

    @property
    def status(self) -> Status:
        return self.snapshot.status

    @property
    def problem(self) -> str:
        """What is wrong with the directory."""
        return self.snapshot.problem

    @property
    def model(self) -> str:
        return self.snapshot.family.title if self.snapshot.family else ""

    def contains(self, text: str) -> bool:
        """Whether the row fits a filter: every word of it stands in a name, a model, a dataset or a state."""
        here = f"{self.key} {self.model} {self.snapshot.dataset} {self.status.state.value}".lower()
        return all(word in here for word in text.lower().split())


class RowReader:
    """Reads rows, and of a run that was read before only what can have changed."""

    def __init__(self) -> None:
        self._settings = SettingsCache()
        self._known: dict[str, RunRow] = {}
        self._seen: dict[str, tuple[int, int] | None] = {}
        self._events: dict[str, int] = {}  # the size of the events when the settings were read

    def read(self, run: RunDirectory) -> RunRow:
        """Return a run's row."""
        row = self._known.get(run.name)
        seen = _change_mark(run)
        if row is None or seen != self._seen.get(run.name) or row.status.state.is_live or row.status.serving:
            row = self._reread(run, row or RunRow(RunSnapshot(run, Status(state=RunState.LOST))))
        self._known[run.name], self._seen[run.name] = row, seen
        return row

    def save(self) -> None:
        """Remember for the next start what ended runs cannot change."""
        self._settings.save()

    def _reread(self, run: RunDirectory, row: RunRow) -> RunRow:
        snapshot, status = row.snapshot, run.status()
        if status.model_copy(update={"heartbeat": snapshot.status.heartbeat}) != snapshot.status:
            snapshot = replace(snapshot, status=status)
        size = _size(run)
        if size != self._events.get(run.name):
            self._events[run.name] = size
            configuration, known, problem = None, None, ""
            try:
                if status.state.is_live:  # its events grow from second to second
                    configuration = parse(settings_in_force(run))
                else:
                    configuration, known = self._settings.configuration(run)
            except UserError as error:
                problem = str(error)
            if not row.created:
                known = known or known_by_itself(run, {})
                row, snapshot = replace(row, created=known.created), replace(snapshot, parent=known.parent)
            if (configuration, problem) != (snapshot.configuration, snapshot.problem):
                snapshot = replace(snapshot, configuration=configuration, problem=problem)
        return row if snapshot is row.snapshot else replace(row, snapshot=snapshot)


def in_families(rows: list[RunRow]) -> list[RunRow]:
    """Put forks below their parents, as far as these are among the rows."""
    tree = as_tree(rows, lambda row: row.created, lambda row: row.snapshot.parent)
    return [row if row.depth == depth else replace(row, depth=depth) for row, depth in tree]


def _change_mark(run: RunDirectory) -> tuple[int, int] | None:
    try:
        stat = os.stat(run.status_path)
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _size(run: RunDirectory) -> int:
    try:
        return os.stat(run.events_path).st_size
    except OSError:
        return 0


class RunsWatcher:
    """Reads the list once a second, while it is watched, and calls `notify` from its thread where something has changed."""

    def __init__(self, notify: Callable[[list[RunRow]], object]) -> None:
        self._notify = notify
        self._reader = RowReader()
        self._rows: list[RunRow] | None = None
        self._watching = threading.Event()
        self._wake = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._look, name="listing runs", daemon=True)

    def start(self) -> None:
        """Start, or continue after a pause."""
        self._watching.set()
        self._wake.set()
        if not self._thread.is_alive() and not self._ended:
            self._thread.start()

    def pause(self) -> None:
        """Stop reading while the list is not shown."""
        self._watching.clear()

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._watching.set()
        self._wake.set()

    def look_now(self) -> None:
        """Read the list at once."""
        self._wake.set()

    def _look(self) -> None:
        while not self._ended:
            self._watching.wait()
            if self._ended:
                return
            rows = [self._reader.read(run) for run in list_runs()]
            if rows != self._rows:
                self._rows = rows
                self._notify(rows)
                self._reader.save()
            self._wake.wait(INTERVAL)
            self._wake.clear()
