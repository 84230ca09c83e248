"""One run on the screen: what is shown at small and large sizes."""

import unicodedata
from dataclasses import replace

import pytest
from on_screen import screen_text, shows, until
from textual.widgets import Static
from viewed_run import Host

from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.family import RATE_CHART, MetricChart
from torchtty.tui.run.curves import Curves
from torchtty.tui.run.view import RunView
from torchtty.tui.run.watcher import RunFollower

SIZES = [(80, 24), (120, 36), (160, 48), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
async def test_curve_samples_and_progress_are_on_the_screen_at_once(write_run, size):
    written = write_run("gpt-1", kind="gpt")
    written.event("ready", references={"chance": 3.3}, parameters=48_637, vocab_size=27, notes=["12 names"])
    written.curve(600)
    written.sample("s", "karina", "anna", known=[False, True], automatic=True)
    written.status(
        step=600,
        parameters=48_637,
        device="cpu",
        steps_per_second=100.0,
        metrics={"val_loss": 2.5},
        best=2.4,
        best_step=500,
    )
    app = Host(written.run)
    async with app.run_test(size=size) as pilot:
        for text in (
            "● running",
            "48,637 parameters",
            "chance",
            "● karina",
            "○ anna",
            "seen in training",
            "prompt",
            "seed any",
        ):
            await until(pilot, shows(app, text))
        for text in ("600/1,000", "100 it/s", "ETA 0:04", "12 names"):
            assert text in screen_text(app)
        assert all(len(line) <= size[0] for line in screen_text(app).splitlines())


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (80, 24)])
async def test_no_size_is_too_small_to_live_through(write_run, size):
    written = write_run()
    written.curve(100)
    written.sample("s", "karina " * 20)
    written.status(step=100)
    app = Host(written.run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, shows(app, "karina"))
        await pilot.resize_terminal(*size)
        await pilot.pause(0.3)
        assert "running" in screen_text(app)
        await pilot.resize_terminal(200, 60)
        await until(pilot, shows(app, "karina"))


async def test_without_a_run_it_says_what_will_appear_and_which_key_starts():
    app = Host(None)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "ctrl+t trains a model"))
        await until(pilot, shows(app, "Curves appear here once training starts."))
        assert "Samples appear here" in screen_text(app)


async def test_what_a_model_writes_is_neither_markup_nor_control(write_run):
    written = write_run()
    evil = "[bold red]loud[/] \x1b[31mred\x1b]52;c;AAAA\x07 \x9b2J [@click=app.quit]x[/] \u202eabc"
    written.sample("a", evil)
    written.event("warning", message="[/] \x1b[2J beware")
    written.status(message="[/nonsense] \x1b[2J")
    app = Host(written.run)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "[bold red]loud[/] ␛[31mred␛]52;c;AAAA␇"))
        await until(pilot, shows(app, "[/nonsense] ␛[2J"))
        assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in screen_text(app).replace("\n", ""))


async def test_c_and_a_click_change_the_chart(write_run):
    written = write_run()
    written.curve(100)
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(80, 24)) as pilot:
        curves = app.query_one(Curves)
        await until(pilot, lambda: app.query_one(RunView).snapshot is not None)  # only then is there a choice of charts
        assert len(curves.chart("loss").spec.series) == 2
        await pilot.press("c", "c")
        assert curves.current.id == "gradient"
        await until(pilot, lambda: len(curves.chart("gradient").spec.series[0]) == 10)
        await pilot.click("#tab-loss")
        assert curves.current.id == "loss"


class OtherLoss(RunSnapshot):
    """A run of a family whose loss chart draws a metric of its own."""

    @property
    def family(self):
        loss = MetricChart("loss", "reconstruction", ("squared_error",))
        return replace(super().family, charts=(loss, RATE_CHART))


async def test_a_family_may_draw_metrics_of_its_own_under_an_id_that_others_use(write_run):
    written = write_run()
    written.metrics(*({"step": step, "squared_error": 0.5, "learning_rate": 1e-3} for step in range(20)))
    written.status(step=20)
    follower, app = RunFollower(written.run), Host(None)
    async with app.run_test(size=(100, 30)) as pilot:
        curves = app.query_one(Curves)
        curves.attach(follower)
        follower.poll()
        known = follower.take().snapshot
        curves.show_state(OtherLoss(written.run, known.status, known.configuration))
        follower.poll()
        curves.points_changed()
        await until(pilot, shows(app, "squared_error 0.500"))
        await until(pilot, shows(app, "reconstruction  learning rate"))
        curves.show_next()
        assert curves.current == RATE_CHART
        curves.show_next()
        assert curves.current.metrics == ("squared_error",)
        curves.attach(RunFollower(written.run))
        curves.show_state(known)
        await until(pilot, shows(app, "loss  learning rate  gradient norm"))


async def test_the_legend_of_the_learning_rate_shows_the_rate_in_force(write_run):
    written = write_run()
    written.metrics(*({"step": step, "learning_rate": 1e-3 + 1e-5 * step} for step in range(688)))
    written.status(step=687)
    app = Host(written.run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, shows(app, "running"))
        await pilot.press("c")
        await until(pilot, shows(app, "7.87e-3"))


async def test_another_run_takes_the_place_of_the_first_one_whole(write_run):
    first, second = write_run("first"), write_run("second", kind="gpt")
    first.sample("a", "from the first")
    first.curve(100)
    first.status(step=90)
    second.status(RunState.PAUSED, step=7)
    app = Host(first.run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, shows(app, "from the first"))
        app.view.show(second.run)
        await until(pilot, shows(app, "‖ paused"))
        assert "first" not in screen_text(app)
        assert all(len(series) == 0 for series in app.query_one(Curves).chart("loss").spec.series)
        app.view.show(None)
        await until(pilot, shows(app, "no run yet"))
        await until(pilot, lambda: app.statuses[-1] is None)


async def test_an_unreadable_configuration_is_told_in_the_view(write_run):
    written = write_run()
    written.run.config_path.write_text("[bold")
    written.status()
    app = Host(written.run)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "TOML" in str(app.query_one("#run-notice", Static).content))
