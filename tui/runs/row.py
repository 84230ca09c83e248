"""What the table says of a run, read from its directory."""

import os
from contextlib import suppress
from dataclasses import dataclass, replace

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Family, Metric, Tree


@dataclass(frozen=True)
class RunRow:
    """One run as it is listed."""

    run: RunDirectory
    status: Status
    model: str = ""
    dataset: str = ""
    created: float = 0.0  # seconds since the epoch
    problem: str = ""  # what is wrong with the directory
    tree: Tree | None = None  # the settings in force, live edits included
    family: Family | None = None

    @property
    def summarised(self) -> tuple[tuple[Metric, float], ...]:
        """The metrics that the run is summed up by, with their latest values."""
        return self.family.summarised(self.status.metrics) if self.family else ()

    @property
    def key(self) -> str:
        return self.run.name

    def contains(self, text: str) -> bool:
        """Whether the row fits a filter: every word of it stands in a name, a model, a dataset or a state."""
        here = f"{self.run.name} {self.model} {self.dataset} {self.status.state.value}".lower()
        return all(word in here for word in text.lower().split())


class RowReader:
    """Reads rows, and of a run that was read before only what can have changed."""

    def __init__(self) -> None:
        self._known: dict[str, RunRow] = {}
        self._seen: dict[str, tuple[int, int] | None] = {}
        self._events: dict[str, int] = {}

    def read(self, run: RunDirectory) -> RunRow:
        """Return a run's row."""
        row = self._known.get(run.name) or self._first_look(run)
        seen = _change_mark(run)
        if (
            run.name not in self._known
            or seen != self._seen.get(run.name)
            or row.status.state.is_live
            or row.status.serving
        ):
            status = run.status()
            if (edited := _events_mark(run)) != self._events.get(run.name):
                self._events[run.name] = edited
                with suppress(UserError):
                    row = replace(row, tree=settings_in_force(run))
            if status.model_copy(update={"heartbeat": row.status.heartbeat}) != row.status:
                row = replace(row, status=status)
        self._known[run.name], self._seen[run.name] = row, seen
        return row

    @staticmethod
    def _first_look(run: RunDirectory) -> RunRow:
        created = run.meta().get("created")
        try:
            started = float(created) if isinstance(created, int | float) else run.config_path.stat().st_mtime
        except OSError:
            started = 0.0
        try:
            tree = settings_in_force(run)
        except UserError as error:
            return RunRow(run, Status(state=RunState.LOST), created=started, problem=str(error))
        dataset = str(tree.get("data", {}).get("dataset", "")).rstrip("/").rsplit("/", 1)[-1]
        family = family_of(str(tree["model"]["kind"]))
        return RunRow(run, Status(state=RunState.LOST), family.title, dataset, started, tree=tree, family=family)


def _change_mark(run: RunDirectory) -> tuple[int, int] | None:
    try:
        stat = os.stat(run.status_path)
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _events_mark(run: RunDirectory) -> int:
    try:
        return os.stat(run.events_path).st_size
    except OSError:
        return 0
