"""Following a run from the command line: its progress, what ctrl+c does, and how it ends."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from torchtty.engine.contract.client.workers import WarmWorker, taking_over
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Warned
from torchtty.engine.contract.run.files import open_regular
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Stop
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.family import Family
from torchtty.tui.cli.console import messages, output
from torchtty.tui.format import behind, count, duration, measures, rate

INTERVAL = 0.1  # seconds between two looks at the run
GRACE = 2.0  # seconds for the last lines to arrive after a run has ended, or after its worker has
PLAIN_INTERVAL = 10.0  # seconds between two lines of progress where nothing can be drawn in place
TAIL = 64 * 1024  # bytes of a log in which its last line is looked for
BAR = 8  # cells of the progress bar at least
NAME = 8  # cells of a run's name at least, however narrow the terminal
GAP = "  "  # between two parts of a line of progress


@dataclass
class Interruptions:
    """How often ctrl+c was pressed."""

    count: int = 0


@contextmanager
def counting_interrupts() -> Iterator[Interruptions]:
    """Count SIGINT instead of raising from wherever it strikes."""
    interruptions = Interruptions()

    def count(_signal: int, _frame: FrameType | None) -> None:
        interruptions.count += 1

    previous = signal.signal(signal.SIGINT, count)
    try:
        yield interruptions
    finally:
        signal.signal(signal.SIGINT, previous)


# Progress.


def display(name: str, family: Family, *, results_on_stdout: bool = False) -> "InPlace | Plain":
    """Choose how a run is shown: in place on stderr or else stdout, as lines on stderr if neither is a terminal."""
    for console in (messages(),) if results_on_stdout else (messages(), output()):
        if console.is_terminal and not console.is_dumb_terminal:
            return InPlace(console, name, family)
    return Plain(messages(), family)


def describe(status: Status) -> str:
    """Return a run's state in a few words."""
    return status.state.value + (behind(status) if status.state is RunState.QUEUED else "")


def remaining(status: Status) -> str:
    """Return how long the rest takes at the present speed."""
    left = status.seconds_left
    return f"ETA {duration(left)}" if left is not None and status.state is RunState.RUNNING else ""


def how_far(status: Status) -> str:
    """Return how far a run is, in seconds where those end it first: `1,200/3,000`, `12/30 s`."""
    if status.max_seconds and status.seconds / status.max_seconds > status.step / max(1, status.max_steps):
        return f"{status.seconds:,.0f}/{status.max_seconds:,.0f} s"
    return f"{status.step:,}/{status.max_steps:,}" if status.max_steps else ""


def speed(status: Status) -> str:
    """Return how fast it trains at present."""
    known = status.steps_per_second is not None and status.state is RunState.RUNNING
    return rate(status.steps_per_second) if known else ""


def figures_so_far(status: Status, family: Family) -> list[str]:
    """Return the metrics that sum the run up, as far as they are known."""
    parts: list[str] = []
    shown: set[str] = set()
    for group in reversed(family.headline):  # the most important last, where the eye is
        if not shown.issuperset(group) and status.metrics.keys() >= set(group):
            parts.append(measures([(family.metric(name), status.metrics[name]) for name in group]))
            shown.update(group)
    return parts


def fitting(name: str, steps: str, figures: Sequence[str], needed: Sequence[str], width: int) -> tuple[str, str]:
    """Return a name, and what stands after it, that fit into one line of a terminal.

    What is `needed` (speed, time left) is there at every width, and the name, cut if it must be. The last of the figures, which is
    the most important, comes before the steps, and those before the others.
    """
    needed = [part for part in needed if part]
    chosen: list[str] = []
    for part in filter(None, (*figures[-1:], steps, *figures[-2::-1])):
        if len(GAP.join((name, part, *chosen, *needed))) <= width:
            chosen.append(part)
    text = GAP.join((*(part for part in (steps, *figures) if part in chosen), *needed))
    room = max(NAME, width - len(GAP) - len(text))
    return name if len(name) <= room else f"{name[: room - 1]}…", text


class InPlace:
    """A progress bar that is redrawn in its line and gone at the end. Where the terminal is narrow, the bar goes first."""

    def __init__(self, console: Console, name: str, family: Family) -> None:
        self._name, self._family = (name := printable_line(name)), family
        self._texts = (
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[text]}", markup=False, justify="right", table_column=Column(no_wrap=True)),
        )
        self._bar = BarColumn(bar_width=None)
        self._progress = Progress(*self._texts, console=console, transient=True, expand=True, refresh_per_second=8)
        self._task = self._progress.add_task(f"{name}: starting", total=None, text="")

    def __enter__(self) -> "InPlace":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, status: Status, figures: Sequence[str] | None = None) -> None:
        """Show how far a run is; `figures` says it in other words than its own metrics."""
        runs, width = status.state is RunState.RUNNING, self._progress.console.width
        figures = figures_so_far(status, self._family) if figures is None else figures
        whole = self._name if runs else f"{self._name}: {describe(status)}"
        name, text = fitting(whole, how_far(status), figures, (speed(status), remaining(status)), width)
        has_room = width - len(name) - len(text) - len(GAP) >= BAR
        self._progress.columns = (self._texts[0], self._bar, self._texts[1]) if has_room else self._texts
        total, done = 1.0 if status.max_steps else None, status.share_done
        self._progress.update(self._task, description=name, total=total, completed=done, text=text)

    def note(self, text: str) -> None:
        self._progress.console.print(Text(printable(text)))


class Plain(AbstractContextManager["Plain"]):
    """A line whenever the state changes, and every ten seconds where that says something else."""

    def __init__(self, console: Console, family: Family) -> None:
        self._console, self._family = console, family
        self._last = ("", 0.0)
        self._said = ""

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, status: Status, figures: Sequence[str] | None = None) -> None:
        """Show how far a run is; `figures` says it in other words than its own metrics."""
        what, now = describe(status), time.monotonic()
        if (what, True) == (self._last[0], now - self._last[1] < PLAIN_INTERVAL):
            return
        self._last = (what, now)
        steps = ""
        if status.step and (far := how_far(status)):
            steps = far if far.endswith(" s") else f"step {count(status.step)} of {count(status.max_steps)}"
        figures = figures_so_far(status, self._family) if figures is None else figures
        parts = (what, steps, *figures, speed(status), remaining(status))
        if (line := GAP.join(part for part in parts if part)) != self._said:
            self._said = line
            self.note(line)

    def note(self, text: str) -> None:
        self._console.print(Text(printable(text)), soft_wrap=True)


# Following.


@dataclass(frozen=True)
class Outcome:
    """How following a run ended: `status` is its last one, `left` that a second ctrl+c left it to itself."""

    log: RunLog
    status: Status
    interrupted: bool = False
    left: bool = False


def follow(
    run: RunDirectory,
    log: RunLog,
    shown: InPlace | Plain,
    interruptions: Interruptions,
    worker: WarmWorker | None = None,
    *,
    detach: bool = False,
) -> Outcome:
    """Show a run until it is over, or, to detach from it, until it trains or is queued.

    The first ctrl+c stops it with a checkpoint, the second leaves it to itself. `worker` is the process just started for it, if
    any: one that exits before it took the run over has failed.
    """
    stale = run.written_status() if worker is not None else None
    handled = 0  # interruptions
    gone_since: float | None = None
    while True:
        status = run.status()
        for event in log.read().events:
            if isinstance(event, Warned):
                shown.note(f"warning: {event.message}")
        taken_over = stale is None or worker is None or status.pid == worker.process.pid
        if taken_over and not status.state.is_live:
            _wait_for_last_lines(log, status)
            if status.state is RunState.LOST and worker is not None and worker.log():  # it never took the run over
                status = _failed(status, run, worker)
                with suppress(OSError):
                    run.write_status(status)
            return Outcome(log, status, interruptions.count > 0)
        if worker is not None and not worker.is_alive:
            gone_since = gone_since or time.monotonic()
            if time.monotonic() - gone_since > GRACE:
                return Outcome(log, _failed(status, run, worker), interruptions.count > 0)
        if interruptions.count > handled:
            handled = interruptions.count
            if handled > 1:
                return Outcome(log, status, interrupted=True, left=True)
            run.send(Stop())
            shown.note("Stopping after this step with a checkpoint; ctrl+c again leaves the run to itself.")
        if detach and taken_over and not handled and status.state in (RunState.RUNNING, RunState.QUEUED):
            return Outcome(log, status)
        shown.show(status if taken_over else status.model_copy(update={"state": RunState.STARTING}))
        time.sleep(INTERVAL)


def _wait_for_last_lines(log: RunLog, status: Status) -> None:
    """Take in what the worker wrote just before or just after the final status."""
    deadline = time.monotonic() + (GRACE if status.state is RunState.FINISHED else 0.2)
    while log.facts.summary is None and time.monotonic() < deadline:
        log.read()
        time.sleep(INTERVAL / 2)
    log.read()


def last_line(run: RunDirectory, worker: WarmWorker | None = None) -> str:
    """Return the last line that a worker left: in its own log, or in its part of the run's."""
    text = worker.log().strip() if worker else ""
    if not text:
        with suppress(OSError), open_regular(run.log_path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            text = file.read().decode("utf-8", "replace")
        if worker is not None:
            text = text.rpartition(taking_over(worker.process.pid))[2].partition("\n")[2]
    lines = text.strip().splitlines()
    return lines[-1][:400] if lines else "it left no message"


def _failed(status: Status, run: RunDirectory, worker: WarmWorker) -> Status:
    message = f"The worker process ended before it took the run over: {last_line(run, worker)}"
    worker.close()
    return status.model_copy(update={"state": RunState.FAILED, "message": message})
