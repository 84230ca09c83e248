"""`torchtty replay`: a run trained again by its record, and compared with what it wrote."""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from torchtty.engine.contract.client.deletion import delete
from torchtty.engine.contract.client.replay import Comparison, Plan, create_replay, outcome, plan
from torchtty.engine.contract.client.workers import Mode, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.tui.cli.console import Exit, UsageError, notify, output, print_json
from torchtty.tui.cli.follow import counting_interrupts
from torchtty.tui.cli.train import follow_on

LETTING_GO = 10.0  # seconds for the worker of a replay to exit


def replay(name: str, to: str | None, *, keep: bool, as_json: bool) -> int:
    """Replay a run and say whether it came out the same; return the exit code, 1 if it did not."""
    if to is not None and not to.isdigit():
        raise UsageError(f"--to cannot be '{to[:40]}': it takes a step, a whole number.")
    planned = plan(find_run(name), int(to) if to is not None else None)
    again = create_replay(planned)
    worker = None
    try:
        with counting_interrupts() as interruptions:
            worker = start(again, Mode.TRAIN)
            followed = follow_on(again, worker, interruptions, as_json=as_json)
        if followed.interrupted:
            return Exit.INTERRUPTED
        return _report(planned, again, keep=keep, as_json=as_json)
    finally:
        if worker is not None:
            with suppress(Exception):
                worker.process.wait(LETTING_GO)
        if not keep:
            with suppress(UserError):  # it trains on where it was left to itself
                delete(again)


def _report(planned: Plan, again: RunDirectory, *, keep: bool, as_json: bool) -> int:
    compared = outcome(planned, again)
    if as_json:
        print_json(_as_json(planned, again, compared, keep=keep))
    else:
        edits = len(planned.replay.edits)
        what = f"{planned.run.name}, replayed with {edits} edit{'s' * (edits != 1)}"
        output().print(printable(f"{what}: {compared}"), soft_wrap=True)
        if planned.limit:
            notify(f"The replay ends at step {planned.replay.to:,}: {planned.limit}.")
        if keep:
            notify(f"The replay is kept as {again.name}.")
    return Exit.DONE if compared.equal else Exit.FAILED


def _as_json(planned: Plan, again: RunDirectory, compared: Comparison, *, keep: bool) -> dict[str, Any]:
    return {
        "run": planned.run.name,
        "replay": again.name if keep else None,
        "to": compared.to,
        "limit": planned.limit,
        "edits": [edit.model_dump(mode="json") for edit in planned.replay.edits],
        "equal": compared.equal,
        "rows": compared.rows,
        "difference": asdict(compared.difference) if compared.difference else None,
        "checkpoints": compared.checkpoints,
        "other_weights": compared.other_weights,
        "reasons": compared.reasons,
    }
