"""The runs that are still going when the app is left."""

from contextlib import suppress

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.requests import Stop


def live_runs() -> list[RunDirectory]:
    """Return the runs that train, wait or are paused, the newest first."""
    return [run for run in list_runs() if run.status().state.is_live]


def stop_all(runs: list[RunDirectory]) -> None:
    """Tell runs to write a checkpoint and end."""
    for run in runs:
        with suppress(UserError):
            run.send(Stop())
