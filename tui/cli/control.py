"""`torchtty stop` and `torchtty pause`: commands to a run that trains."""

import time

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.requests import Pause, Release, Stop
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.cli.console import Exit, say
from torchtty.tui.cli.follow import INTERVAL, Interruptions, counting_interrupts

PATIENCE = 60.0  # seconds that a worker may take over a step and a checkpoint


def stop(name: str) -> int:
    """End a run with a checkpoint, or let go the model that an ended one keeps in memory; return the exit code."""
    run = find_run(name)
    status = run.status()
    if not status.state.is_live:
        if not status.serving:
            say(f"{run.name} is {status.state.value}: there is nothing to stop.")
            return Exit.DONE
        run.send(Release())
        say(f"{run.name} is {status.state.value}; its model is no longer kept in memory.")
        return Exit.DONE
    run.send(Stop())
    with counting_interrupts() as interruptions:
        state = _wait(run, {state for state in RunState if not state.is_live}, interruptions)
    if interruptions.count:
        return Exit.INTERRUPTED
    say(f"{run.name} is {state.value} at step {run.status().step:,}: 'torchtty resume {run.name}' goes on from there.")
    return Exit.DONE if state in (RunState.STOPPED, RunState.FINISHED) else Exit.FAILED


def pause(name: str) -> int:
    """Halt a run between two steps; return the exit code."""
    run = find_run(name)
    state = run.status().state
    if not state.is_live:
        raise UserError(f"{run.name} is {state.value}: only a run that trains can pause.")
    run.send(Pause())
    with counting_interrupts() as interruptions:
        reached = {RunState.PAUSED} | {state for state in RunState if not state.is_live}
        state = _wait(run, reached, interruptions)
    if interruptions.count:
        return Exit.INTERRUPTED
    if state is not RunState.PAUSED:
        raise UserError(f"{run.name} is {state.value}: it ended before it could pause.")
    say(f"{run.name} pauses at step {run.status().step:,}: 'torchtty resume {run.name}' goes on.")
    return Exit.DONE


def _wait(run: RunDirectory, states: set[RunState], interruptions: Interruptions) -> RunState:
    deadline = time.monotonic() + PATIENCE
    while (state := run.status().state) not in states and not interruptions.count:
        if time.monotonic() > deadline:
            raise UserError(
                f"{run.name} has not answered within {PATIENCE:.0f} s. It reads commands between two steps: "
                f"'torchtty show {run.name}' says when it has."
            )
        time.sleep(INTERVAL)
    return state
