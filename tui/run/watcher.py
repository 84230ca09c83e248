"""Following a run: its log and the curves that are shown, brought up to date in a thread. Knows nothing of the screen."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torchtty.engine.contract.diagnosis.diagnosis import Diagnosis
from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, Failed
from torchtty.engine.contract.run.lineage import Parent, curves_before, parent_of
from torchtty.engine.contract.run.log import RunLog, SampleRecord
from torchtty.engine.contract.run.metrics import MetricColumns
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.families import metric_named
from torchtty.engine.contract.settings.family import Configuration
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.style import TRAIN, VALID
from torchtty.tui.run.frugality import Frugality

CHECK_PROCESS_EVERY = 1.0  # seconds between two checks whether the worker still exists
LOCAL, REMOTE = 0.1, 0.25  # seconds between two polls while something happens
EAGER = 0.02  # and until a run that was just started has its first point
EAGER_FOR = 2.0  # seconds after which it is not waited for so eagerly any more
PAUSED, SERVING, OVER = 0.25, 0.5, 1.0  # and while nothing does
STEADY = 0.25  # seconds between two looks at a status in which nothing but progress is new
DIAGNOSE_EVERY = 3.0  # seconds between two diagnoses of a run that trains
ATTENTION = 10.0  # seconds after a request in which its effect is expected
PROGRESS = ("step", "heartbeat", "seconds", "steps_per_second", "metrics", "best", "best_step")  # of a status
COLOURS = {"train": TRAIN, "val": VALID, "": None}

GONE = "The run's folder is gone: it was deleted or moved."


@dataclass
class News:
    """What has changed since the last news; None and empty mean nothing."""

    snapshot: RunSnapshot | None = None  # where anything but points and samples is new
    metrics: bool = False
    samples: list[SampleRecord] = field(default_factory=list)
    restarted: bool = False  # the events were replaced: the samples shown so far are void
    saved: list[Answered | Failed] = field(default_factory=list)  # what became of requests for a checkpoint
    findings: tuple[Finding, ...] | None = None

    def __bool__(self) -> bool:
        anything = self.snapshot or self.metrics or self.samples or self.restarted or self.saved
        return bool(anything or self.findings is not None)


class RunFollower:
    """The state of one run, brought up to date by `poll`.

    `poll` may be called from one thread, `series` and `take` from one other.
    """

    def __init__(
        self, run: RunDirectory, wanted: Iterable[str] = (), *, diagnoses: bool = False, from_ancestors: bool = False
    ) -> None:
        """Follow a run; `from_ancestors` has the curves of a fork begin with those of the runs that it comes from."""
        self.run = run
        self._from_ancestors = from_ancestors
        self._inherited: MetricColumns | None = None  # what its ancestors logged; none before it was read
        self._begun: set[str] = set()  # metrics whose curves have what the ancestors logged
        self._parent: Parent | None = None
        self.status = Status()
        self.series: dict[str, Series] = {}
        self._log = RunLog(run)
        self._diagnosis = Diagnosis(self._log) if diagnoses else None
        self._findings: tuple[Finding, ...] = ()
        self._undiagnosed = True  # whether something was read since the last diagnosis
        self._diagnosed = 0.0
        self._wanted: frozenset[str] = frozenset()
        self.want(wanted)
        self._configuration: Configuration | None = None
        self._problem = ""
        self._configured_with: int | None = None  # how many edits are in `_configuration`
        self._checkpoints: tuple[int, ...] = ()
        self._written: Status | None = None
        self._status_seen: tuple[int, int, int] | None = None
        self._looked = 0.0
        self._progressed = 0.0  # when progress was last news
        self._known = False  # whether `status` was read from the run
        self._waiting: News | None = None
        self._lock = threading.Lock()

    def want(self, names: Iterable[str]) -> None:
        """Follow the curves of further metrics: they are in `series` at once, and the next `poll` fills them."""
        for name in names:
            metric = metric_named(name)
            colour = COLOURS[metric.role]
            self.series.setdefault(name, Series(name, metric.title, colour, smooth=metric.smoothed))
            self._wanted |= {name}

    def logged(self) -> frozenset[str]:
        """Return the metrics of which the run has points, as far as it was read. For the thread that calls `poll`."""
        return frozenset(self._log.metrics.names | {name for name, series in self.series.items() if len(series)})

    @property
    def has_waiting_news(self) -> bool:
        """Whether there is news that was not taken yet."""
        return self._waiting is not None

    @property
    def awaits_first_point(self) -> bool:
        """Whether the run is alive and has logged nothing yet."""
        return self.status.state.is_live and not any(len(series) for series in list(self.series.values()))

    def take(self) -> News | None:
        """Take what the last `poll` found, once."""
        with self._lock:
            news, self._waiting = self._waiting, None
        return news

    def poll(self) -> bool:
        """Read what is new and keep it for `take`; return whether there was anything."""
        news = News()
        # The status comes first: what a worker wrote before it changed its state is then read in the same poll.
        status_changed = self._read_status()
        changes = self._log.read()
        if changes.metrics_restarted:
            for series in self.series.values():
                series.clear()
            self._inherited = None
            self._begun.clear()
        drawn = [self._draw(name) for name in self._wanted]
        news.metrics = changes.metrics_restarted or any(drawn)
        news.restarted = changes.events_restarted
        news.samples = [self._log.samples[key] for key in sorted(changes.samples)]
        news.saved = [
            event for event in changes.events if isinstance(event, Answered | Failed) and event.request == "checkpoint"
        ]
        if status_changed or changes.facts or self._configured_with is None:
            news.snapshot = self._snapshot(look_for_checkpoints=changes.facts or not self.status.state.is_live)
        self._undiagnosed |= changes.metrics or changes.facts or status_changed
        news.findings = self._diagnose()
        if news:
            with self._lock:
                assert self._waiting is None, "news is taken before the next poll"
                self._waiting = news
        return bool(news)

    def _diagnose(self) -> tuple[Finding, ...] | None:
        """Return what is wrong with the run, where that is due and another than before."""
        due = not self.status.state.is_live or time.monotonic() - self._diagnosed >= DIAGNOSE_EVERY
        if self._diagnosis is None or self._problem or not self._undiagnosed or not due:
            return None
        self._undiagnosed, self._diagnosed = False, time.monotonic()
        before, self._findings = self._findings, self._diagnosis.findings(self.status)
        return self._findings if self._findings != before else None

    def _draw(self, name: str) -> bool:
        batches = self._log.metrics.pop(name)
        if self._from_ancestors and name not in self._begun:
            self._begun.add(name)
            if self._inherited is None:
                self._inherited = curves_before(self.run)
            batches = self._inherited.pop(name) + batches
        for batch in batches:
            self.series[name].extend(*batch)
        return bool(batches)

    def _snapshot(self, *, look_for_checkpoints: bool) -> RunSnapshot:
        edits = len(self._log.facts.edits)
        if self._configured_with != edits:
            self._configured_with = edits
            try:
                self._configuration, self._problem = parse(self._log.settings()), ""
            except UserError as error:
                self._configuration, self._problem = None, str(error)
        if look_for_checkpoints or not self._checkpoints:
            self._checkpoints = tuple(self.run.checkpoints())
        log, configuration = self._log, self._configuration
        self._parent = self._parent or parent_of(self.run.meta())
        return RunSnapshot(
            self.run, self.status, configuration, log.facts, self._checkpoints, self._problem, self._parent
        )

    def _read_status(self) -> bool:
        """Read the status; return whether it is another than before. Heartbeats alone change nothing that can be seen."""
        try:
            stat = os.stat(self.run.status_path)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            seen = None
        now = time.monotonic()
        fresh = self._written is None or seen != self._status_seen or seen is None
        if not fresh and now - self._looked < CHECK_PROCESS_EVERY:
            return False
        if fresh:
            written = self.run.written_status()
            if now - self._progressed < STEADY and self._known and _is_progress(self._written, written):
                return False  # each look redraws the line of progress, which is read no faster than this
            self._progressed = now
            self._written, self._status_seen = written, seen
            if seen is None and not self.run.path.is_dir():
                self._written = Status(state=RunState.LOST, message=GONE, step=self.status.step)
        assert self._written is not None
        if fresh or self._written.state.is_live or self._written.serving:
            self._looked = now
            status = self._written.observed()
            if not self._known or status.model_copy(update={"heartbeat": self.status.heartbeat}) != self.status:
                self.status, self._known = status, True
                return True
        return False


def _is_progress(before: Status | None, now: Status) -> bool:
    """Whether a run went on between two statuses, and nothing else about it is another."""
    if before is None or now.state is not RunState.RUNNING or now.step >= now.max_steps:
        return False
    return before.model_copy(update={name: getattr(now, name) for name in PROGRESS}) == now


class RunWatcher:
    """Polls a follower in a thread of its own and calls `notify` from it after every poll that found something.

    It polls again only after the news was taken, so that a screen which lags gets fewer notifications, each with all that is new.
    """

    def __init__(self, run: RunDirectory, notify: Callable[["RunWatcher"], object], wanted: Iterable[str] = ()) -> None:
        self.follower = RunFollower(run, wanted, diagnoses=True, from_ancestors=True)
        self._notify = notify
        self._wake = threading.Event()
        self._ended = False
        self._attentive_until = 0.0
        self._eager_until = 0.0
        self._frugality: Frugality | None = None  # made in the thread, whose use of the processor it measures from
        self._fast = REMOTE if "SSH_CONNECTION" in os.environ else LOCAL
        # A daemon: a waiting thread must not delay the return to the shell.
        self._thread = threading.Thread(target=self._run, name=f"following {run.name}", daemon=True)

    def start(self) -> None:
        self._eager_until = time.monotonic() + EAGER_FOR
        self._thread.start()

    def stop(self) -> None:
        """End the thread soon; nothing is notified after this."""
        self._ended = True
        self._wake.set()

    def pay_attention(self) -> None:
        """Poll often for a while: a request was sent, and something will happen."""
        self._attentive_until = time.monotonic() + ATTENTION
        self._wake.set()

    def _run(self) -> None:
        self._frugality = Frugality()
        while not self._ended:
            if not self.follower.has_waiting_news and self.follower.poll() and not self._ended:
                self._notify(self)
            self._wake.wait(self.interval())
            self._wake.clear()

    def interval(self) -> float:
        """Return the seconds until the next poll."""
        if self.follower.awaits_first_point and time.monotonic() < self._eager_until:
            return EAGER
        if time.monotonic() < self._attentive_until:
            return self._fast
        status = self.follower.status
        if status.state is RunState.PAUSED:
            return PAUSED
        if status.state.is_live:
            return max(self._fast, self._frugality.delay() if self._frugality else 0.0)
        return SERVING if status.serving else OVER
