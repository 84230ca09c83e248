"""`torchtty export`: a GPT-2 run as a folder that transformers loads."""

from typing import Any

from torchtty.engine.contract.client.export import export_target
from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.events import Answered, Failed
from torchtty.engine.contract.run.requests import Export
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.cli.answering import Answers, answering
from torchtty.tui.cli.console import Exit, print_json, say
from torchtty.tui.cli.follow import Interruptions, counting_interrupts
from torchtty.tui.format import count


def export(name: str, folder: str, *, as_json: bool) -> int:
    """Write a run's model into a new folder; return the exit code."""
    run = find_run(name)
    _check(run)
    request = Export(path=str(export_target(folder)))
    with counting_interrupts() as interruptions, answering(run, interruptions) as worker:
        answers = Answers(run, request.id)
        if not interruptions.count:
            run.send(request)
        done = _wait(answers, worker, interruptions)
    if done is None:
        return Exit.INTERRUPTED
    if as_json:
        print_json({"run": run.name} | {key: done.get(key) for key in ("step", "path", "files")})
        return Exit.DONE
    say(
        f"{run.name} as of step {count(done.get('step'))} is in {done.get('path')}: {', '.join(done.get('files') or [])}."
    )
    if "vocab.json" not in (done.get("files") or []):
        say("Its tokenizer has no form that transformers reads, and was left out.")
    return Exit.DONE


def _check(run: RunDirectory) -> None:
    """Refuse what no worker has to be asked for; raise `UserError`."""
    snapshot = RunSnapshot.of(run)
    if refusal := snapshot.refusal(Action.EXPORT):
        raise UserError(f"{run.name}: {refusal}")
    if snapshot.state in (RunState.STARTING, RunState.QUEUED):
        raise UserError(f"{run.name} is {snapshot.state.value} and has no model yet: try again once it trains.")


def _wait(answers: Answers, worker: WarmWorker | None, interruptions: Interruptions) -> dict[str, Any] | None:
    """Return what the export came to; None if ctrl+c was pressed before."""
    while not interruptions.count:
        for event in answers.read(worker):
            if isinstance(event, Failed):
                raise UserError(event.message)
            if isinstance(event, Answered):
                return {"step": event.step} | (event.result or {})
    return None
