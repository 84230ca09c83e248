"""Keys that come faster than the app or the run: each does what its person meant when it was pressed."""

from typing import Any

import pytest
from on_screen import shows, until
from textual.events import Key
from textual.widgets import Input
from viewed_run import viewing
from written_run import write_run

from torchtty.engine.contract.run.requests import collect
from torchtty.engine.contract.run.status import RunState

__all__ = ["write_run"]


def requested(run: Any) -> list[str]:
    return [request if isinstance(request, str) else request.type for request in collect(run.inbox)]


async def test_space_asks_for_the_other_each_time_though_the_run_has_not_answered_yet(write_run: Any) -> None:
    written = write_run()
    written.status(RunState.RUNNING)
    async with viewing(written.run, "running") as (app, pilot):
        await pilot.press("space")
        await until(pilot, shows(app, "running, pausing …"))
        assert not app.view.check_action("pause", ())
        assert app.view.check_action("continue", ())
        await pilot.press("space", "space", "space")
        await until(pilot, shows(app, "running  one"))
        assert requested(written.run) == ["pause", "continue", "pause", "continue"]


async def test_space_follows_the_run_once_it_has_answered(write_run: Any) -> None:
    written = write_run()
    written.status(RunState.RUNNING)
    async with viewing(written.run, "running") as (app, pilot):
        await pilot.press("space")
        written.status(RunState.PAUSED)
        await until(pilot, shows(app, "paused"))
        written.status(RunState.RUNNING)  # somebody else continued it
        await until(pilot, shows(app, "running"))
        await pilot.press("space")
        written.status(RunState.STOPPED, step=3)
        await until(pilot, shows(app, "stopped"))
        assert not app.view.check_action("pause", ())
        assert not app.view.check_action("continue", ())
        assert requested(written.run) == ["pause", "pause"]


@pytest.mark.parametrize("typed", ["mar", "rex", " cs"])
async def test_what_is_typed_right_after_the_key_of_the_prompt_stands_in_the_prompt(
    typed: str, torchtty: Any, live_run: Any
) -> None:
    run = live_run()
    async with torchtty((120, 36)) as (app, pilot):
        await until(pilot, lambda: app.screen.view.snapshot is not None)
        app.screen.view.focus_curves()
        await pilot.pause()
        for key in ("ctrl+s", *("space" if letter == " " else letter for letter in typed)):  # all in one read
            app.post_message(Key(key, " " if key == "space" else key if len(key) == 1 else None))
        prompt = app.screen.query_one("#prompt", Input)
        await until(pilot, lambda: prompt.value == typed, seconds=5)
        assert requested(run) == []
