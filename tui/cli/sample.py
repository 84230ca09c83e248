"""`torchtty sample`: text from a run, through its live worker or one that is started for it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable
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
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.requests import Cancel, Sample
from torchtty.engine.contract.settings.configuration import specs
from torchtty.tui.cli.answering import Answers, answering
from torchtty.tui.cli.console import Exit, UsageError, output, print_json, say
from torchtty.tui.cli.follow import Interruptions, counting_interrupts
from torchtty.tui.cli.summary import marked

LIFTED = {"top_k": 0, "top_p": 1.0}  # what "none" means to a worker: the run's own limit does not hold


def sample(name: str, given: Mapping[str, str | None], *, as_json: bool) -> int:
    """Draw text with the settings that were given, as typed; return the exit code."""
    run = find_run(name)
    command = _command(run, given)
    with counting_interrupts() as interruptions, answering(run, interruptions) as worker:
        if interruptions.count:
            return Exit.INTERRUPTED
        answer = _Answer(run, command, interruptions, streams=not as_json)
        run.send(command)
        outcome = answer.wait(worker)
    if as_json and outcome is not None:
        print_json(_as_json(run, outcome, answer))
    return Exit.INTERRUPTED if interruptions.count else Exit.DONE


def _command(run: RunDirectory, given: Mapping[str, str | None]) -> Sample:
    """Check what was typed against the declaration of the run's own sampling settings."""
    tree = settings_in_force(run)
    fields = {spec.name: spec for spec in specs(str(tree["model"]["kind"]), tree) if spec.section == "sampling"}
    values: dict[str, Any] = {}
    problems = []
    for name, text in given.items():
        if text is None:
            continue
        if name in fields:
            try:
                value = fields[name].parse(text) if name != "prompt" else text
            except UserError as error:
                problems.append(str(error).replace(f"sampling.{name}", f"--{name.replace('_', '-')}").rstrip("."))
                continue
            values[name] = LIFTED.get(name) if value is None else value
        elif name == "seed" and text.isdigit():
            values[name] = int(text)
        elif name == "seed":
            problems.append(f"--seed cannot be '{text[:40]}': it takes a whole number of at least 0")
        else:
            problems.append(f"--{name.replace('_', '-')} is nothing that this run reads")
    if problems:
        raise UsageError("\n".join(problems))
    return Sample(**values)


@dataclass
class _Answer:
    """The text that comes back, written as it comes where there is one text only."""

    run: RunDirectory
    command: Sample
    interruptions: Interruptions
    streams: bool
    start: SampleStart = field(default_factory=SampleStart)
    step: int = 0
    written: bool = False

    def __post_init__(self) -> None:
        self._answers = Answers(self.run, self.command.id)

    def wait(self, worker: WarmWorker | None) -> SampleDrawn | None:
        """Return the whole answer; None where it was broken off before there was any."""
        cancelled = False
        while True:
            for event in self._answers.read(worker):
                if isinstance(event, Failed):
                    raise UserError(event.message)
                if isinstance(event, Answered | Cancelled):
                    self.step = event.step
                    return self._ended(event.sample)
                self._take(event)
            if self.interruptions.count and not cancelled:
                cancelled = True
                self.run.send(Cancel(request=self.command.id))
            if self.interruptions.count > 1:
                return None

    def _take(self, event: RequestEvent) -> None:
        if isinstance(event, Started) and event.sample is not None:
            self.start = event.sample
            if self.start.unknown:
                say(f"Ignored (not in the vocabulary): {', '.join(self.start.unknown)}")
        elif isinstance(event, Progress) and self.streams and self.start.count == 1 and event.index == 0:
            self._write(event.text)  # the first one brings the prompt

    def _write(self, text: str) -> None:
        sys.stdout.write(printable(text))
        sys.stdout.flush()
        self.written = True

    def _ended(self, found: SampleDrawn | None) -> SampleDrawn | None:
        if not self.streams or found is None or not found.texts:
            return found
        console = output()
        marks = found.known or (None,) * len(found.texts)
        if self.written:
            console.print(marked("", marks[0]) if console.is_terminal else "", soft_wrap=True)
            return found
        for place, (text, known) in enumerate(zip(found.texts, marks, strict=False)):
            if place and "\n" in text.strip():
                console.print()
            # A pipe gets the bare texts; the marks are in --json too.
            console.print(marked(text, known if console.is_terminal else None), soft_wrap=True)
        return found


def _as_json(run: RunDirectory, found: SampleDrawn, answer: _Answer) -> dict[str, Any]:
    marks = found.known or (None,) * len(found.texts)
    return {
        "run": run.name,
        "step": answer.step,
        "prompt": found.prompt,
        "settings": answer.start.settings,
        "unknown": list(answer.start.unknown),
        "samples": [{"text": text, "known": known} for text, known in zip(found.texts, marks, strict=False)],
    }
