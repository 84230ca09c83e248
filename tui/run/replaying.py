"""Replaying a run in the background of the app: the replay is trained as any run, and compared and removed at its end."""

import time
from collections.abc import Callable
from contextlib import suppress

from torchtty.engine.contract.client.deletion import delete
from torchtty.engine.contract.client.replay import create_replay, outcome, plan
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.tui.workers import WorkerPool

LOOK_EVERY = 0.2  # seconds between two looks whether the replay is over


def replayed(
    run: RunDirectory, pool: WorkerPool, begun: Callable[[str], object], given_up: Callable[[], bool]
) -> tuple[str, bool] | None:
    """Replay a run and return what it came to with whether the two are equal; None if given up: the replay trains on then.

    `begun` gets a sentence once it has begun. Raises `UserError`. Blocks until the replay is over.
    """
    planned = plan(run)
    again = create_replay(planned)
    try:
        pool.hand_over(again, Mode.TRAIN)
        begun(f"{again.name} trains {run.name} again by its record. The two are compared at its end.")
        while again.status().state.is_live:
            if given_up():
                return None
            time.sleep(LOOK_EVERY)
        compared = outcome(planned, again)
    except UserError:
        _remove(again)
        raise
    _remove(again)
    limit = f" The replay ends there: {planned.limit}." if planned.limit else ""
    return f"{run.name}, replayed: {compared}{limit}", compared.equal


def _remove(again: RunDirectory) -> None:
    with suppress(UserError):  # it stays in the list of runs, where it can be deleted
        delete(again)
