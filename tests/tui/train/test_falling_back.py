"""A run that was started here and cannot fetch what it needs: its recipe's fallback takes its place."""

from pathlib import Path
from typing import Any

import pytest
from on_screen import until
from textual.widgets import Static

from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.worker.estimate import prepare
from torchtty.tui.run.status_lines import Headline

OFFLINE = "data.dataset: celeba/faces.zip could not be downloaded from a.b.c: no connection. Choose digits."


def fail(run: RunDirectory) -> None:
    """Write what a worker writes that cannot reach a server."""
    failed = {"state": RunState.FAILED, "unreachable": True, "message": OFFLINE}
    run.write_status(run.written_status().model_copy(update=failed))


async def test_the_fallback_of_its_recipe_starts_in_its_place_with_the_settings_of_the_form(
    torchtty: Any,
) -> None:
    async with torchtty() as (app, pilot):
        app.screen.form.choose_recipe("b8-dcgan")
        app.screen.form.draft.set("training.max_steps", 7)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.pool.handed)
        fail(app.pool.handed[0][0])
        await until(pilot, lambda: len(app.pool.handed) == 2)
        instead = app.pool.handed[1][0]
        headline = app.screen.query_one(Headline)
        await until(pilot, lambda: "DCGAN · digits" in str(headline.content))
        assert app.screen.view.run == instead
        tree = instead.configuration().tree()
        assert (tree["data"]["dataset"], tree["training"]["max_steps"]) == ("digits", 7)
        assert list_runs() == [instead]
        assert app.told[-1] == (
            "celeba/faces.zip could not be downloaded from a.b.c: no connection, so b8-dcgan is trained on digits instead, "
            "to which its figures do not apply."
        )


async def test_a_run_that_was_only_looked_at_stays_as_it_is(torchtty: Any, live_run: Any) -> None:
    run = live_run("b8-dcgan")
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: app.screen.view.run == run)
        fail(run)
        await until(pilot, lambda: app.screen.view.snapshot.state is RunState.FAILED)
        await pilot.pause()
        assert app.pool.handed == []
        assert list_runs() == [run]


async def test_what_cannot_be_fetched_does_not_forbid_to_start_where_there_is_a_fallback(
    torchtty: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(tmp_path))
    async with torchtty() as (app, pilot):
        form = app.screen.form
        app.pool.prepare = lambda tree, is_cancelled: prepare(tree)
        form.choose_recipe("b2-mlp")
        line = app.screen.query_one("#estimate", Static)
        said = "cannot be fetched here: train takes given-names"
        await until(pilot, lambda: str(line.content) == said)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.pool.handed)


async def test_it_does_forbid_to_start_where_there_is_none(
    torchtty: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(tmp_path))
    async with torchtty() as (app, pilot):
        form = app.screen.form
        app.pool.prepare = lambda tree, is_cancelled: prepare(tree)
        form.draft.set("data.dataset", "names")
        form.start_from(form.draft)
        await until(pilot, form.draft.problems)
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert "has no names.txt" in app.told[-1]
        assert list_runs() == []
