"""`torchtty stop` and `torchtty pause`: requests to a run that trains."""

import time

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.requests import Pause, Release, Stop
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.cli.console import Exit, notify
from torchtty.tui.cli.follow import INTERVAL, Interruptions, counting_interrupts

PATIENCE = 60.0  # seconds that a worker may take over a step and a checkpoint
OVER = {state for state in RunState if not state.is_live}


def stop(name: str) -> int:
    """End a run with a checkpoint, or release the model that an ended one keeps in memory; return the exit code."""
    run = find_run(name)
    snapshot = RunSnapshot.of(run)
    if refusal := snapshot.refusal(Action.STOP):
        if snapshot.offers(Action.RELEASE):
            run.send(Release())
            refusal = f"{run.name} is {snapshot.state.value}; its model is released from memory."
        notify(refusal)
        return Exit.DONE
    run.send(Stop())
    with counting_interrupts() as interruptions:
        state = _wait(run, OVER, interruptions)
    if interruptions.count:
        return Exit.INTERRUPTED
    snapshot = RunSnapshot.of(run)
    step = f"{snapshot.status.step:,}"
    stopped = state is RunState.STOPPED and snapshot.can_resume
    resumes = f" · 'torchtty resume {run.name}' resumes from step {step}" if stopped else ""
    notify(f"{run.name} is {state.value} at step {step}{resumes}")
    return Exit.DONE if state in (RunState.STOPPED, RunState.FINISHED) else Exit.FAILED


def pause(name: str) -> int:
    """Pause a run between two steps; return the exit code."""
    run = find_run(name)
    if refusal := RunSnapshot.of(run).refusal(Action.PAUSE):
        raise UserError(refusal)
    run.send(Pause())
    with counting_interrupts() as interruptions:
        state = _wait(run, {RunState.PAUSED} | OVER, interruptions)
    if interruptions.count:
        return Exit.INTERRUPTED
    if state is not RunState.PAUSED:
        raise UserError(f"{run.name} is {state.value}: it ended before it could pause.")
    notify(f"{run.name} is paused at step {run.status().step:,} · 'torchtty resume {run.name}' continues")
    return Exit.DONE


def _wait(run: RunDirectory, states: set[RunState], interruptions: Interruptions) -> RunState:
    deadline = time.monotonic() + PATIENCE
    while (state := run.status().state) not in states and not interruptions.count:
        if time.monotonic() > deadline:
            raise UserError(
                f"{run.name} has not answered within {PATIENCE:.0f} s. It reads requests between two steps: "
                f"'torchtty show {run.name}' shows its state."
            )
        time.sleep(INTERVAL)
    return state
