"""`torchtty release`: letting models go that finished runs keep in memory."""

import time

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, find_run, list_runs
from torchtty.engine.contract.run.requests import Release
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.tui.cli.console import Exit, UsageError, notify
from torchtty.tui.cli.follow import INTERVAL

PATIENCE = 20.0  # seconds for a worker to break off what it answers, and to exit


def release(name: str | None, *, everything: bool) -> int:
    """Release a run's model, or without a name every one that is kept; return the exit code once the memory is free."""
    if name is not None and everything:
        raise UsageError(f"Either {name} or --all: 'torchtty release' without a name releases every model too.")
    if name is None:
        kept = [run for run in list_runs() if run.status().serving]
        if not kept:
            notify("No run keeps a model in memory.")
    else:
        snapshot = RunSnapshot.of(find_run(name))
        refusal = snapshot.refusal(Action.RELEASE)
        if refusal and snapshot.is_live:
            raise UserError(refusal)
        if refusal:
            notify(refusal)
        kept = [] if refusal else [snapshot.run]
    for run in kept:
        _let_go(run)
    return Exit.DONE


def _let_go(run: RunDirectory) -> None:
    before, until = run.status(), time.monotonic() + PATIENCE
    run.send(Release())
    while run.status().serving or before.process_is_alive():
        if time.monotonic() > until:
            raise UserError(f"{run.name} has not let its model go within {PATIENCE:.0f} s: see {run.log_path}.")
        time.sleep(INTERVAL / 2)
    notify(f"{run.name} has let its model go. A prompt loads it again.")
