"""Starts runs and sweeps: writes their directories in a thread, and hands a run over to a worker."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.screen import Screen

    from torchtty.engine.contract.client.offline_fallback import OfflineFallback
    from torchtty.engine.contract.experiments.group import RunGroup
    from torchtty.engine.contract.experiments.sweep import Sweep
    from torchtty.engine.contract.run.directory import RunDirectory
    from torchtty.engine.contract.settings.recipes import Recipe
    from torchtty.tui.form.draft import Draft
    from torchtty.tui.workers import WorkerPool


class Launcher:
    """Starts one run or sweep at a time, and posts to its screen what came of it. `pool` returns the app's pool of workers."""

    @dataclass
    class Created(Message):
        """A run was created; where no worker took it over, `Failed` says so as well."""

        run: "RunDirectory"

    @dataclass
    class SweepStarted(Message):
        """A sweep was started."""

        group: "RunGroup"

    @dataclass
    class Failed(Message):
        """Nothing trains, and this is why."""

        error: str

    def __init__(self, screen: "Screen[None]", pool: "Callable[[], WorkerPool]") -> None:
        self._screen = screen
        self._pool = pool
        self._latest: RunDirectory | None = None  # the latest run that was started here
        self.is_busy = False

    def start(self, draft: "Draft") -> None:
        """Start what a valid draft describes: a run, a fork, or a sweep where a setting has several values."""
        from torchtty.engine.contract.client.fork import create_fork
        from torchtty.engine.contract.run.directory import create

        if draft.several:
            self.start_sweep(draft.sweep())
        elif draft.fork is not None:
            self._start_run(partial(create_fork, draft.fork, draft.configuration()), is_fork=True)
        else:
            self._start_run(partial(create, draft.configuration(), recipe=draft.recipe))

    def start_sweep(self, sweep: "Sweep") -> None:
        """Start all runs of a sweep."""
        self.is_busy = True
        self._screen.run_worker(partial(self._launch_sweep, sweep), thread=True, group="start")

    def start_fallback(self, run: "RunDirectory", fallback: "OfflineFallback") -> None:
        """Start what takes the place of a run that cannot fetch what it needs; it may have the name of that run."""
        from torchtty.engine.contract.client.offline_fallback import create_fallback

        self._start_run(partial(create_fallback, run, fallback))

    def fallback_for(self, run: "RunDirectory", recipes: "Mapping[str, Recipe]") -> "OfflineFallback | None":
        """Return what a recipe names for a run that cannot fetch what it needs: once, and if the run was the latest here."""
        from torchtty.engine.contract.client.offline_fallback import fallback_for

        if run != self._latest:
            return None
        self._latest = None
        return fallback_for(run, recipes)

    def _start_run(self, create: "Callable[[], RunDirectory]", *, is_fork: bool = False) -> None:
        self.is_busy = True
        self._screen.run_worker(partial(self._launch, create, is_fork=is_fork), thread=True, group="start")

    # In a thread.

    def _launch(self, create: "Callable[[], RunDirectory]", *, is_fork: bool) -> None:
        from torchtty.engine.contract.client.workers import Mode
        from torchtty.engine.contract.errors import UserError
        from torchtty.engine.contract.run.status import RunState, Status

        run = None
        try:
            run = create()
            self._latest = None if is_fork else run  # what a fork goes on from has no fallback
            self._pool().hand_over(run, Mode.FORK if is_fork else Mode.TRAIN)
        except UserError as error:
            if run is not None:
                run.write_status(Status(state=RunState.FAILED, message=str(error)))
            self._screen.post_message(self.Failed(str(error)))
        finally:
            if run is not None:  # it trains already: its view takes a tenth of a second to draw
                self._screen.post_message(self.Created(run))
            self.is_busy = False

    def _launch_sweep(self, sweep: "Sweep") -> None:
        from torchtty.engine.contract.errors import UserError
        from torchtty.engine.contract.experiments.lifecycle import start_sweep

        try:
            self._screen.post_message(self.SweepStarted(start_sweep(sweep)))
        except UserError as error:
            self._screen.post_message(self.Failed(str(error)))
        finally:
            self.is_busy = False
