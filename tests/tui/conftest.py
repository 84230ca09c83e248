"""The app under a pilot, a pool whose worker never comes, and runs that are written without one: no torch is needed."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from on_screen import until
from textual.pilot import Pilot
from written_run import WrittenRun, write_run

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.app import TorchttyApp
from torchtty.tui.shell import gauges
from torchtty.tui.train.screen import TrainScreen
from torchtty.tui.workers import WorkerPool

__all__ = ["write_run"]


class ColdPool(WorkerPool):
    """A pool in which torch is never done importing; a run that is handed over just waits."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: list[tuple[RunDirectory, Mode]] = []

    @property
    def is_warm(self) -> bool:
        return False

    def ensure(self) -> Any:
        return None

    def prepare(self, tree: Mapping[str, Any], given_up: Callable[[], bool], *fork: Any) -> dict[str, Any] | None:
        while not (given_up() or self._closed):
            time.sleep(0.01)
        return None

    def hand_over(self, run: RunDirectory, mode: Mode, edits: Mapping[str, Any] | None = None) -> None:
        self.handed.append((run, mode))


class TellingApp(TorchttyApp):
    """The app, which also keeps what it told the person: a toast is gone after some seconds."""

    def __init__(self, pool: WorkerPool) -> None:
        super().__init__(pool)
        self.told: list[str] = []

    def notify(self, message: str, **options: Any) -> None:
        self.told.append(message)
        super().notify(message, **options)


AppPilot = Callable[..., AbstractAsyncContextManager[tuple[TorchttyApp, Pilot[int]]]]


@pytest.fixture
def cold_pool() -> ColdPool:
    """Return a pool in which torch is never done importing."""
    return ColdPool()


@pytest.fixture
def torchtty(monkeypatch: pytest.MonkeyPatch) -> AppPilot:
    """Open the app in a terminal of some size and wait until its form is there."""
    monkeypatch.setattr(gauges, "INTERVAL", 3600.0)  # the machine's load is no part of what is tested

    @asynccontextmanager
    async def opened(
        size: tuple[int, int] = (120, 40), pool: WorkerPool | None = None
    ) -> AsyncIterator[tuple[TorchttyApp, Pilot[int]]]:
        app = TellingApp(pool or ColdPool())
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.is_furnished)
            await pilot.pause()
            yield app, pilot

    return opened


LiveRun = Callable[..., RunDirectory]


@pytest.fixture
def live_run() -> LiveRun:
    """Make a run that this very process seems to train."""
    return _live_run


def _live_run(recipe: str = "names-gpt", state: RunState = RunState.RUNNING) -> RunDirectory:
    """A run that this very process seems to train."""
    run = create(parse(recipe_named(recipe).tree), recipe=recipe)
    WrittenRun(run).status(state, step=10, max_steps=3000)
    return run
