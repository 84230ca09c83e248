"""Asking a run's worker for a lens, and following what becomes of the request. Runs in a thread; knows nothing of the screen."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LensEntry, lens_named
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Answered, Cancelled, Failed, Progress, read_event
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import is_about, result_of
from torchtty.engine.contract.run.requests import Cancel, Lens
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState

INTERVAL = 0.08  # seconds between two looks for an answer
PATIENCE = 120.0  # seconds for a worker to load the model
GRACE = 2.0  # seconds for an answer to arrive after the worker has ended

GONE = "The process that had the model ended before it answered. See worker.log in the run's folder."


@dataclass(frozen=True)
class LensResult:
    """What a lens found in a run at a step, with which options, and how many seconds the worker took for it."""

    run: RunDirectory
    lens: LensEntry
    options: Mapping[str, Any]
    step: int
    seconds: float
    value: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What has become of a request: a sentence, an end, a result; `needs_worker` once it waits for one."""

    request: Lens
    run: RunDirectory
    text: str = ""
    wrong: bool = False
    ended: bool = False
    result: LensResult | None = None
    needs_worker: bool = False


def ask(run: RunDirectory, request: Lens, is_wanted: Callable[[], bool], report: Callable[[Report], None]) -> None:
    """Send a request and report what becomes of it until it has ended or is not wanted any more."""
    try:
        status = run.status()
        snapshot = RunSnapshot(run, status, checkpoints=tuple(run.checkpoints()))
        if refusal := snapshot.refusal(Action.LENS):
            raise UserError(refusal)
        tail = JsonLinesTail(run.events_path)
        tail.skip()
        run.send(request)
        if not snapshot.is_served:
            report(Report(request, run, "Loading the model …", needs_worker=True))
        elif snapshot.state is RunState.STARTING:
            report(Report(request, run, "Waiting until the run has begun …"))
        _follow(run, tail, request, is_wanted, report)
    except UserError as error:
        report(Report(request, run, str(error), wrong=True, ended=True))


def cancel(run: RunDirectory, request: Lens) -> None:
    """Cancel a request that was sent."""
    with suppress(UserError):  # a run that is gone has nothing to cancel
        run.send(Cancel(request=request.id))


def _follow(
    run: RunDirectory,
    tail: JsonLinesTail,
    request: Lens,
    is_wanted: Callable[[], bool],
    report: Callable[[Report], None],
) -> None:
    silent_since, was_served = time.monotonic(), False
    while is_wanted():
        for event in map(read_event, tail.read()):
            if event is None or not is_about(event, request.id):
                continue
            match event:
                case Progress(done=done, total=total) if done is not None and total:
                    report(Report(request, run, f"Computing … {done:.0f} of {total:.0f}"))
                case Failed():
                    raise UserError(event.message)
                case Cancelled():
                    report(Report(request, run, "Cancelled.", ended=True))
                    return
                case Answered():
                    if (value := result_of(run, event)) is None:
                        raise UserError("The result is gone: its file is no longer in the run's folder.")
                    lens = lens_named(request.name)
                    result = LensResult(run, lens, request.options, event.step, event.seconds, value)
                    report(Report(request, run, ended=True, result=result))
                    return
        status = run.status()
        if status.serving or status.state.is_live:
            silent_since, was_served = time.monotonic(), True
        if time.monotonic() - silent_since > (GRACE if was_served else PATIENCE):
            raise UserError(GONE)
        time.sleep(INTERVAL)
