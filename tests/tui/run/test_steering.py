"""A run's states in words, and the keys that pause, stop and resume it."""

import pytest
from on_screen import shows, until
from textual.widgets import Input
from viewed_run import Host

from torchtty.engine.contract.run.requests import collect
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run.resume_dialog import MAX_STEPS, ResumeDialog


async def test_a_killed_worker_is_shown_as_lost_and_how_to_go_on(write_run):
    written = write_run()
    written.curve(300)
    written.checkpoint(200)
    written.status(RunState.RUNNING, step=300, pid=2**22 + 1)
    app = Host(written.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "? lost"), 5)
        await until(pilot, shows(app, "r resumes it from its latest"))
        assert app.statuses[-1] is RunState.LOST


@pytest.mark.parametrize(
    ("state", "fields", "words"),
    [
        (RunState.QUEUED, {"waiting_for": "gpt-7"}, "◷ queued behind gpt-7"),
        (RunState.FAILED, {"message": "The loss became NaN at step 3"}, "The loss became NaN at step 3."),
        (RunState.STOPPED, {}, "■ stopped"),
        (RunState.FINISHED, {}, "✓ finished"),
    ],
)
async def test_each_state_is_told_in_words(write_run, state, fields, words):
    written = write_run()
    written.status(state, **fields)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, words))


async def test_space_pauses_and_goes_on_and_ctrl_x_stops(write_run):
    written = write_run()
    written.status(step=5)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "● running"))
        await pilot.press("space")
        await until(pilot, shows(app, "pausing"))
        written.status(RunState.PAUSED, step=5)
        await until(pilot, shows(app, "‖ paused"))
        await pilot.press("space", "ctrl+x")
        await until(pilot, shows(app, "r resumes it from there"))
    assert [request.type for request in collect(written.run.inbox)] == ["pause", "continue", "stop"]


async def test_a_finished_run_is_resumed_with_twice_the_steps_unless_told_otherwise(write_run):
    written = write_run()
    written.checkpoint(1000)
    written.status(RunState.FINISHED, step=1000)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "finished"))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ResumeDialog))
        steps = app.screen.query_one(Input)
        assert steps.value == "2000"
        steps.value = "500"
        await pilot.press("enter")
        await until(pilot, shows(app, "1,000 steps already"))
        steps.value = "3,000"
        await pilot.press("enter")
        await until(pilot, lambda: app.resumed == [{MAX_STEPS: 3000}])


async def test_a_stopped_run_is_resumed_as_it_was(write_run):
    written = write_run()
    written.checkpoint(400)
    written.status(RunState.STOPPED, step=400)
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "stopped"))
        await pilot.press("r", "enter")
        await until(pilot, lambda: app.resumed == [{}])


async def test_two_apps_on_one_run_see_the_same(write_run):
    written = write_run()
    written.status(step=5)
    first, second = Host(written.run), Host(written.run)
    async with first.run_test(size=(80, 24)) as one, second.run_test(size=(120, 36)) as other:
        await until(one, shows(first, "running"))
        await one.press("space")
        written.status(RunState.PAUSED, step=6)
        await until(other, shows(second, "‖ paused"))
        await until(one, shows(first, "‖ paused"))
