"""The run on the Train screen: what is said where it has nothing to show, the form beside it, and its keys."""

from typing import Any

import pytest
from on_screen import screen_text, shows, until
from textual.widgets import Static

from torchtty.engine.contract.run.requests import collect
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.lenses.pane import LensPane
from torchtty.tui.lenses.tabs import LensTabs
from torchtty.tui.run.samples import SampleLog
from torchtty.tui.shell.help import KeysHelp
from torchtty.tui.shell.key_bar import KeyBar

SIZES = [(80, 24), (120, 36), (200, 60)]


def shown_keys(app: Any) -> str:
    return str(app.screen.query_one(KeyBar).render())


async def attached(app: Any, pilot: Any) -> None:
    await until(pilot, lambda: app.screen.view.snapshot is not None)


@pytest.mark.parametrize("size", SIZES)
async def test_one_key_hides_and_shows_the_settings_at_every_size(torchtty: Any, live_run: Any, size: Any) -> None:
    live_run()
    async with torchtty(size) as (app, pilot):
        await attached(app, pilot)
        setup = app.screen.query_one("#setup")
        for is_shown in (size[0] < 110, size[0] >= 110, size[0] < 110):
            await pilot.press("ctrl+o")
            await pilot.pause()
            assert setup.display is is_shown
            assert (app.screen.view.region.width == size[0]) is not is_shown


@pytest.mark.parametrize("size", SIZES)
async def test_the_keys_of_the_lenses_work_after_the_form_was_shown_and_hidden(
    torchtty: Any, live_run: Any, size: Any
) -> None:
    live_run()
    async with torchtty(size) as (app, pilot):
        await attached(app, pilot)
        await until(pilot, shows(app, "inside"))
        if app.screen.query_one("#setup").display:
            await pilot.press("ctrl+o")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.focused, LensTabs))
        await pilot.press("ctrl+o")
        await pilot.pause()
        app.screen.query_one("#start").focus()
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.focused, LensTabs), seconds=5)
        pane = app.screen.query_one(LensPane)
        before = pane.lens
        await pilot.press("]")
        await until(pilot, lambda: pane.lens != before, seconds=5)
        await pilot.press("ctrl+o", "escape")  # which leaves the form too
        await pilot.pause()
        await pilot.press("i")
        await until(pilot, lambda: not app.screen.view.inside.is_open, seconds=5)


async def test_a_hidden_form_comes_back_when_its_settings_are_edited(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty((120, 36)) as (app, pilot):
        await attached(app, pilot)
        await pilot.press("ctrl+o", "e")
        await until(pilot, shows(app, "settings that can change"))


async def test_escape_leaves_the_live_settings_for_the_whole_run(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty((80, 24)) as (app, pilot):
        await attached(app, pilot)
        await pilot.press("e")
        await until(pilot, shows(app, "settings that can change"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.view.region.width == 80)


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED])
async def test_the_keys_of_a_live_run_and_the_way_out_fit_into_80_cells(
    torchtty: Any, live_run: Any, state: RunState
) -> None:
    live_run(state=state)
    async with torchtty((80, 24)) as (app, pilot):
        await attached(app, pilot)
        await pilot.pause()
        line = shown_keys(app)
        space = "space continue" if state is RunState.PAUSED else "space pause"
        for key in (space, "^s sample", "^x stop", "^t train", "e edit", "^o form", "^q quit", "f1 help"):
            assert key in line
        assert len(line) <= 80


async def test_a_run_that_is_over_says_why_its_keys_do_nothing(torchtty: Any, write_run: Any) -> None:
    write_run("good-run").status(RunState.FINISHED, step=1000)
    async with torchtty((120, 36)) as (app, pilot):
        await attached(app, pilot)
        app.screen.view.focus_curves()
        for key, why in (("e", "resume it first"), ("space", "only a run that trains can be paused")):
            await pilot.press(key)
            await until(pilot, shows(app, f"good-run is finished: {why}"))


async def test_the_prompt_says_how_it_is_left_and_e_is_a_key_again(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty((80, 24)) as (app, pilot):
        await attached(app, pilot)
        await pilot.press("ctrl+s", *"ma", "enter")
        await until(pilot, lambda: "esc leave" in shown_keys(app))
        await pilot.press("escape")
        await until(pilot, lambda: "esc cancel" in shown_keys(app))  # the sample that is waited for
        await pilot.press("e")
        await until(pilot, shows(app, "settings that can change"))


async def test_samples_fill_the_width_at_once_when_the_form_goes(torchtty: Any, write_run: Any) -> None:
    written = write_run()
    written.status(step=5)
    written.sample("a", *(f"name{number}" for number in range(10)), known=[False] * 10)
    async with torchtty((120, 36)) as (app, pilot):
        await until(pilot, shows(app, "● name9"))
        await pilot.resize_terminal(80, 24)
        for keys, columns in (([], 5), (["ctrl+o"], 2), (["ctrl+o"], 5)):
            await pilot.press(*keys)
            await pilot.pause()
            log = app.screen.query_one(SampleLog)
            assert log.render_line(1).text.count("●") == columns


@pytest.mark.parametrize(
    ("state", "fields", "sentences"),
    [
        (RunState.STARTING, {}, ["Starting: the model and its data are being loaded."]),
        (RunState.QUEUED, {"waiting_for": "gpt-7"}, ["Queued behind gpt-7."]),
        (RunState.RUNNING, {}, ["Waiting for the first values."]),
        (RunState.FAILED, {"message": "No such file: a.txt"}, ["No such file: a.txt.", "ctrl+t starts a new run"]),
        (RunState.FINISHED, {}, ["Finished.", "learning rate"]),
        (RunState.STOPPED, {}, ["The run stopped before it logged anything.", "ctrl+t starts a new run"]),
    ],
)
async def test_a_chart_without_points_says_why_and_what_to_do(
    torchtty: Any, write_run: Any, state: RunState, fields: dict[str, Any], sentences: list[str]
) -> None:
    written = write_run()
    written.status(state, **fields)
    async with torchtty((120, 36)) as (app, pilot):
        app.open_run(written.run)
        await attached(app, pilot)
        if state is RunState.FINISHED:
            await pilot.press("c")
        chart = app.screen.query_one("#empty-chart")
        for sentence in sentences:
            await until(pilot, lambda text=sentence: text in str(chart.content))
        assert chart.display
        written.curve(100)
        await pilot.press("c", *(["c"] * 3 if state is not RunState.FINISHED else ["c", "c"]))
        app.screen.view.expect_news()
        await until(pilot, lambda: not chart.display)


async def test_the_charts_stand_in_the_order_of_their_family(torchtty: Any, live_run: Any) -> None:
    live_run("digits-dcgan")
    async with torchtty((120, 36)) as (app, pilot):
        await attached(app, pilot)
        await until(pilot, shows(app, "losses  D(x) and D(G(z))  learning rate  speed"))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_after_a_restart_the_latest_run_is_shown_beside_the_form_though_none_trains(
    torchtty: Any, write_run: Any, size: tuple[int, int]
) -> None:
    written = write_run("good-run")
    written.curve(1000)
    written.status(RunState.FINISHED, step=1000)
    async with torchtty(size) as (app, pilot):
        await attached(app, pilot)
        assert app.screen.focused.id == "start", "the next run is one key away"
        assert app.screen.query_one("#setup").display
        if size == (80, 24):
            await pilot.press("escape")
        await until(pilot, shows(app, "✓ finished  good-run"))
        await until(pilot, lambda: "train 2.016" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_f_gives_the_chart_the_whole_screen_and_back(torchtty: Any, live_run: Any, size: tuple[int, int]) -> None:
    live_run()
    async with torchtty(size) as (app, pilot):
        await attached(app, pilot)
        app.screen.view.focus_curves()
        await pilot.press("f")
        chart = app.screen.view.curves.chart("loss")
        await until(pilot, lambda: chart.size.width >= size[0] - 2 and chart.size.height >= size[1] - 7)
        assert not app.screen.query_one("#setup").display
        for way_back in ("f", "escape", "ctrl+o", "ctrl+s"):
            if not app.screen.view.is_full_screen:
                await pilot.press("f")
            await pilot.press(way_back)
            await until(pilot, lambda: chart.size.height < size[1] - 10 or not chart.is_on_screen)
            app.screen.view.focus_curves()


async def test_the_help_of_a_run_that_draws_pictures_names_the_keys_it_has(torchtty: Any, live_run: Any) -> None:
    run = live_run("digits-dcgan")
    async with torchtty((120, 60)) as (app, pilot):
        await attached(app, pilot)
        await until(pilot, lambda: "^s draw" in shown_keys(app))
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, KeysHelp))
        help = str(app.screen.query_one("#keys-help VerticalScroll Static", Static).content)
        assert "Draw pictures from fresh noise" in help
        for missing in ("prompt", "gradient norm", "Copy the latest sample", "Save all samples"):
            assert missing not in help
        await pilot.press("escape", "ctrl+s")
        await until(pilot, lambda: list(run.inbox.iterdir()))
    [request] = collect(run.inbox)
    assert (request.type, request.prompt) == ("sample", None)


async def test_the_help_of_a_run_on_text_names_the_prompt(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty((120, 60)) as (app, pilot):
        await attached(app, pilot)
        await pilot.press("f1")
        await until(pilot, shows(app, "Write a prompt and sample text"))
        assert "noise" not in str(app.screen.query_one("#keys-help VerticalScroll Static", Static).content)


async def test_a_new_run_like_a_live_one_has_the_rate_that_was_edited(torchtty: Any, write_run: Any) -> None:
    written = write_run()
    written.status(step=50)
    async with torchtty((160, 48)) as (app, pilot):
        train = app.screen
        await pilot.press("f3")
        await until(pilot, shows(app, "1 live"))
        written.event("edit", 40, path="optimizer.learning_rate", value=0.0123, old=0.1)
        table = app.screen.runs_list.table
        await until(pilot, lambda: table.current.snapshot.settings["optimizer"]["learning_rate"] == 0.0123)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is train)
        assert train.form.draft.value("optimizer.learning_rate") == 0.0123


async def test_without_a_run_the_prompt_says_that_there_is_no_model_and_starts_nothing(torchtty: Any) -> None:
    async with torchtty(size=(120, 36)) as (app, pilot):
        await until(pilot, lambda: app.screen.is_furnished)
        await pilot.press("ctrl+s", "m", "a", "enter")
        await until(pilot, shows(app, "no model"))
        assert app.screen.view.run is None


async def test_the_help_leaves_a_live_setting_with_its_page(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty(size=(120, 36)) as (app, pilot):
        await until(pilot, lambda: app.screen.is_furnished and app.screen.view.snapshot is not None)
        app.screen.view.focus_curves()
        await pilot.press("e")
        await until(pilot, shows(app, "above 0 and up to 100 · enter"))
        await pilot.press("escape")
        await until(pilot, lambda: "above 0 and up to 100" not in screen_text(app))
