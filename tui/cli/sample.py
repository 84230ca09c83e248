"""`torchtty sample`: text from a run, through its live worker or one that is started for it."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.contract.run.requests import CancelSample, Sample
from torchtty.engine.contract.settings.configuration import specs
from torchtty.tui.cli.answering import Answers, answering
from torchtty.tui.cli.console import Exit, UsageError, output, print_json, say
from torchtty.tui.cli.follow import Interruptions, counting_interrupts
from torchtty.tui.cli.history import SampleSet, sample_set
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
    tree = run.edited_tree()
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
    return Sample(id=f"command-{secrets.token_hex(6)}", **values)


@dataclass
class _Answer:
    """The text that comes back, written as it comes where there is one text only."""

    run: RunDirectory
    command: Sample
    interruptions: Interruptions
    streams: bool
    start: dict[str, Any] = field(default_factory=dict)
    written: bool = False

    def __post_init__(self) -> None:
        self._answers = Answers(self.run, self.command.id)

    def wait(self, worker: WarmWorker | None) -> SampleSet | None:
        """Return the whole answer; None where it was broken off before there was any."""
        cancelled = False
        while True:
            for event in self._answers.read(worker):
                if event.get("event") == EventKind.SAMPLE_END:
                    return self._ended(event)
                if event.get("event") == EventKind.SAMPLE_FAILED:
                    raise UserError(str(event.get("message") or "The sample failed without a reason."))
                self._take(event)
            if self.interruptions.count and not cancelled:
                cancelled = True
                self.run.send(CancelSample())
            if self.interruptions.count > 1:
                return None

    def _take(self, event: dict[str, Any]) -> None:
        if event.get("event") == EventKind.SAMPLE_START:
            self.start = event
            if event.get("unknown"):
                unknown = ", ".join(str(symbol) for symbol in event["unknown"])
                say(f"Left out of the prompt, since the model knows no such symbol: {unknown}")
        elif event.get("event") == EventKind.SAMPLE_TEXT:
            index, text = int(event.get("index") or 0), str(event.get("text") or "")
            if self.streams and self.start.get("count") == 1 and index == 0:
                self._write(text)  # the first one brings the prompt

    def _write(self, text: str) -> None:
        sys.stdout.write(printable(text))
        sys.stdout.flush()
        self.written = True

    def _ended(self, event: dict[str, Any]) -> SampleSet | None:
        found = sample_set(event)
        if not self.streams or found is None:
            return found
        console = output()
        if self.written:
            first = found.texts[0]
            mark = marked("", first.known) if console.is_terminal else ""
            console.print(mark, soft_wrap=True)
            return found
        for place, text in enumerate(found.texts):
            if place and "\n" in text.text.strip():
                console.print()
            # A pipe gets the bare texts; the marks are in --json too.
            console.print(marked(text.text, text.known if console.is_terminal else None), soft_wrap=True)
        return found


def _as_json(run: RunDirectory, found: SampleSet, answer: _Answer) -> dict[str, Any]:
    return {
        "run": run.name,
        "step": found.step,
        "prompt": found.prompt,
        "settings": answer.start.get("settings", {}),
        "unknown": answer.start.get("unknown", []),
        "samples": [{"text": text.text, "known": text.known} for text in found.texts],
    }
