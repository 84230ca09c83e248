"""Following a run from the command line until it ends, and what ctrl+c does meanwhile."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Warned
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Stop
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.tui.cli.progress import Display

INTERVAL = 0.1  # seconds between two looks at the run
GRACE = 2.0  # seconds for the last lines to arrive after a run has ended, or after its worker has


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


@dataclass
class Outcome:
    """How following a run ended: `status` is its last one, `left` that it was left to itself by a second ctrl+c."""

    status: Status
    interrupted: bool = False
    left: bool = False
    warnings: list[str] = field(default_factory=list)


def follow(
    run: RunDirectory,
    log: RunLog,
    shown: Display,
    interruptions: Interruptions,
    worker: WarmWorker | None = None,
) -> Outcome:
    """Show a run until it is no longer live. The first ctrl+c stops it gracefully, the second leaves it to itself.

    `worker` is the process just started for it, if any: one that ends before it took the run over has failed.
    """
    stale = run.written_status() if worker is not None else None
    warnings: list[str] = []
    told = 0
    gone_since: float | None = None
    while True:
        status = run.status()
        for event in log.read().events:
            if isinstance(event, Warned):
                warnings.append(event.message)
                shown.note(f"warning: {event.message}")
        taken_over = stale is None or worker is None or status.pid == worker.process.pid
        if taken_over and not status.state.is_live:
            _wait_for_last_lines(log, status)
            return Outcome(status, interruptions.count > 0, warnings=warnings)
        if worker is not None and not worker.is_alive:
            gone_since = gone_since or time.monotonic()
            if time.monotonic() - gone_since > GRACE:
                return Outcome(_failed(status, run, worker), interruptions.count > 0, warnings=warnings)
        if interruptions.count > told:
            told = interruptions.count
            if told > 1:
                return Outcome(status, interrupted=True, left=True, warnings=warnings)
            run.send(Stop())
            shown.note("Stopping after this step and writing a checkpoint; ctrl+c again leaves the run to itself.")
        shown.show(status if taken_over else status.model_copy(update={"state": RunState.STARTING}))
        time.sleep(INTERVAL)


def _wait_for_last_lines(log: RunLog, status: Status) -> None:
    """Take in what the worker wrote just before or just after the final status."""
    deadline = time.monotonic() + (GRACE if status.state is RunState.FINISHED else 0.2)
    while log.facts.summary is None and time.monotonic() < deadline:
        log.read()
        time.sleep(INTERVAL / 2)
    log.read()


def last_words(run: RunDirectory, worker: WarmWorker | None = None) -> str:
    """Return the last line that a worker left in its logs."""
    try:
        log = run.log_path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        log = ""
    lines = (log.strip() or (worker.log().strip() if worker else "")).splitlines()
    return lines[-1][:400] if lines else "it left no message"


def _failed(status: Status, run: RunDirectory, worker: WarmWorker) -> Status:
    message = f"The worker process ended before it took the run over: {last_words(run, worker)}"
    return status.model_copy(update={"state": RunState.FAILED, "message": message})
