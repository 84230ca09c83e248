"""A run of the list, read from its directory, and of one that was read before only what can have changed."""

import os
from dataclasses import dataclass, field, replace

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.marks import FILE as MARKS
from torchtty.engine.contract.run.marks import Marks, read_marks
from torchtty.engine.contract.run.settings_cache import SettingsCache, known_by_itself
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Family, Tree


@dataclass(frozen=True)
class Entry:
    """One run of the list. Its snapshot lacks facts and checkpoints, which would take a second for a thousand runs.

    `settings` are those in force, as they were read; empty where they cannot be.
    """

    snapshot: RunSnapshot
    settings: Tree = field(default_factory=dict)
    created: float = 0.0  # seconds since the epoch
    recipe: str = ""
    marks: Marks = field(default_factory=Marks)
    depth: int = 0  # how many of its ancestors, and its group, stand above it in the list

    @property
    def run(self) -> RunDirectory:
        return self.snapshot.run

    @property
    def key(self) -> str:
        return self.snapshot.name

    @property
    def status(self) -> Status:
        return self.snapshot.status

    @property
    def problem(self) -> str:
        """What is wrong with the directory."""
        return self.snapshot.problem

    @property
    def what_went_wrong(self) -> str:
        """What is wrong with the directory, or else the error that ended the run; empty for neither."""
        return self.problem or (self.status.message if self.status.state in (RunState.FAILED, RunState.LOST) else "")

    @property
    def group(self) -> str:
        return self.snapshot.group

    @property
    def kind(self) -> str:
        """The model's family, such as `gpt`; empty where it is not known."""
        return str(self.settings.get("model", {}).get("kind", ""))

    @property
    def family(self) -> Family | None:
        return FAMILIES.get(self.kind)

    @property
    def model(self) -> str:
        return self.family.title if self.family else ""

    @property
    def dataset(self) -> str:
        """The dataset's name, or the last part of its path."""
        return str(self.settings.get("data", {}).get("dataset", "")).rstrip("/").rsplit("/", 1)[-1]


class EntryReader:
    """Reads entries. One that `validates` has the configuration of each, and says what is wrong with one that is invalid."""

    def __init__(self, *, validates: bool = True) -> None:
        self._validates = validates
        self._settings = SettingsCache()
        self._known: dict[str, Entry] = {}
        self._seen: dict[str, object] = {}
        self._marked: dict[str, object] = {}
        self._events: dict[str, int] = {}  # the size of the events when the settings were read

    def read(self, run: RunDirectory) -> Entry:
        """Return a run's entry."""
        entry = self._known.get(run.name)
        seen, marked = _change_mark(str(run.status_path)), _change_mark(f"{run.path}/{MARKS}")
        if entry is None or seen != self._seen.get(run.name) or entry.status.state.is_live or entry.status.serving:
            entry = self._reread(run, entry or Entry(RunSnapshot(run, Status(state=RunState.LOST))))
        if marked != self._marked.get(run.name):
            entry = replace(entry, marks=read_marks(run))
        self._known[run.name], self._seen[run.name], self._marked[run.name] = entry, seen, marked
        return entry

    def save(self) -> None:
        """Remember for the next start what ended runs cannot change."""
        self._settings.save()

    def _reread(self, run: RunDirectory, entry: Entry) -> Entry:
        snapshot, status = entry.snapshot, run.status()
        if status.model_copy(update={"heartbeat": snapshot.status.heartbeat}) != snapshot.status:
            snapshot = replace(snapshot, status=status)
        size = _size(run)
        if size != self._events.get(run.name):
            self._events[run.name] = size
            configuration, known, problem, settings = None, None, "", Tree()
            try:
                if status.state.is_live:  # its events grow from second to second
                    settings = settings_in_force(run)
                    configuration = parse(settings)
                elif self._validates:
                    configuration, known = self._settings.configuration(run)
                else:
                    known = self._settings.known(run)
            except UserError as error:
                problem = str(error)
            settings = known.tree if known is not None else settings
            if settings != entry.settings:
                entry = replace(entry, settings=settings)
            if not entry.created:
                known = known or known_by_itself(run, {})
                entry = replace(entry, created=known.created, recipe=known.recipe)
                snapshot = replace(snapshot, parent=known.parent, group=known.group)
            if (configuration, problem) != (snapshot.configuration, snapshot.problem):
                snapshot = replace(snapshot, configuration=configuration, problem=problem)
        return entry if snapshot is entry.snapshot else replace(entry, snapshot=snapshot)


def _change_mark(path: str) -> object:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _size(run: RunDirectory) -> int:
    try:
        return os.stat(run.events_path).st_size
    except OSError:
        return 0
