"""Somebody who answers commands to a run: its live worker, or one that is started to load its model."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from torchtty.engine.contract.client.workers import Mode, WarmWorker, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import RequestEvent
from torchtty.engine.contract.run.log import RunLog, is_about
from torchtty.engine.contract.run.requests import Release
from torchtty.tui.cli.console import messages
from torchtty.tui.cli.follow import GRACE, INTERVAL, Interruptions, last_words


@contextmanager
def answering(run: RunDirectory, interruptions: Interruptions) -> Iterator[WarmWorker | None]:
    """Have somebody answer commands, and let go of a worker that was started for that. Raises `UserError` if none can be."""
    worker = None if _can_answer(run) else _serving(run, interruptions)
    try:
        yield worker
    finally:
        if worker is not None:
            with suppress(UserError):
                run.send(Release())


def _can_answer(run: RunDirectory) -> bool:
    status = run.status()
    return status.state.is_live or status.serving


def _serving(run: RunDirectory, interruptions: Interruptions) -> WarmWorker:
    """Start a worker that loads the run's model, and wait until it has."""
    if not run.checkpoints():
        raise UserError(f"{run.name} has no checkpoint, so there is no model to answer from.")
    worker = start(run, Mode.SERVE)
    console = messages()
    with console.status("loading the model") if console.is_terminal else nullcontext():
        while not interruptions.count:
            status = run.written_status()
            if status.serving and status.pid == worker.process.pid:
                break
            if not worker.is_alive:
                raise UserError(f"The model of {run.name} could not be loaded: {last_words(run, worker)}")
            time.sleep(INTERVAL / 2)
    return worker


class Answers:
    """The events that a request brings about, as they come. Make it before the request is sent."""

    def __init__(self, run: RunDirectory, id: str) -> None:
        self.run, self.id = run, id
        self._log = RunLog(run, with_metrics=False)
        self._log.read()
        self._silent_since: float | None = None

    def read(self, worker: WarmWorker | None) -> list[RequestEvent]:
        """Return what is new, after a moment; raise `UserError` once nobody is there any more to answer."""
        time.sleep(INTERVAL / 4)
        found = [event for event in self._log.read().events if is_about(event, self.id)]
        gone = not worker.is_alive if worker is not None else not _can_answer(self.run)
        self._silent_since = (self._silent_since or time.monotonic()) if gone else None
        if not found and self._silent_since and time.monotonic() - self._silent_since > GRACE:
            raise UserError(f"{self.run.name} ended before it answered: {last_words(self.run, worker)}")
        return found
