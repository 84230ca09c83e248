"""Obeying what is asked of a worker, the same way whether its run waits, trains, pauses or rests.

Requests are read from the run's inbox between two blocks of steps. Work on one is reported by events: started, progress, then
answered, failed or cancelled. While one is worked on the inbox is still read, so that it can be cancelled.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.events import Answered, Cancelled, Failed, Progress, Started
from torchtty.engine.contract.run.requests import Request
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.devices import LackOfMemoryError, free_cached_memory, is_lack_of_memory, lack_of_memory
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.parking import Parked
from torchtty.engine.training.run_writer import RunWriter
from torchtty.engine.worker.answers import ANSWERS, Answer, Interrupted, Work, draw_automatically

INBOX_INTERVAL = 0.05  # seconds between two looks into the inbox
STREAM_INTERVAL = 0.05  # seconds of progress gathered into one event
LISTEN_INTERVAL = 0.1  # seconds between two looks for a request that breaks off the one that is worked on


class Dispatcher:
    """Obeys the requests in a run's inbox."""

    def __init__(
        self, writer: RunWriter, acquire_device: Callable[[], bool], release_device: Callable[[], None]
    ) -> None:
        self.writer = writer
        self.stop_requested = False
        self.stop_at: int | None = None  # a step at which training stops, as after a request
        self.release_requested = False
        self.last_request = time.monotonic()
        self._acquire_device, self._release_device = acquire_device, release_device
        self.advance: Callable[[], bool] = lambda: (
            False
        )  # go ahead of this user's other runs in the queue; false: none is
        self._loop: Loop | None = None  # none until model and data are built
        self.parked: Parked | None = None  # what the paused run held on its device
        self._paused = False
        self._looked = 0.0
        self._pending: deque[Request] = deque()
        self._inbox_refused = False  # as was reported

    def attach(self, loop: Loop) -> None:
        """Work on requests with a loop's model from now on."""
        self._loop = loop

    @property
    def until(self) -> int | None:
        """The step at which it stops; none: what is asked for may be done after any step."""
        return self.stop_at

    # -- the inbox ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read the inbox if it is time to; return once the run is to continue, or to stop."""
        if self.stop_at is not None and self._loop is not None and self._loop.step >= self.stop_at:
            self.stop_requested = True
        now = time.perf_counter()
        if now - self._looked < INBOX_INTERVAL:
            return
        self._looked = now
        self.obey_all()
        if self._paused and not self.stop_requested:
            self._wait_while_paused()

    def obey_all(self) -> None:
        """Do what the inbox asks for."""
        self._collect()
        while self._pending:
            self._obey(self._pending.popleft())

    def refuse_all(self, message: str) -> None:
        """Let every request in the inbox fail."""
        self._collect()
        while self._pending:
            self._fail(self._pending.popleft(), message)

    def _collect(self) -> list[Request]:
        found: list[Request] = []
        try:
            for request in requests.collect(self.writer.run.inbox):
                if isinstance(request, str):
                    self.writer.warn(request)
                else:
                    found.append(request)
                    self.last_request = time.monotonic()
        except OSError as error:  # a network file system may hiccup
            if not self._inbox_refused:
                self._inbox_refused = True
                reason = error.strerror or error
                self.writer.warn(f"The run's inbox cannot be read: {reason}. Training goes on; what is asked waits.")
        else:
            self._inbox_refused = False
        self._pending.extend(found)
        return found

    def _obey(self, request: Request) -> None:
        match request:
            case requests.Stop():
                self.stop_requested = True
            case requests.Release():
                self.release_requested = True  # heeded once the run is over: until then the model is needed
            case requests.Cancel():
                pass  # what it was to break off has ended already
            case requests.Pause() if self._trains:
                self._paused = True
            case requests.Continue():
                self._paused = False
            case requests.Pause():
                self._fail(request, f"The run is {self.writer.status.state.value}: only a run that trains can pause.")
            case requests.Advance():
                if self.advance():
                    self.writer.event(Answered(id=request.id, request=request.type))
                elif self.writer.status.state is RunState.QUEUED:
                    self._fail(request, "No other run of yours waits before this one.")
                else:
                    self._fail(request, f"The run is {self.writer.status.state.value}: it does not wait for a device.")
            case _ if self._loop is None:
                self._fail(request, "The run has not started yet.")
            case requests.Edit() if not self.writer.status.state.is_live:
                state = self.writer.status.state.value
                self._fail(request, f"{request.path} stays as it is: the run is {state}. Resume it with another value.")
            case _:
                loop = self._loop
                try:
                    with loop.aside(), self._on_its_device():
                        self._work(request.id, request.type, lambda: ANSWERS[type(request)](loop, request))
                except torch.OutOfMemoryError as error:
                    self._fail(request, f"The paused run's model finds no place. {lack_of_memory(error)}")

    @property
    def _trains(self) -> bool:
        return self.writer.status.state in (RunState.RUNNING, RunState.PAUSED)

    def _wait_while_paused(self) -> None:
        """Leave the device to others until the run is to go on; a GPU's memory goes at once."""
        loop = self._loop
        assert loop is not None
        with loop.aside():
            loop.note()
            self.parked = Parked(loop.task)
            self._release_device()
            self.writer.state(RunState.PAUSED)
            while not self.stop_requested:
                time.sleep(INBOX_INTERVAL)
                self.obey_all()
                if not self._paused and not self.stop_requested and self._goes_on(self.parked):
                    self.parked = None
                    return

    def _goes_on(self, parked: Parked) -> bool:
        """Take the device again; where it has become too full, stay paused and say so."""
        if not self._acquire_device():
            return False
        try:
            parked.bring_back()
        except torch.OutOfMemoryError as error:
            self._release_device()
            self._paused = True
            self.writer.state(RunState.PAUSED, f"Cannot go on yet. {lack_of_memory(error)}")
            return False
        self._paused = False
        self.writer.state(RunState.RUNNING)
        return True

    @contextmanager
    def _on_its_device(self) -> Iterator[None]:
        """Have the model where it computes, also while the run is paused."""
        assert self._loop is not None
        if self.parked is None:
            yield
            return
        self.parked.bring_back()
        try:
            yield
        finally:
            self.parked = Parked(self._loop.task)

    # -- working on a request -------------------------------------------------------------------------------------

    def draw_automatically(self) -> None:
        """Draw what a run draws by itself now and then; requests that come meanwhile are obeyed afterwards."""
        loop = self._loop
        assert loop is not None
        with loop.aside():
            self._work(f"step-{loop.step}", "sample", lambda: draw_automatically(loop))
        self.obey_all()

    def test_automatically(self) -> None:
        """Evaluate the test split, as a run does by itself when it is finished."""
        loop = self._loop
        assert loop is not None
        with loop.aside():
            self._work(f"test-{loop.step}", "test", lambda: ANSWERS[requests.Test](loop, requests.Test()))

    def _work(self, id: str, kind: str, begin: Callable[[], Work]) -> None:
        """Follow the work on a request and report it; whatever it raises that is its own fault fails the request alone."""
        stream = _Stream(self.writer, id, kind)
        began = heard = time.monotonic()
        answer: Answer | None = None
        cancelled = lacked_memory = False
        failure = ""
        try:
            steps = begin()
            while True:
                stream.send(next(steps))
                if not cancelled and time.monotonic() - heard >= LISTEN_INTERVAL:
                    heard = time.monotonic()
                    if cancelled := self._is_broken_off(id):
                        stream.send(steps.throw(Interrupted()))
        except StopIteration as end:
            answer = end.value
        except Interrupted:
            pass
        except UserError as error:
            failure, lacked_memory = str(error), isinstance(error, LackOfMemoryError)
        except (MemoryError, RuntimeError) as error:
            if not is_lack_of_memory(error):
                raise
            lacks, lacked_memory = lack_of_memory(error), True
            failure = f"There is not enough memory for this {kind}. {lacks} Ask for less, or release a model."
        if lacked_memory:
            free_cached_memory()
        if failure:
            stream.close(Failed(message=failure))
        elif cancelled:
            stream.close(Cancelled(sample=answer.sample if answer else None))
        elif answer is not None:
            stream.close(answer.event(self.writer, id, kind, time.monotonic() - began))

    def _is_broken_off(self, id: str) -> bool:
        """Whether a request that came meanwhile ends the work on this one; cancellations are used up by that."""
        found = self._collect()
        cancels = [request for request in found if isinstance(request, requests.Cancel) and request.request in ("", id)]
        for request in cancels:
            self._pending.remove(request)
        return bool(cancels) or any(isinstance(request, requests.Stop | requests.Release) for request in found)

    def _fail(self, request: Request, message: str) -> None:
        self.writer.event(Failed(id=request.id, request=request.type, message=message))


class _Stream:
    """Writes what becomes of one request, gathering the text of its progress for a moment."""

    def __init__(self, writer: RunWriter, id: str, kind: str) -> None:
        self._writer, self._about = writer, {"id": id, "request": kind}
        self._texts: dict[int, str] = {}
        self._sent = 0.0  # the first text goes out at once

    def send(self, event: Started | Progress | None) -> None:
        if event is None:
            return
        if isinstance(event, Started):
            self._write(event)
            return
        if not event.text:
            self._write(event)
            return
        self._texts[event.index] = self._texts.get(event.index, "") + event.text
        if time.monotonic() - self._sent >= STREAM_INTERVAL:
            self._flush()

    def close(self, event: Answered | Cancelled | Failed) -> None:
        self._flush()
        self._write(event)

    def _flush(self) -> None:
        for index, text in self._texts.items():
            self._write(Progress(index=index, text=text))
        self._texts.clear()
        self._sent = time.monotonic()

    def _write(self, event: Started | Progress | Answered | Cancelled | Failed) -> None:
        self._writer.event(event.model_copy(update=self._about))
