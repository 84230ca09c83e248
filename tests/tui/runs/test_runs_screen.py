"""The Runs screen: listing, filtering, opening, comparing and deleting runs."""

import math
import os
import shutil
import time
from dataclasses import replace

import pytest
from on_screen import screen_text, shows, until
from rich.cells import cell_len
from runs_host import Host
from textual.widgets import Input, Static

from torchtty.engine.contract import paths as places
from torchtty.engine.contract.client.deletion import delete
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.differences import differing
from torchtty.engine.contract.listing.entry import EntryReader
from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.requests import collect
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.tui.run.view import RunView
from torchtty.tui.runs.columns import COLUMNS, NOTHING, fitting
from torchtty.tui.runs.comparison import Comparison
from torchtty.tui.runs.screen import COMPARISON, DETAILS, RUN
from torchtty.tui.shell.dialog import DeleteDialog


@pytest.fixture
def three_runs(write_run):
    """An old GPT that was stopped, an MLP that failed, and a GPT that runs; the newest last."""
    runs = []
    for age, (name, kind, state) in enumerate(
        [
            ("old-gpt", "gpt", RunState.STOPPED),
            ("bad-mlp", "mlp", RunState.FAILED),
            ("new-gpt", "gpt", RunState.RUNNING),
        ]
    ):
        written = write_run(name, kind=kind, training__seed=str(age))
        written.curve(300)
        written.metrics({"step": 100, "val_loss": 2.5}, {"step": 200, "val_loss": 2.4})
        written.status(state, step=300, parameters=48_637, metrics={"val_loss": 2.4}, best=2.4, best_step=200)
        stamp = time.time() - 100 + age
        os.utime(written.run.config_path, (stamp, stamp))
        runs.append(written)
    return runs


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (160, 48), (200, 60)])
async def test_runs_are_listed_newest_first_in_columns_that_fit(three_runs, size):
    app = Host()
    async with app.run_test(size=size) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        assert list(app.table.shown) == ["new-gpt", "bad-mlp", "old-gpt"]
        for text in ("●", "✗", "■", "seed", "2.400", "3 runs  ·  1 live"):
            assert text in screen_text(app)
        assert ("300/1,000" in screen_text(app)) is (size[0] > 120), "what differs comes before how far it came"
        assert ("● running" in screen_text(app)) is (size[0] > 80), "where there is little room a state is its sign"
        assert app.table.virtual_size.width <= app.table.size.width


def test_wider_tables_have_more_columns_and_the_widest_has_all():
    counts = [len(fitting(width)) for width in range(20, 220)]
    assert counts == sorted(counts)
    assert counts[-1] == len(COLUMNS)
    assert [column.key for column in fitting(52)] == ["state", "name", "val", "best"], (
        "beside an opened run at 160 columns"
    )


async def test_an_empty_folder_says_how_to_start():
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "No runs yet."))
        assert "ctrl+t starts one" in screen_text(app)
        await pilot.press("enter", "space", "d", "o", "delete", "escape")


async def test_only_the_cells_that_changed_are_touched(three_runs):
    app = Host()
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        # The curves are read in a thread: their cells are touched once more when they come.
        await until(pilot, lambda: all(app.table.get_cell(name, "curve").plain for name in app.table.shown))
        touched = []
        update = app.table.update_cell
        app.table.update_cell = lambda row, column, *rest, **more: (
            touched.append((row, column)),
            update(row, column, *rest, **more),
        )
        three_runs[2].status(
            RunState.RUNNING, step=400, parameters=48_637, metrics={"val_loss": 2.4}, best=2.4, best_step=200
        )
        await until(pilot, shows(app, "400/1,000"))
        assert touched == [("new-gpt", "step")]


async def test_a_new_run_appears_and_the_cursor_stays_with_its_run(three_runs, write_run):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.focused is app.table and "new-gpt" in app.table.shown)
        await pilot.press("down")
        await until(pilot, lambda: app.table.current.key == "bad-mlp")
        write_run("newest").status(RunState.QUEUED, waiting_for="new-gpt")
        await until(pilot, shows(app, "newest"))
        assert app.table.current.key == "bad-mlp"


async def test_f_lets_a_queued_run_go_first_where_another_is_before_it(write_run):
    first, last = write_run("first"), write_run("last")
    first.status(RunState.QUEUED, waiting_for="gpt of marco", place=1)
    last.status(RunState.QUEUED, waiting_for="gpt of marco", place=2)
    app = Host()
    async with app.run_test(size=(160, 36)) as pilot:
        await until(pilot, shows(app, "last"))
        for run, sent in ((first, []), (last, ["advance"])):
            app.table.move_cursor(row=list(app.table.shown).index(run.run.name))
            await pilot.press("f")
            await pilot.pause()
            assert [request.type for request in collect(run.run.inbox)] == sent


async def test_broken_directories_are_listed_with_what_is_wrong(three_runs):
    three_runs[1].run.config_path.write_text("kind = [bold]")
    three_runs[0].run.status_path.write_text("{")
    three_runs[0].run.meta_path.write_text("[]")
    app = Host()
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, shows(app, "! broken"))
        app.table.move_cursor(row=list(app.table.shown).index("bad-mlp"))
        preview = app.screen.query_one("#preview-title", Static)
        await until(pilot, lambda: "is not valid" in str(preview.render()))
        assert "? lost" in screen_text(app), "a run without a readable status is lost"
        await pilot.press("enter")
        await until(pilot, shows(app, "kind = [bold]"))


async def test_slash_filters_and_escape_shows_all_again(three_runs):
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("slash", *"gpt run")
        await until(pilot, lambda: list(app.table.shown) == ["new-gpt"])
        await pilot.press("x")
        await until(pilot, shows(app, "None of the 3 runs fits"))
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: app.focused is app.table)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.table.shown) == 3)
        assert not app.screen.query_one("#runs-filter", Input).value


@pytest.mark.parametrize(("size", "beside"), [((80, 24), False), ((200, 60), True)])
async def test_enter_opens_a_run_beside_the_table_where_there_is_room(three_runs, size, beside):
    app = Host()
    async with app.run_test(size=size) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("enter")
        await until(pilot, shows(app, "train"))
        assert app.screen.pane == RUN
        assert app.screen.query_one(RunView).run == three_runs[2].run
        assert ("old-gpt" in screen_text(app)) is beside
        await pilot.press("escape")
        await until(pilot, lambda: app.focused is app.table)
        assert app.screen.query_one(RunView).run is None, "nobody looks, so nobody follows"


async def test_d_shows_the_configuration_and_where_the_run_comes_from(three_runs):
    three_runs[2].run.meta_path.write_text('{"created": 0, "argv": ["torchtty", "[bold]\\u001b[2J"]}')
    app = Host()
    async with app.run_test(size=(200, 80)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("d")
        await until(pilot, shows(app, "── model ──"))
        for text in (
            "kind         gpt",
            "seed                 2  was 1337",
            "torchtty [bold]␛[2J",
            str(three_runs[2].run.path)[:30],
        ):
            await until(pilot, shows(app, text))
        assert app.screen.pane == DETAILS
        await pilot.press("down")
        await until(pilot, shows(app, "n_hidden"))
        await pilot.press("d")
        await until(pilot, lambda: app.screen.pane is None)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_run_whose_model_is_in_memory_is_marked_and_ctrl_r_releases_it(three_runs, size):
    old = three_runs[0]
    old.status(RunState.STOPPED, step=300, parameters=48_637, serving=True)
    app = Host()
    async with app.run_test(size=size) as pilot:
        await until(pilot, shows(app, "◆"))
        [line] = [line for line in screen_text(app).splitlines() if "◆" in line]
        assert "old-gpt" in line
        await pilot.press("ctrl+r")  # on the newest run, which trains
        await pilot.press("down", "down", "d")
        await until(pilot, shows(app, "in memory, so that"))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: list(old.run.inbox.iterdir()))
        old.status(RunState.STOPPED, step=300, parameters=48_637)
        await until(pilot, lambda: not {"◆", "in memory,"} & set(screen_text(app).split()))
    assert [request.type for request in collect(old.run.inbox)] == ["release"]
    assert [list(written.run.inbox.iterdir()) for written in three_runs] == [[], [], []]


async def test_a_run_of_two_models_shows_both_losses_and_its_details_say_which_is_whose(three_runs, write_run):
    gan = write_run("digits-gan", kind="dcgan")
    gan.status(RunState.FINISHED, step=1000, seconds=75.0, metrics={"loss_d": 0.5123, "loss_g": 13.402})
    app = Host()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, shows(app, "D 0.51 G 13.4"))
        assert "loss" in screen_text(app)
        assert "2.400" in screen_text(app), "the others show their validation loss as before"
        app.table.move_cursor(row=list(app.table.shown).index("digits-gan"))
        await pilot.press("d")
        await until(pilot, shows(app, "discriminator's loss (D)  0.512"))
        await until(pilot, shows(app, "generator's loss (G)      13.402"))
        assert "1,000 of 1,000, in 1:15" in screen_text(app)
        assert "validation loss" not in screen_text(app)


async def test_the_details_of_a_live_run_follow_it(three_runs):
    app = Host()
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("d")
        await until(pilot, shows(app, "2.400, best 2.400 at step 200"))
        three_runs[2].status(RunState.RUNNING, step=500, metrics={"val_loss": 2.2}, best=2.2, best_step=500)
        await until(pilot, shows(app, "2.200, best 2.200 at step 500"))


async def test_the_details_of_a_live_run_show_an_edit_that_arrives_later(three_runs):
    app = Host()
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("d")
        await until(pilot, shows(app, "learning_rate  1e-3"))
        three_runs[2].event("edit", 320, path="optimizer.learning_rate", value=0.008, old=0.001)
        await until(pilot, shows(app, "learning_rate  1e-3 → 8e-3 at 320"))


async def test_the_table_of_differing_settings_shows_an_edit_that_arrives_later(three_runs):
    app = Host()
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("space", "down", "space", "o")
        await until(pilot, shows(app, "training.seed"))
        assert "learning_rate" not in screen_text(app)
        three_runs[2].event("edit", 320, path="optimizer.learning_rate", value=0.008, old=0.001)
        await until(pilot, shows(app, "optimizer.learning_rate"))
        await until(pilot, shows(app, "8e-3"))


def test_a_thousand_runs_are_listed_in_about_a_second(write_run):
    first = write_run("run-0")
    first.status(RunState.FINISHED, step=1000)
    first.sample("a", "text" * 1000)
    for number in range(1, 1000):
        shutil.copytree(first.run.path, first.run.path.with_name(f"run-{number}"))
    runs, reader = list_runs(), EntryReader()
    began = time.process_time()
    rows = [reader.read(run) for run in runs]
    spent = time.process_time() - began
    assert len(rows) == 1000
    assert spent < 3.0, "the bar is 1 s on an idle machine; this one may be busy"


async def test_a_mark_outlives_the_filter_and_goes_with_its_run(three_runs):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("space", "slash", *"mlp", "enter")
        await until(pilot, lambda: list(app.table.shown) == ["bad-mlp"])
        await pilot.press("space", "escape")
        await until(pilot, lambda: len(app.table.shown) == 3)
        assert list(app.table.marks) == ["new-gpt", "bad-mlp"]
        shutil.rmtree(three_runs[2].run.path)
        await until(pilot, lambda: list(app.table.marks) == ["bad-mlp"])


async def test_marked_runs_share_a_chart_and_a_table_of_what_differs(three_runs):
    app = Host()
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("space", "down", "space")
        assert list(app.table.marks) == ["new-gpt", "old-gpt"]
        await pilot.press("o")
        chart = app.screen.query_one("#comparison-chart")
        await until(pilot, lambda: sorted(len(series) for series in chart.spec.series) == [2, 2])
        await until(pilot, shows(app, "training.seed"))
        assert "training.batch_size" not in screen_text(app), "settings that are the same are left out"
        colours = {series.name: series.colour for series in chart.spec.series}
        assert app.screen.pane == COMPARISON
        await pilot.press("c")
        await until(pilot, lambda: [len(series) for series in chart.spec.series] == [30, 30])
        assert {series.name: series.colour for series in chart.spec.series} == colours
        app.table.move_cursor(row=0)
        await pilot.press("space")
        await until(pilot, lambda: [series.name for series in chart.spec.series] == ["old-gpt"])
        assert chart.spec.series[0].colour == colours["old-gpt"], "a run keeps its colour when another one goes"


async def test_runs_of_two_models_are_compared_by_their_own_losses(three_runs, write_run):
    for name in ("gan-one", "gan-two"):
        gan = write_run(name, kind="dcgan")
        gan.metrics(*({"step": step, "loss_d": 1.0, "loss_g": 2.0} for step in range(5)))
        gan.status(RunState.FINISHED, step=5, metrics={"loss_d": 1.0, "loss_g": 2.0})
    app = Host()
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, shows(app, "gan-two"))
        app.table.move_cursor(row=list(app.table.shown).index("gan-two"))
        await pilot.press("space", "space", "o")
        chart = app.screen.query_one("#comparison-chart")
        await until(pilot, shows(app, "discriminator's loss"))
        await until(pilot, lambda: [len(series) for series in chart.spec.series] == [5, 5])
        await until(pilot, shows(app, "D 1.00 G 2.00"))
        await pilot.press("c")
        await until(pilot, shows(app, "generator's loss"))
        await until(pilot, lambda: chart.spec.series and chart.spec.series[0].value(0) == 2.0)


async def test_whatever_the_runs_log_is_laid_over_each_other(three_runs):
    for number, run in enumerate((three_runs[0], three_runs[2])):
        run.metrics(*({"step": 400 + step, "learning_rate": 0.1 * (number + 1), "odd[b]": 1.0} for step in range(5)))
    app = Host()
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("space", "down", "space", "o")
        comparison = app.screen.query_one(Comparison)
        await until(pilot, lambda: {"learning_rate", "odd[b]"} <= set(comparison.offered))
        assert comparison.offered[0] == comparison.metric == "val_loss"
        while comparison.metric != "learning_rate":
            await pilot.press("c")
        chart = app.screen.query_one("#comparison-chart")
        await until(pilot, lambda: sorted(series.value(4) for series in chart.spec.series if len(series)) == [0.1, 0.2])
        await until(pilot, shows(app, "learning rate"))
        while comparison.metric != "odd[b]":
            await pilot.press("c")
        await until(pilot, shows(app, "odd[b]"))


async def test_a_live_run_grows_in_the_comparison(three_runs):
    app = Host()
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("space", "o")
        chart = app.screen.query_one("#comparison-chart")
        await until(pilot, lambda: [len(series) for series in chart.spec.series] == [2])
        three_runs[2].metrics({"step": 300, "val_loss": 2.3})
        three_runs[2].status(RunState.RUNNING, step=310)
        await until(pilot, lambda: [len(series) for series in chart.spec.series] == [3])
        assert app.screen.query_one(Comparison).metric == "val_loss"


async def test_a_run_is_deleted_only_after_asking_and_never_while_it_is_live(three_runs):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        await pilot.press("delete")
        await pilot.pause()
        assert not isinstance(app.screen, DeleteDialog), "the run is live"
        await pilot.press("down", "delete")
        await until(pilot, lambda: isinstance(app.screen, DeleteDialog))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, DeleteDialog))
        assert three_runs[1].run.path.exists(), "the safe answer has the focus"
        await pilot.press("delete", "y")
        await until(pilot, lambda: "bad-mlp" not in app.table.shown)
        assert sorted(run.name for run in list_runs()) == ["new-gpt", "old-gpt"]
        await pilot.press("U")
        await until(pilot, lambda: "bad-mlp" in app.table.shown)
        assert three_runs[1].run.metrics_path.is_file()


def test_nothing_outside_the_runs_folder_is_deleted(three_runs, tmp_path, monkeypatch):
    inside = places.runs_folder() / "link"
    inside.symlink_to(three_runs[1].run.path)
    for run in (type(three_runs[1].run)(inside), three_runs[2].run):
        with pytest.raises(UserError):
            delete(run)
    monkeypatch.setenv("TORCHTTY_RUNS", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="outside"):
        delete(three_runs[1].run)
    assert three_runs[1].run.config_path.is_file()


def test_a_row_of_a_run_that_is_over_is_not_read_again(three_runs):
    reader = EntryReader()
    row = reader.read(three_runs[0].run)
    assert reader.read(three_runs[0].run) is row
    three_runs[0].status(RunState.FINISHED, step=1000)
    assert reader.read(three_runs[0].run).status.state is RunState.FINISHED


def test_differing_settings_are_those_that_any_two_runs_do_not_share():
    trees = [{"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}}, {"a": {"x": 1}, "b": {"z": None}}]
    assert differing(trees) == ["a.y"]
    assert differing([]) == []


def test_every_column_is_as_wide_as_what_it_holds(three_runs):
    row = EntryReader().read(three_runs[2].run)
    for column in COLUMNS:
        assert cell_len(column.write(row, NOTHING).plain) <= column.width or column.key == "name"


@pytest.mark.parametrize(("loss_d", "loss_g"), [(0.001, 3.0), (1.386, 27.63), (99.99, 812.4), (math.nan, math.inf)])
def test_the_losses_of_two_models_fit_into_their_column(write_run, loss_d, loss_g):
    written = write_run("gan", kind="dcgan")
    row = EntryReader().read(written.run)
    row = replace(row, snapshot=replace(row.snapshot, status=Status(metrics={"loss_d": loss_d, "loss_g": loss_g})))
    (column,) = (column for column in fitting(200, [row]) if column.key == "val")
    assert cell_len(column.write(row, NOTHING).plain) <= column.width


async def test_a_test_loss_has_a_column_where_there_is_one_and_the_details_say_why_a_run_stopped(three_runs):
    app = Host()
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, shows(app, "new-gpt"))
        assert "test" not in [column.key for column in fitting(200, list(app.table.shown.values()))]
        early = {"ended_by": "training.patience", "message": "Stopped after 3 evaluations.", "max_steps": 1000}
        three_runs[2].status(RunState.FINISHED, step=400, test={"test_loss": 2.0512}, test_step=300, **early)
        await until(pilot, shows(app, "2.051"))
        columns = [column.key for column in fitting(120, list(app.table.shown.values()))]
        assert columns[columns.index("best") + 1] == "test"
        await pilot.press("d")
        await until(pilot, shows(app, "finished by patience"))
        assert "Stopped after 3 evaluations." in screen_text(app)
        assert "2.051, with the weights of step 300" in screen_text(app)
