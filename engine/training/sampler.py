"""Answering requests for samples, streamed into the run's events."""

import itertools
import time
from collections.abc import Callable

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.contract.run.requests import CancelSample, Command, Release, Sample, Stop
from torchtty.engine.training.run_writer import Record
from torchtty.engine.training.task import SampleRequest, SampleResult, Task

STREAM_INTERVAL = 0.05  # seconds of text gathered into one event
LISTEN_INTERVAL = 0.1  # seconds between two looks for a command that breaks the sample off

Listen = Callable[[], list[Command]]


class Sampler:
    """Draws samples from a task and records them as they come."""

    def __init__(self, task: Task, record: Record) -> None:
        self.task, self.record = task, record
        self._numbers = itertools.count(1)

    def answer(self, command: Sample, listen: Listen) -> list[Command]:
        """Draw what a command asks for; return the commands that came meanwhile and are still to be obeyed."""
        own = self.task.automatic_sample()
        if own is None:
            self.record.event(EventKind.SAMPLE_FAILED, id=command.id, message="This model does not write text.")
            return []
        request = SampleRequest(
            prompt=own.prompt if command.prompt is None else command.prompt,
            count=command.count or own.count,
            max_tokens=command.max_tokens or own.max_tokens,
            temperature=own.temperature if command.temperature is None else command.temperature,
            top_k=own.top_k if command.top_k is None else command.top_k or None,
            top_p=own.top_p if command.top_p is None else command.top_p,
            seed=command.seed,
        )
        return self.draw(request, command.id or f"sample-{next(self._numbers)}", listen, automatic=False)

    def automatic(self, step: int, listen: Listen) -> list[Command]:
        """Draw what is drawn now and then during training; as `answer`."""
        request = self.task.automatic_sample()
        return self.draw(request, f"step-{step}", listen, automatic=True) if request is not None else []

    def draw(self, request: SampleRequest, name: str, listen: Listen, *, automatic: bool) -> list[Command]:
        """Draw a request's samples; a stop breaks them off, as does a cancellation or another sample."""
        result = SampleResult(texts=[""] * request.count)
        later: list[Command] = []
        waiting: dict[int, str] = {}
        cancelled = started = False
        sent = heard = time.monotonic()
        pieces = self.task.sample(request, result)
        try:
            for piece in pieces:
                if not started:
                    self._start(request, name, result, automatic)
                    started = True
                    sent = 0.0  # the first token goes out at once
                waiting[piece.index] = waiting.get(piece.index, "") + piece.text
                now = time.monotonic()
                if now - sent >= STREAM_INTERVAL:
                    self._send(name, waiting)
                    sent = now
                if now - heard >= LISTEN_INTERVAL:
                    heard = now
                    news = listen()
                    later += [command for command in news if not isinstance(command, CancelSample)]
                    if any(isinstance(command, CancelSample | Stop | Release) for command in news):
                        cancelled = True
                        break
        except UserError as error:
            self.record.event(EventKind.SAMPLE_FAILED, id=name, message=str(error))
            return later
        finally:
            pieces.close()  # type: ignore[attr-defined]
        if not started:
            self._start(request, name, result, automatic)
        self._send(name, waiting)
        self.record.event(
            EventKind.SAMPLE_END,
            id=name,
            prompt=request.prompt,
            texts=result.texts,
            known=result.known,
            cancelled=cancelled,
            automatic=automatic,
        )
        return later

    def _start(self, request: SampleRequest, name: str, result: SampleResult, automatic: bool) -> None:
        settings = {
            "temperature": request.temperature,
            "top_k": request.top_k,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            "seed": request.seed,
        }
        self.record.event(
            EventKind.SAMPLE_START,
            id=name,
            prompt=request.prompt,
            count=request.count,
            settings=settings,
            unknown=result.unknown,
            automatic=automatic,
        )

    def _send(self, name: str, waiting: dict[int, str]) -> None:
        for index, text in waiting.items():
            if text:
                self.record.event(EventKind.SAMPLE_TEXT, id=name, index=index, text=text)
        waiting.clear()
