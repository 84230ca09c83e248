"""`torchtty sample`, `test`, `stop`, `pause` and `advance`: requests to a run's worker, or to one that loads its model."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rich.text import Text

from torchtty.engine.contract.client.workers import Mode, WarmWorker, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import find_group
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.events import (
    Answered,
    Cancelled,
    Failed,
    Progress,
    RequestEvent,
    SampleDrawn,
    SampleStart,
    Started,
)
from torchtty.engine.contract.run.log import RunLog, is_about, result_of
from torchtty.engine.contract.run.requests import Advance, Cancel, Pause, Release, Request, Sample, Stop, Test
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import specs
from torchtty.engine.contract.settings.families import metric_named
from torchtty.engine.contract.settings.fields import FieldSpec
from torchtty.tui.cli.console import Exit, UsageError, grid, messages, notify, output, print_json
from torchtty.tui.cli.follow import GRACE, INTERVAL, Interruptions, counting_interrupts, describe, last_line
from torchtty.tui.cli.group import stop_group
from torchtty.tui.cli.show import marked, samples_as_json, with_marks
from torchtty.tui.format import count, loss
from torchtty.tui.run.sample_layout import UNLIMITED

PATIENCE = 60.0  # seconds that a worker may take over a step and a checkpoint
OVER = {state for state in RunState if not state.is_live}


def offering(name: str, action: Action) -> RunSnapshot:
    """Return the run of that name; raise `UserError` if the action is not possible with it now."""
    snapshot = RunSnapshot.of(find_run(name))
    if refusal := snapshot.refusal(action):
        raise UserError(refusal)
    return snapshot


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
    with messages().status("loading the model"):
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


# Samples.


def sample(name: str, given: Mapping[str, str | None], *, as_json: bool) -> int:
    """Draw text with the settings that were given, as typed; return the exit code."""
    snapshot = offering(name, Action.SAMPLE)
    request = _request(snapshot, given)
    printer = _Printer(snapshot.run, streams=not as_json)
    end = ask(snapshot.run, request, printer.take)
    if end is not None:
        texts = end.sample or SampleDrawn()
        if as_json:
            print_json(printer.as_json(end.step, texts))
        else:
            printer.finish(texts)
    return Exit.DONE if end is not None and end.event == "answered" else Exit.INTERRUPTED


def _request(snapshot: RunSnapshot, given: Mapping[str, str | None]) -> Sample:
    """Check what was typed against the declaration of the run's own sampling settings."""
    tree = snapshot.settings
    if snapshot.problem:
        raise UserError(snapshot.problem)
    fields = {spec.name: spec for spec in specs(str(tree["model"]["kind"]), tree) if spec.section == "sampling"}
    fields["seed"] = FieldSpec("sampling.seed", int, None, "", minimum=0)
    values: dict[str, Any] = {}
    problems = []
    for name, text in given.items():
        if text is None:
            continue
        option = f"--{name.replace('_', '-')}"
        if name not in fields:
            problems.append(f"{option} does not apply to this run")
            continue
        try:
            value = fields[name].parse(text) if name != "prompt" else text
            values[name] = UNLIMITED.get(name) if value is None else value
        except UserError as error:
            problems.append(str(error).replace(f"sampling.{name}", option).rstrip("."))
    if problems:
        raise UsageError("\n".join(problems))
    return Sample(**values)


class _Printer:
    """Prints a sample: as it grows where there is one text only, else when it is complete."""

    def __init__(self, run: RunDirectory, *, streams: bool) -> None:
        self._run, self._streams = run, streams
        self._start = SampleStart()
        self._written = False

    def take(self, event: RequestEvent) -> None:
        if isinstance(event, Started) and event.sample is not None:
            self._start = event.sample
            if event.sample.unknown:
                unknown = [name.strip("'") or name for name in event.sample.unknown]
                notify(f"Ignored (not in the vocabulary): {', '.join(unknown)}")
        elif isinstance(event, Progress) and self._streams and self._start.count == 1 and event.index == 0:
            sys.stdout.write(printable(event.text))  # the first one brings the prompt
            sys.stdout.flush()
            self._written = True

    def finish(self, drawn: SampleDrawn) -> None:
        """Print what was not printed yet. A pipe gets the bare texts; the marks are in --json too."""
        console, texts = output(), with_marks(drawn)
        if self._written:
            console.print(marked("", texts[0][1]) if texts and console.is_terminal else "", soft_wrap=True)
            return
        for place, (text, known) in enumerate(texts):
            if place and "\n" in text.strip():
                console.print()
            console.print(marked(text, known if console.is_terminal else None), soft_wrap=True)

    def as_json(self, step: int, drawn: SampleDrawn) -> dict[str, Any]:
        return {
            "run": self._run.name,
            "step": step,
            "prompt": drawn.prompt,
            "settings": self._start.settings,
            "unknown": list(self._start.unknown),
            "samples": samples_as_json(drawn),
        }


def ask_showing_progress(run: RunDirectory, request: Request, name: str) -> Answered | Cancelled | None:
    """Return the answer; on a terminal show how far it is."""
    console = messages()
    spinner = console.status(name)

    def show(event: RequestEvent) -> None:
        if console.is_terminal and isinstance(event, Progress) and event.done is not None and event.total:
            spinner.start()  # only now: loading a model has one of its own
            spinner.update(f"{name}  {event.done / event.total:.0%}")

    try:
        return ask(run, request, show)
    finally:
        spinner.stop()


# The test split.


def test(name: str, *, as_json: bool) -> int:
    """Evaluate a run's test split with its best weights; return the exit code."""
    snapshot = offering(name, Action.TEST)
    run = snapshot.run
    answer = ask_showing_progress(run, Test(), "test split")
    if not isinstance(answer, Answered):
        return Exit.INTERRUPTED
    result = result_of(run, answer) or {}
    if as_json:
        print_json({"run": run.name, "seconds": answer.seconds} | result)
        return Exit.DONE
    weights = f"the {result['weights']} weights, those of step {count(result['weights_step'])}"
    output().print(Text(f"{printable_line(run.name)} · {weights}"))
    metrics = result["metrics"]
    named = ((metric_named(key), value) for key, value in metrics.items())
    rows = ((printable_line(metric.description or metric.title), loss(value, 4)) for metric, value in named)
    output().print(grid(rows))
    return Exit.DONE


# Stop, pause and advance.


def stop(name: str) -> int:
    """End a run with a checkpoint, or release the model that an ended one keeps in memory; return the exit code."""
    if (group := find_group(name)) is not None:
        return stop_group(group)
    run = find_run(name)
    snapshot = RunSnapshot.of(run)
    if refusal := snapshot.refusal(Action.STOP):
        if snapshot.offers(Action.RELEASE):
            run.send(Release())
            refusal = f"{run.name} is {snapshot.state.value}; its model is released from memory."
        notify(refusal)
        return Exit.DONE
    if (state := _send_and_wait(run, Stop(), OVER)) is None:
        return Exit.INTERRUPTED
    snapshot = RunSnapshot.of(run)
    step = f"{snapshot.status.step:,}"
    stopped = state is RunState.STOPPED and snapshot.can_resume
    resumes = f" · 'torchtty resume {run.name}' resumes from step {step}" if stopped else ""
    notify(f"{run.name} is {state.value} at step {step}{resumes}")
    return Exit.DONE if state in (RunState.STOPPED, RunState.FINISHED) else Exit.FAILED


def pause(name: str) -> int:
    """Pause a run between two steps; return the exit code."""
    run = offering(name, Action.PAUSE).run
    if (state := _send_and_wait(run, Pause(), {RunState.PAUSED} | OVER)) is None:
        return Exit.INTERRUPTED
    if state is not RunState.PAUSED:
        raise UserError(f"{run.name} is {state.value}: it ended before it could pause.")
    notify(f"{run.name} is paused at step {run.status().step:,} · 'torchtty resume {run.name}' continues")
    return Exit.DONE


def advance(name: str) -> int:
    """Let a queued run go ahead of the other ones of its user; return the exit code."""
    run = offering(name, Action.ADVANCE).run
    if ask(run, Advance(), lambda _: None) is None:
        return Exit.INTERRUPTED
    notify(f"{run.name} goes ahead of your other runs in the queue: it is {describe(run.status())}.")
    return Exit.DONE


def _send_and_wait(run: RunDirectory, request: Request, states: set[RunState]) -> RunState | None:
    """Send a request and return the state that follows, one of several; None after ctrl+c."""
    run.send(request)
    deadline = time.monotonic() + PATIENCE
    with counting_interrupts() as interruptions:
        while (state := run.status().state) not in states and not interruptions.count:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{run.name} has not answered within {PATIENCE:.0f} s. It reads requests between two steps: "
                    f"'torchtty show {run.name}' shows its state."
                )
            time.sleep(INTERVAL)
    return None if interruptions.count else state
