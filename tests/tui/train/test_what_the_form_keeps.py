"""What stays of the form: the draft at the next start, the command, and recipes of one's own."""

from pathlib import Path
from typing import Any

import pytest
from on_screen import until
from textual.widgets import Input, Select

from torchtty.engine.contract.paths import state_folder
from torchtty.tui.form.dialogs import CommandDialog, SaveRecipeDialog
from torchtty.tui.form.pickers import Picker


async def edit(app: Any, pilot: Any, path: str, text: str) -> None:
    row = app.screen.form.row(path)
    row.focus_editor()
    await until(pilot, lambda: row.has_focus_within)
    await pilot.press("ctrl+u", *text)
    await until(pilot, lambda: app.screen.form.draft.exact_text(path) == text)


async def test_the_next_start_finds_the_settings_as_they_were_left(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        app.screen.form.choose_recipe("names-mlp")
        await edit(app, pilot, "model.n_hidden", "321")
        await edit(app, pilot, "optimizer.learning_rate", "fast")
        kind = app.screen.form.row("optimizer.kind")
        kind.focus_editor()
        await until(pilot, lambda: kind.query(Select))
        kind.query_one(Select).value = "rmsprop"  # whose rate is no wrong one
        await pilot.pause()
        await edit(app, pilot, "optimizer.momentum", "0.123456789")
        await edit(app, pilot, "training.batch_size", "many")
    async with torchtty() as (app, _pilot):
        draft = app.screen.form.draft
        assert draft.recipe == "names-mlp"
        assert draft.value("model.n_hidden") == 321
        assert draft.value("optimizer.momentum") == 0.123456789
        assert draft.text("training.batch_size") == "many"
        assert list(draft.problems()) == ["training.batch_size"]
        assert app.screen.form.row("model.n_hidden").modified
        assert app.screen.query_one("#recipe", Picker).value == "names-mlp"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\x00",
        b"[" * 100_000,
        b"[]",
        b'{"family": "gone", "changed": {}}',
        b'{"family": ["gpt"], "recipe": {}, "changed": {"model.n_layer": "3"}}',
        b'{"family": "gpt", "recipe": "gone", "changed": 3}',
    ],
)
async def test_a_broken_memory_is_as_none(torchtty: Any, content: bytes) -> None:
    state_folder().mkdir(parents=True)
    (state_folder() / "draft.json").write_bytes(content)
    async with torchtty() as (app, _pilot):
        assert app.screen.form.draft.recipe == "names-gpt"
        assert app.screen.form.draft.problems() == {}


async def test_a_setting_that_is_there_no_longer_is_left_out(torchtty: Any) -> None:
    state_folder().mkdir(parents=True)
    changed = '{"model.gone": "1", "nothing": "2", "model.n_layer": "3", "optimizer.kind": "gone", "model.n_head": 4}'
    (state_folder() / "draft.json").write_text(f'{{"family": "gpt", "recipe": "gone", "changed": {changed}}}')
    async with torchtty() as (app, _pilot):
        draft = app.screen.form.draft
        assert (draft.recipe, draft.family, draft.value("model.n_layer")) == (None, "gpt", 3)
        assert draft.problems() == {}


async def test_the_command_is_shown_and_on_the_clipboard(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        await edit(app, pilot, "model.n_layer", "5")
        await pilot.press("ctrl+y")
        await until(pilot, lambda: isinstance(app.screen, CommandDialog))
        assert app.clipboard == app.screen.command == "torchtty train names-gpt --model.n_layer 5"
        assert app.screen.command in str(app.screen.query_one("#command").content)
        await pilot.press("escape")
        await edit(app, pilot, "model.n_layer", "x")
        await pilot.press("ctrl+y")
        await pilot.pause()
        assert not isinstance(app.screen, CommandDialog)
        assert app.told == ["model.n_layer takes a whole number from 1 to 96"]


async def test_settings_are_saved_as_a_recipe_found_again_and_deleted(torchtty: Any, tmp_path: Path) -> None:
    async with torchtty() as (app, pilot):
        await edit(app, pilot, "model.n_layer", "5")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, SaveRecipeDialog))
        await pilot.press(*"names-gpt", "enter")
        await pilot.pause()
        assert "already" in str(app.screen.query_one(".help").content)
        await pilot.press("ctrl+u", *"Five layers", "enter")
        await until(pilot, lambda: not isinstance(app.screen, SaveRecipeDialog))
        form = app.screen.form
        assert form.draft.recipe == "five-layers"
        assert form.draft.value("model.n_layer") == 5
        assert not form.draft.is_modified("model.n_layer")
    async with torchtty() as (app, pilot):
        form = app.screen.form
        assert form.draft.recipe == "five-layers"
        picker = form.query_one("#recipe", Picker)
        picker.focus_editor()
        await until(pilot, lambda: picker.query(Select))
        assert ("Five layers", "five-layers") in picker._options
        await pilot.press("delete")
        await until(pilot, lambda: form.draft.recipe is None)
        assert form.draft.value("model.n_layer") == 5
        assert not list((tmp_path / "config" / "recipes").iterdir())
        assert ("Five layers", "five-layers") not in picker._options
        await pilot.press("delete")  # on no recipe of one's own
        await pilot.pause()
        assert form.draft.family == "gpt"


async def test_a_recipe_that_cannot_be_read_is_told_and_the_app_starts(torchtty: Any, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "recipes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text("title = [")
    async with torchtty() as (app, pilot):
        assert app.screen.query_one(Input) is not None
        await until(pilot, lambda: app.told)
        assert "mine.toml" in app.told[0]
