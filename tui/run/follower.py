"""Following a run: what its files say, read as they grow. Knows nothing of the screen."""

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.jsonl import JsonLinesTail
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import Configuration
from torchtty.tui.charts.series import Series
from torchtty.tui.run.metrics import Columns
from torchtty.tui.run.record import EventReader, Facts, SampleRecord

CHUNK = 256 * 1024  # bytes parsed at once: 3 ms without a pause for other threads
LOOK_FOR_PROCESS = 1.0  # seconds between two looks whether the worker still exists

GONE = "The run's folder is gone: it was deleted or moved."


@dataclass
class News:
    """What has changed since the last news; None and empty mean nothing."""

    status: Status | None = None
    configuration: Configuration | None = None
    problem: str = ""  # why the configuration cannot be read
    metrics: bool = False
    facts: Facts | None = None
    samples: list[SampleRecord] = field(default_factory=list)
    forget_samples: bool = False  # the samples shown so far are no more: the file was replaced

    def __bool__(self) -> bool:
        return bool(
            self.status
            or self.configuration
            or self.problem
            or self.metrics
            or self.facts
            or self.samples
            or self.forget_samples
        )


class RunFollower:
    """The state of one run, brought up to date by `poll`.

    `poll` and `news` may be called from one thread, and `series` and `take` from one other.
    """

    def __init__(self, run: RunDirectory, wanted: Iterable[str] = ()) -> None:
        self.run = run
        self.status = Status()
        self.configuration: Configuration | None = None
        self._columns = Columns()
        self._wanted: frozenset[str] = frozenset()
        self.want(wanted)
        self._events = EventReader()
        self._metrics_tail = JsonLinesTail(run.metrics_path)
        self._events_tail = JsonLinesTail(run.events_path)
        self._written: Status | None = None
        self._status_seen: tuple[int, int, int] | None = None
        self._looked = 0.0
        self._configured = False
        self._known = False  # whether `status` was read from the run
        self._waiting: News | None = None
        self._lock = threading.Lock()

    @property
    def series(self) -> dict[str, Series]:
        """The curves that were asked for, by the metric's name."""
        return self._columns.series

    def want(self, names: Iterable[str]) -> None:
        """Ask for the curves of further metrics: they are in `series` at once, and the next `poll` draws them."""
        for name in names:
            self._columns.curve(name)
            self._wanted |= {name}

    @property
    def has_waiting_news(self) -> bool:
        """Whether news lie here that nobody has taken."""
        return self._waiting is not None

    def take(self) -> News | None:
        """Take what the last `poll` found, once."""
        with self._lock:
            news, self._waiting = self._waiting, None
        return news

    def poll(self) -> bool:
        """Read what is new and lay it out for `take`; say whether there was anything."""
        news = News()
        if not self._configured:
            self._configured = True
            try:
                self.configuration = news.configuration = self.run.configuration()
            except UserError as error:
                news.problem = str(error)
        # The status comes first: what a worker wrote before it changed its state is then read in the same look.
        news.status = self._read_status()
        self._read_metrics(news)
        self._read_events(news)
        if news:
            with self._lock:
                assert self._waiting is None, "news are taken before the next look"
                self._waiting = news
        return bool(news)

    def _read_metrics(self, news: News) -> None:
        while True:
            rows = self._metrics_tail.read(CHUNK)
            if self._metrics_tail.restarted:
                self._columns.clear()
                news.metrics = True
            if not rows:
                break
            self._columns.take(rows)
        news.metrics |= self._columns.draw(self._wanted)

    def _read_events(self, news: News) -> None:
        facts, changed = self._events.facts, set[int]()
        while True:
            records = self._events_tail.read(CHUNK)
            if self._events_tail.restarted:
                self._events = EventReader()
                changed.clear()
                news.forget_samples = True
            if not records:
                break
            changed |= self._events.take(records)
        if self._events.facts is not facts:
            news.facts = self._events.facts
        news.samples = [self._events.samples[key] for key in sorted(changed) if key in self._events.samples]

    def _read_status(self) -> Status | None:
        """Return the status if it is another than before; heartbeats alone change nothing that can be seen."""
        try:
            stat = os.stat(self.run.status_path)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            seen = None
        now = time.monotonic()
        fresh = self._written is None or seen != self._status_seen or seen is None
        if not fresh and now - self._looked < LOOK_FOR_PROCESS:
            return None
        if fresh:
            self._written, self._status_seen = self.run.written_status(), seen
            if seen is None and not self.run.path.is_dir():
                self._written = Status(state=RunState.LOST, message=GONE, step=self.status.step)
        assert self._written is not None
        if fresh or self._written.state.is_live or self._written.serving:
            self._looked = now
            status = self._written.observed()
            if not self._known or status.model_copy(update={"heartbeat": self.status.heartbeat}) != self.status:
                self.status, self._known = status, True
                return status
        return None
