"""A request to a run's worker, or to one that is started to load its model, and the answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

from torchtty.engine.contract.client.workers import Mode, WarmWorker, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, Cancelled, Failed, RequestEvent
from torchtty.engine.contract.run.log import RunLog, is_about
from torchtty.engine.contract.run.requests import Cancel, Release, Request
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.tui.cli.console import messages
from torchtty.tui.cli.follow import GRACE, INTERVAL, Interruptions, counting_interrupts, last_line


def ask(run: RunDirectory, request: Request, take: Callable[[RequestEvent], None]) -> Answered | Cancelled | None:
    """Send a request and return how it ended; `take` gets the events before that. None if ctrl+c came first.

    The first ctrl+c cancels the request, the second stops waiting for it. Raises `UserError` if it fails or nobody can answer.
    """
    with counting_interrupts() as interruptions, _worker_for(run, interruptions) as worker:
        if interruptions.count:
            return None
        log, handled = RunLog(run, with_metrics=False), 0
        log.read()
        run.send(request)
        silent_since: float | None = None
        while interruptions.count < 2:
            if interruptions.count > handled:
                handled = interruptions.count
                run.send(Cancel(request=request.id))
            time.sleep(INTERVAL / 4)
            events = [event for event in log.read().events if is_about(event, request.id)]
            for event in events:
                if isinstance(event, Failed):
                    raise UserError(event.message)
                if isinstance(event, Answered | Cancelled):
                    return event
                take(event)
            gone = not worker.is_alive if worker is not None else not RunSnapshot(run, run.status()).is_served
            silent_since = (silent_since or time.monotonic()) if gone else None
            if not events and silent_since and time.monotonic() - silent_since > GRACE:
                raise UserError(f"{run.name} ended before it answered: {last_line(run, worker)}")
        return None


@contextmanager
def _worker_for(run: RunDirectory, interruptions: Interruptions) -> Iterator[WarmWorker | None]:
    """Start a worker for a run that has none, and release it in the end. Yields None where the run's own worker answers."""
    worker = None if RunSnapshot(run, run.status()).is_served else _loaded(run, interruptions)
    try:
        yield worker
    finally:
        if worker is not None:
            with suppress(UserError):
                run.send(Release())


def _loaded(run: RunDirectory, interruptions: Interruptions) -> WarmWorker:
    """Start a worker that loads the run's model, and wait until it has."""
    worker = start(run, Mode.SERVE)
    console = messages()
    with console.status("loading the model") if console.is_terminal else nullcontext():
        while not interruptions.count:
            status = run.written_status()
            if status.serving and status.pid == worker.process.pid:
                break
            if not worker.is_alive:
                reason = last_line(run, worker)
                worker.close()
                raise UserError(f"The model of {run.name} could not be loaded: {reason}")
            time.sleep(INTERVAL / 2)
    return worker
