"""Saving a checkpoint by key, a live edit that becomes a mark, and a replay from the palette, with a real worker."""

from functools import partial
from typing import Any

import on_screen
import pytest
from textual.widgets import Static

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create, list_runs
from torchtty.engine.contract.run.requests import Checkpoint, Edit, collect
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.tui.shell.help import KeysHelp

until = partial(on_screen.until, seconds=60.0)  # a worker imports torch first


class RealPool:
    """Hands runs to the workers of the tests."""

    is_warm = False

    def __init__(self, workers: Any) -> None:
        self._workers = workers

    def hand_over(self, run: RunDirectory, mode: Mode, edits: Any = None) -> None:
        self._workers.start(run, mode, **(edits or {}))

    def ensure(self) -> None:
        """The workers warm themselves up."""

    def prepare(self, tree: Any, given_up: Any) -> None:
        """Estimate nothing."""

    def close(self) -> None:
        """The workers are ended by the session."""


def small_run() -> RunDirectory:
    flags = {"training.max_steps": "1000000", "model.n_hidden": "8", "training.device": "cpu", "sampling.interval": "0"}
    flags |= {"training.checkpoint_interval": "1000000"}
    return create(with_flags(starting_tree("mlp"), flags), name="small")


@pytest.mark.timeout(300)
async def test_a_run_is_edited_saved_by_key_and_replayed_from_the_palette(torchtty: Any, workers: Any) -> None:
    run = small_run()
    workers.start(run)
    async with torchtty((80, 24), RealPool(workers)) as (app, pilot):
        await until(pilot, lambda: run.status().step > 300)
        app.open_run(run)
        view = app.screen.view
        await until(pilot, lambda: view.snapshot is not None and view.snapshot.state is RunState.RUNNING)
        view.send(Edit(path="optimizer.learning_rate", value=0.02))
        chart = view.curves.chart("loss")
        await until(pilot, lambda: bool(chart.spec.marks))
        assert chart.spec.marks[0].title == "learning_rate 0.1 → 0.02"
        await pilot.press("k")
        await until(pilot, lambda: any(told.startswith("Saved a checkpoint at step") for told in app.told))
        assert app.told[-1] == f"Saved a checkpoint at step {run.checkpoints()[-1]:,}."
        await pilot.press("space")
        await until(pilot, lambda: view.snapshot.state is RunState.PAUSED)
        await pilot.press("k")
        await until(pilot, lambda: f"Saved a checkpoint at step {run.status().step:,}." in app.told)
        assert run.status().step in run.checkpoints()
        assert "saving" not in on_screen.screen_text(app)

        await pilot.press("ctrl+p")
        await pilot.press(*"replay small")
        await until(pilot, on_screen.shows(app, "bit for bit"))
        await pilot.press("enter")
        await until(pilot, lambda: any("small-replay trains small again" in told for told in app.told))
        await until(pilot, lambda: any("small, replayed:" in told for told in app.told))
        [outcome] = [told for told in app.told if "small, replayed:" in told]
        assert outcome.endswith("all equal to the bit."), outcome
        assert "and the weights of step" in outcome
        await until(pilot, on_screen.shows(app, "small, replayed:"))
        assert [found.name for found in list_runs()] == ["small"], "the replay is gone"
        await pilot.press("ctrl+x")
        await until(pilot, lambda: view.snapshot.state is RunState.STOPPED)


async def test_the_key_that_saves_is_named_in_the_help_and_asks_the_run(torchtty: Any, live_run: Any) -> None:
    run = live_run()
    async with torchtty((80, 24)) as (app, pilot):
        await until(pilot, lambda: app.screen.view.snapshot is not None)
        app.screen.view.focus_curves()
        await pilot.press("k")
        await until(pilot, on_screen.shows(app, "saving …"))
        [request] = collect(run.inbox)
        assert isinstance(request, Checkpoint)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, KeysHelp))
        help = str(app.screen.query_one("#keys-help VerticalScroll Static", Static).content)
        assert "k  Save a checkpoint of the run now" in help


async def test_a_run_that_is_over_is_not_saved(torchtty: Any, write_run: Any) -> None:
    written = write_run()
    written.status(RunState.FINISHED, step=5)
    async with torchtty((80, 24)) as (app, pilot):
        app.open_run(written.run)
        await until(pilot, lambda: app.screen.view.snapshot is not None)
        await pilot.press("k")
        await pilot.pause()
        assert list(written.run.inbox.iterdir()) == []


async def test_what_cannot_be_replayed_is_said(torchtty: Any, write_run: Any) -> None:
    written = write_run()
    written.status(RunState.FAILED, step=0)
    async with torchtty((80, 24)) as (app, pilot):
        app.replay(written.run)
        await until(pilot, lambda: any("has logged no step" in told for told in app.told))
        assert [found.name for found in list_runs()] == [written.run.name]
