"""`torchtty set` and `checkpoint`: changing a run while it trains, and saving it now."""

import time
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.events import Answered, Failed
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Checkpoint, Edit
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.settings.abbreviations import written_out
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse, specs, with_value
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.engine.contract.settings.training import OF_THE_MACHINE
from torchtty.tui.cli.console import Exit, UsageError, notify, output, print_json
from torchtty.tui.cli.follow import GRACE, INTERVAL, counting_interrupts, last_line
from torchtty.tui.cli.requests import ask, offering


def set_live(name: str, changes: Sequence[str], *, as_json: bool) -> int:
    """Change live settings, all of them or none; return the exit code."""
    run = find_run(name)
    snapshot = RunSnapshot.of(run)
    if snapshot.problem:
        raise UserError(snapshot.problem)
    values = _values(snapshot, changes)
    if refusal := snapshot.refusal(Action.EDIT):
        raise UserError(_with_what_to_do(snapshot, values) if snapshot.can_resume else refusal)
    answers = _ask_for_all(run, [Edit(path=path, value=value) for path, value in values.items()])
    failed = [answer.message for answer in answers if isinstance(answer, Failed)]
    made = [answer for answer in answers if isinstance(answer, Answered)]
    edits = [{"step": answer.step} | (answer.result or {}) for answer in made]
    if as_json:
        print_json({"run": run.name, "edits": edits, "problems": failed})
    else:
        for edit in edits:
            change = f"{show(edit['old'])} → {show(edit['value'])}"
            output().print(printable_line(f"{edit['path']} {change} at step {edit['step']:,}"), soft_wrap=True)
    if failed:
        raise UserError("\n".join(failed))
    if len(answers) < len(values):
        notify(f"{run.name} has not answered yet: what was asked for is done after this step.")
        return Exit.INTERRUPTED
    return Exit.DONE


def checkpoint(name: str, *, as_json: bool) -> int:
    """Have a run write a checkpoint now; return the exit code."""
    run = offering(name, Action.CHECKPOINT).run
    answer = ask(run, Checkpoint(), lambda _: None)
    if not isinstance(answer, Answered):
        return Exit.INTERRUPTED
    path = run.checkpoint_path(answer.step)
    if as_json:
        print_json({"run": run.name, "step": answer.step, "path": str(path)})
    else:
        notify(f"{run.name} is saved as of step {answer.step:,}: {path}.")
    return Exit.DONE


# What was typed.


def _values(snapshot: RunSnapshot, changes: Sequence[str]) -> dict[str, Any]:
    """Return the changes as {path: value}; raise a `UsageError` that names every one that cannot be."""
    tree = snapshot.settings
    fields = {spec.path: spec for spec in specs(str(tree["model"]["kind"]), tree)}
    values: dict[str, Any] = {}
    problems = []
    for change in changes:
        name, equals, text = change.removeprefix("--").partition("=")
        path = _full_path(name.strip().replace("-", "_"), fields)
        try:
            spec = _live(snapshot, path, text, fields)
            if not equals:
                raise UserError(
                    f"{path} needs a value: {path}={show(tree[spec.section].get(spec.name))} is what it has."
                )
            value = spec.parse(text)
            if path == "training.max_steps" and value < snapshot.status.step:
                raise UserError(f"{path} cannot be {value}: the run has done {snapshot.status.step:,} steps.")
            values[path] = value
        except UserError as error:
            problems.append(str(error))
    if not problems:
        changed = tree
        for path, value in values.items():
            changed = with_value(changed, path, value)
        try:
            parse(changed)
        except ConfigurationError as error:
            problems = [f"{problem}." for problem in error.problems]
    if problems:
        live = ", ".join(path for path, spec in fields.items() if spec.live)
        can = f"What can change is {live}." if live else "None of its settings can change while it trains."
        raise UsageError("\n".join([*dict.fromkeys(problems), can]))
    return values


def _full_path(name: str, fields: Mapping[str, FieldSpec]) -> str:
    """Complete `max_steps` to `training.max_steps` where one section only has such a field, or a live one."""
    matches = [path for path in fields if path.endswith(f".{written_out(name)}")]
    live = [path for path in matches if fields[path].live]
    return next((found[0] for found in (matches, live) if len(found) == 1), name)


def _live(snapshot: RunSnapshot, path: str, text: str, fields: Mapping[str, FieldSpec]) -> FieldSpec:
    """Return the declaration of a setting that can change while a run trains; raise `UserError` that says what can."""
    run = snapshot.name
    if path in fields and fields[path].live:
        return fields[path]
    if path in OF_THE_MACHINE and path in fields:
        raise UserError(
            f"{path} is fixed while the run trains and can change when it is resumed: 'torchtty stop {run}', then "
            f"'torchtty resume {run} --{path} {shortened(text) or 'VALUE'}'."
        )
    if path in fields or path.endswith(".kind"):
        raise UserError(
            f"{path} is fixed once a run has started. A new run can have another value: "
            f"'torchtty fork {run} --{path} {shortened(text) or 'VALUE'}' begins with the weights of this one."
        )
    endings = {spec.partition(".")[2]: spec for spec in fields} | {spec: spec for spec in fields}
    close = get_close_matches(path, endings, n=1, cutoff=0.6)
    meant = f" Did you mean {endings[close[0]]}?" if close else ""
    title = snapshot.family.title if snapshot.family else run
    raise UserError(f"{shortened(path)} is no setting of {title}.{meant}")


def _with_what_to_do(snapshot: RunSnapshot, values: Mapping[str, Any]) -> str:
    flags = " ".join(f"--{path} {show(value)}" for path, value in values.items())
    run = snapshot.name
    return f"{run} is {snapshot.state.value}: 'torchtty resume {run} {flags}' continues it with the change."


# What becomes of it.


def _ask_for_all(run: RunDirectory, edits: Sequence[Edit]) -> list[Answered | Failed]:
    """Send edits and return the answers in their order, fewer of them where ctrl+c came first."""
    log = RunLog(run, with_metrics=False)
    log.read()
    answers: dict[str, Answered | Failed] = {}
    silent_since: float | None = None
    with counting_interrupts() as interruptions:
        for edit in edits:  # one after the other without waiting, so that all are made after the same step
            run.send(edit)
        while len(answers) < len(edits) and not interruptions.count:
            time.sleep(INTERVAL / 4)
            is_served = RunSnapshot(run, run.status()).is_served
            for event in log.read().events:
                if isinstance(event, Answered | Failed) and event.id in {edit.id for edit in edits}:
                    answers[event.id] = event
            silent_since = None if is_served else silent_since or time.monotonic()
            if len(answers) < len(edits) and silent_since and time.monotonic() - silent_since > GRACE:
                raise UserError(f"{run.name} ended before it answered: {last_line(run)}")
    return [answers[edit.id] for edit in edits if edit.id in answers]
