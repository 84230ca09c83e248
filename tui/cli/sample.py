"""`torchtty sample` and `torchtty export`: what a run's model can give, also while it trains."""

import sys
from collections.abc import Mapping
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import export_target
from torchtty.engine.contract.printable import printable
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.events import Progress, RequestEvent, SampleDrawn, SampleStart, Started
from torchtty.engine.contract.run.requests import Export, Sample
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.settings.configuration import specs
from torchtty.tui.cli.console import Exit, UsageError, notify, output, print_json
from torchtty.tui.cli.request import ask
from torchtty.tui.cli.show import marked
from torchtty.tui.format import count

UNLIMITED = {"top_k": 0, "top_p": 1.0}  # what "none" means to a worker: the run's own limit does not apply


def sample(name: str, given: Mapping[str, str | None], *, as_json: bool) -> int:
    """Draw text with the settings that were given, as typed; return the exit code."""
    snapshot = _offering(name, Action.SAMPLE)
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


def export(name: str, folder: str, *, as_json: bool) -> int:
    """Write a run's model into a new folder; return the exit code."""
    run = _offering(name, Action.EXPORT).run
    end = ask(run, Export(path=str(export_target(folder))), lambda _: None)
    if end is None or end.event != "answered":
        return Exit.INTERRUPTED
    result = end.result or {}
    files = result.get("files") or []
    if as_json:
        print_json({"run": run.name, "step": end.step, "path": result.get("path"), "files": files})
        return Exit.DONE
    notify(f"{run.name} as of step {count(end.step)} is in {result.get('path')}: {', '.join(files)}.")
    if "vocab.json" not in files:
        notify("Its tokenizer was left out: it has no form that transformers reads.")
    return Exit.DONE


def _offering(name: str, action: Action) -> RunSnapshot:
    """Return the run of that name; raise `UserError` if the action is not possible with it now."""
    snapshot = RunSnapshot.of(find_run(name))
    if refusal := snapshot.refusal(action):
        raise UserError(refusal)
    return snapshot


def _request(snapshot: RunSnapshot, given: Mapping[str, str | None]) -> Sample:
    """Check what was typed against the declaration of the run's own sampling settings."""
    tree = snapshot.settings
    if snapshot.problem:
        raise UserError(snapshot.problem)
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
            values[name] = UNLIMITED.get(name) if value is None else value
        elif name == "seed" and text.isdigit():
            values[name] = int(text)
        elif name == "seed":
            problems.append(f"--seed cannot be '{text[:40]}': it takes a whole number of at least 0")
        else:
            problems.append(f"--{name.replace('_', '-')} does not apply to this run")
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
        """Print what an event brings."""
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
        console = output()
        marks = drawn.known or (None,) * len(drawn.texts)
        if self._written:
            console.print(marked("", marks[0]) if marks and console.is_terminal else "", soft_wrap=True)
            return
        for place, (text, known) in enumerate(zip(drawn.texts, marks, strict=False)):
            if place and "\n" in text.strip():
                console.print()
            console.print(marked(text, known if console.is_terminal else None), soft_wrap=True)

    def as_json(self, step: int, drawn: SampleDrawn) -> dict[str, Any]:
        marks = drawn.known or (None,) * len(drawn.texts)
        return {
            "run": self._run.name,
            "step": step,
            "prompt": drawn.prompt,
            "settings": self._start.settings,
            "unknown": list(self._start.unknown),
            "samples": [{"text": text, "known": known} for text, known in zip(drawn.texts, marks, strict=False)],
        }
