"""Runs that stopped by themselves, and their test split, in a run's view."""

from typing import Any

import pytest
from on_screen import screen_text, shows, until
from test_run_view_with_worker import Host as WorkingHost
from textual.widgets import Input
from viewed_run import viewing

from torchtty.engine.contract.run import directory as run_directory
from torchtty.engine.contract.run.requests import collect
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings import configuration
from torchtty.tui.run.resume_dialog import ResumeDialog
from torchtty.tui.run.status_lines import Notice
from torchtty.tui.run.view import RunView
from torchtty.tui.train.start_line import estimate_line

REASON = "Stopped after 5 evaluations without improvement of the smoothed val_loss; best 1.93 at step 400."


def stopped_early(write_run: Any, **fields: Any) -> Any:
    written = write_run(training__patience="5")
    written.checkpoint(500)
    written.curve(500)
    fields = {"step": 500, "message": REASON, "ended_by": "training.patience"} | fields
    written.status(RunState.FINISHED, **fields)
    return written


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_reason_stands_with_the_run(write_run: Any, size: tuple[int, int]) -> None:
    async with viewing(stopped_early(write_run).run, "✓ finished by patience", size) as (app, pilot):
        await until(pilot, shows(app, "Stopped after 5 evaluations without improvement of the smoothed"))
        assert str(app.query_one(Notice).content) == REASON
        assert "500/1,000" in screen_text(app)


async def test_it_is_resumed_without_its_rule_from_the_keyboard(write_run: Any) -> None:
    async with viewing(stopped_early(write_run).run, "finished by patience") as (app, pilot):
        await pilot.press("r")
        await until(pilot, shows(app, "It was ended by patience 5: none lifts it"))
        assert isinstance(app.screen, ResumeDialog)
        assert [field.value for field in app.screen.query(Input)] == ["1000", "none"]
        await pilot.press("enter")
        await until(pilot, lambda: app.resumed == [{"training.patience": None}])


async def test_a_resume_that_is_refused_says_why_in_place_of_what_was_on_its_way(write_run: Any) -> None:
    written = stopped_early(write_run)
    async with viewing(written.run, "finished by patience") as (app, pilot):
        await pilot.press("r")
        await until(pilot, shows(app, "ended by patience 5"))
        await pilot.press("enter")
        await until(pilot, shows(app, "finished, resuming …"))
        assert "A worker loads the checkpoint" in str(app.query_one(Notice).content)
        refusal = "The checkpoint at step 500 cannot be read: it is cut short."
        written.status(RunState.FINISHED, step=500, message=refusal, ended_by="training.patience")
        await until(pilot, lambda: str(app.query_one(Notice).content) == refusal)
        assert "resuming" not in screen_text(app)


async def test_a_rule_that_would_end_it_again_is_refused_and_a_longer_one_taken(write_run: Any) -> None:
    async with viewing(stopped_early(write_run).run, "finished by patience") as (app, pilot):
        await pilot.press("r")
        await until(pilot, shows(app, "ended by patience 5"))
        await pilot.press("tab", "ctrl+u", "3", "enter")
        await until(pilot, shows(app, "patience would end it again at once"))
        app.screen.query_one("#resume-rule", Input).focus()
        await pilot.press("ctrl+u", "9", "enter")
        await until(pilot, lambda: app.resumed == [{"training.patience": 9}])


async def test_t_says_how_to_have_a_test_split_where_there_is_none(write_run: Any) -> None:
    written = write_run()
    written.status(step=5)
    async with viewing(written.run, "● running") as (app, pilot):
        await pilot.press("t")
        await until(pilot, shows(app, "one has no test split. Train a run with --data.test_fraction 0.1"))
    assert list(collect(written.run.inbox)) == []


async def test_t_asks_for_it_and_reports_what_it_came_to_or_why_it_failed(write_run: Any) -> None:
    written = write_run(data__test_fraction="0.1")
    written.status(step=5)
    async with viewing(written.run, "● running") as (app, pilot):
        await pilot.press("t")
        await until(pilot, shows(app, "Evaluating the test split …"))
        assert [request.type for request in collect(written.run.inbox)] == ["test"]
        metrics = {"test_loss": 2.0512, "val_loss": 2.033}
        written.event("test", 5, metrics=metrics, weights="best", weights_step=4)
        written.status(step=5, test=metrics, test_step=4, metrics={"val_loss": 2.1})
        await until(
            pilot, shows(app, "Test loss 2.051, validation loss 2.033, with the best weights, those of step 4.")
        )
        await pilot.press("t")
        await until(pilot, shows(app, "Evaluating the test split …"))
        written.event("failed", 5, id="x", request="test", message="The disk is gone.")
        await until(pilot, shows(app, "The disk is gone."))


async def test_the_progress_knows_the_rule_of_seconds_and_the_test_loss(write_run: Any) -> None:
    written = write_run(training__max_seconds="100", data__test_fraction="0.1")
    fields: dict[str, Any] = {"step": 100, "seconds": 40.0, "steps_per_second": 2.0, "max_seconds": 100.0}
    written.status(test={"test_loss": 2.0512}, metrics={"val_loss": 2.0}, **fields)
    async with viewing(written.run, "ETA 1:00", (120, 36)) as (app, _):
        assert "test 2.051" in screen_text(app)
    assert Status(state=RunState.RUNNING, max_steps=1000, **fields).share_done == 0.4
    assert estimate_line({"seconds_per_step": 1.0}, 1000, 60.0) == "≈ 60 s"
    assert estimate_line({"seconds_per_step": 0.01}, 1000, 60.0) == "≈ 10 s"


async def test_a_run_stops_at_its_target_in_the_app_and_is_tested_with_a_key(workers: Any, release: Any) -> None:
    flags = {"training.target_loss": "2.9", "training.eval_interval": "20", "data.test_fraction": "0.1"}
    flags |= {"sampling.interval": "0", "training.device": "cpu"}
    run = run_directory.create(configuration.with_flags(configuration.starting_tree("mlp"), flags))
    workers.start(run)
    app = WorkingHost(run, workers)
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.query_one(RunView)
        await until(pilot, shows(app, "✓ finished by target_loss"), 60)
        await until(pilot, shows(app, "Stopped at its target: val_loss came to 2."))
        assert view.snapshot is not None
        first = view.snapshot.facts.test
        assert first is not None
        await pilot.press("t")
        await until(pilot, shows(app, "Test loss 2."), 30)
        second = view.snapshot.facts.test
        assert second is not None
        assert second.metrics == first.metrics
        assert second.time > first.time
        release(run)
