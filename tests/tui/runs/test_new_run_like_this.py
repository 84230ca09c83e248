"""From a run in the list to a form that holds its settings."""

import re

import pytest
from on_screen import screen_text, shows, until

from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings import configuration
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.form.pickers import Picker
from torchtty.tui.runs.table import RunsTable
from torchtty.tui.shell.help import KeysHelp
from torchtty.tui.shell.key_bar import KeyBar
from torchtty.tui.train.screen import TrainScreen


def made(flags, recipe=None, kind="mlp", name="first"):
    tree = recipe_named(recipe).tree if recipe else configuration.starting_tree(kind)
    return create(configuration.with_flags(tree, flags), name=name, recipe=recipe)


async def list_runs(app, pilot):
    await pilot.press("f3")
    await until(pilot, lambda: app.screen.query(RunsTable) and app.screen.query_one(RunsTable).shown)


@pytest.mark.parametrize("opened", ["", "d", "enter"])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_n_fills_the_form_with_the_runs_settings_and_its_recipe(torchtty, size, opened):
    run = made({"model.n_embd": "48", "training.batch_size": "48"}, "names-gpt")
    async with torchtty(size) as (app, pilot):
        train = app.screen
        train.form.draft.set("training.batch_size", 7)
        await list_runs(app, pilot)
        if opened:
            await pilot.press(opened)
            await until(pilot, lambda: app.screen.pane is not None)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is train)
        assert isinstance(train, TrainScreen)
        draft = train.form.draft
        assert draft.configuration() == run.configuration()
        assert draft.recipe == "names-gpt"
        modified = {
            path for path in ("model.n_embd", "training.batch_size", "model.n_layer") if draft.is_modified(path)
        }
        assert modified == {"model.n_embd", "training.batch_size"}, "marked where the run differs from its recipe"
        await until(pilot, lambda: re.search(r"• n_embd +48", screen_text(app)))
        assert train.focused in train.form.listed_rows()[0].walk_children()
        assert any("settings of first" in told for told in app.told)


async def test_the_new_run_is_started_with_what_was_changed_since(torchtty, cold_pool):
    made({"optimizer.learning_rate": "0.0123"})
    async with torchtty((120, 40), cold_pool) as (app, pilot):
        await list_runs(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        app.screen.form.draft.set("training.batch_size", 5)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: cold_pool.handed)
        tree = cold_pool.handed[0][0].configuration().tree()
        assert (tree["optimizer"]["learning_rate"], tree["training"]["batch_size"]) == (0.0123, 5)


async def test_a_recipe_that_is_no_more_is_not_named(torchtty):
    run = made({})
    run.meta_path.write_text('{"recipe": "gone"}')
    async with torchtty() as (app, pilot):
        await list_runs(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        assert app.screen.form.draft.recipe is None
        assert app.screen.form.draft.family == "mlp"
        await until(pilot, shows(app, "the model's own defaults"))
        assert app.screen.query_one("#model", Picker).value == "mlp"


async def test_a_run_whose_settings_cannot_be_read_stays_where_it_is(torchtty):
    made({}).config_path.write_text("[broken")
    async with torchtty() as (app, pilot):
        await list_runs(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: any("cannot be read" in told for told in app.told))
        assert app.current_mode == "runs"


@pytest.mark.parametrize("opened", ["d", "enter"])
async def test_the_way_back_from_a_run_that_is_over_is_told_where_the_table_is_hidden(torchtty, opened):
    made({}).write_status(Status(state=RunState.FINISHED, step=10, max_steps=10))
    async with torchtty((80, 24)) as (app, pilot):
        await list_runs(app, pilot)
        await pilot.press(opened)
        await until(pilot, lambda: "esc back" in str(app.screen.query_one(KeyBar).render()))


async def test_the_key_stands_in_the_line_of_keys_and_in_the_help(torchtty):
    made({})
    async with torchtty((80, 24)) as (app, pilot):
        await list_runs(app, pilot)
        await pilot.press("d")
        await until(pilot, lambda: "n new run like this" in str(app.screen.query_one(KeyBar).render()))
        await pilot.resize_terminal(120, 60)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, KeysHelp))
        for _ in range(4):  # the keys take more than a page
            if "Fill the form with the run's settings" in screen_text(app):
                break
            await pilot.press("pagedown")
            await pilot.pause()
        assert "Fill the form with the run's settings" in screen_text(app)
