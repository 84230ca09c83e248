"""The form, operated by keys as a person would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from textual.app import App, ComposeResult
from textual.events import Key, MouseDown, MouseUp
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select

from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.recipes import shipped_recipes
from torchtty.tui.app import TorchttyApp
from torchtty.tui.form.draft import Draft
from torchtty.tui.form.edited_line import Toggle
from torchtty.tui.form.form import Form
from torchtty.tui.form.pickers import A_FILE, HelpLine, Picker
from torchtty.tui.form.row import FieldRow
from torchtty.tui.form.section import FormSection


class Host(App[None]):
    """Nothing but the form, and what it reports."""

    CSS_PATH = TorchttyApp.CSS_PATH

    def __init__(self) -> None:
        super().__init__()
        self.edits: list[tuple[str, object]] = []
        self.changes = 0

    def compose(self) -> ComposeResult:
        yield Form(shipped_recipes(), "names-gpt")
        yield Button("elsewhere")

    def on_form_live_edit(self, event: Form.LiveEdit) -> None:
        self.edits.append((event.path, event.value))

    def on_form_changed(self) -> None:
        self.changes += 1


@asynccontextmanager
async def a_form() -> AsyncIterator[tuple[Form, Pilot[None], Host]]:
    app = Host()
    async with app.run_test(size=(60, 70)) as pilot:
        await pilot.pause()
        yield app.query_one(Form), pilot, app


async def go_to(form: Form, pilot: Pilot[None], path: str) -> FieldRow:
    row = form.row(path)
    row.focus_editor()
    await pilot.pause()
    return row


async def retype(pilot: Pilot[None], text: str) -> None:
    await pilot.press("ctrl+u", *text)


async def pick(form: Form, pilot: Pilot[None], picker: str, value: str) -> None:
    """Choose an entry of one of the lists at the top."""
    line = form.query_one(f"#{picker}", Picker)
    line.focus_editor()
    await pilot.pause()
    line.query_one(Select).value = value
    await pilot.pause()


async def open_list(form: Form, pilot: Pilot[None], picker: str) -> None:
    form.query_one(f"#{picker}", Picker).focus_editor()
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


def help_text(form: Form) -> str:
    return str(form.query_one(HelpLine).content)


async def test_every_field_is_filled_before_anything_is_asked() -> None:
    async with a_form() as (form, _pilot, _app):
        for row in form.listed_rows():
            assert row.text or row.spec.optional or row.path == "sampling.prompt", row.path
            if row.spec.choices:
                assert row.text in row.spec.choices, row.path
            assert row.text[:8] in str(row.render()), row.path
        assert not [row.path for row in form.listed_rows() if row.modified or row.problem]


async def test_typing_changes_the_value_and_marks_the_field_as_changed() -> None:
    async with a_form() as (form, pilot, app):
        row = await go_to(form, pilot, "model.n_layer")
        await retype(pilot, "5")
        assert form.draft.value("model.n_layer") == 5
        assert row.modified
        assert app.changes > 0


async def test_a_wrong_value_is_marked_on_leaving_the_field_and_not_while_typing() -> None:
    async with a_form() as (form, pilot, _app):
        row = await go_to(form, pilot, "model.n_layer")
        await retype(pilot, "none at all")
        assert row.problem == ""
        await pilot.press("tab")
        await pilot.pause()
        assert row.problem == "takes a whole number from 1 to 96"
        assert row.size.height == 2, "the reason stands below the field"
        await go_to(form, pilot, "model.n_layer")
        await retype(pilot, "4")
        assert row.problem == "", "and it goes as soon as the value is right"


async def test_fields_that_do_not_go_together_are_marked_all_at_once() -> None:
    async with a_form() as (form, pilot, _app):
        await go_to(form, pilot, "model.n_head")
        await retype(pilot, "7")
        await go_to(form, pilot, "training.batch_size")
        await retype(pilot, "0")
        await pilot.press("tab")
        await pilot.pause()
        assert "n_embd must be a multiple of n_head (7)" in form.row("model.n_head").problem
        assert not form.row("model.n_embd").problem, "the field that was edited is marked, and no other"
        assert form.row("training.batch_size").problem
        path, message = form.first_problem() or ("", "")
        await pilot.pause()
        assert path == "model.n_head"
        assert "n_head" in message
        assert form.app.focused is form.row("model.n_head").editor


async def test_a_mark_goes_as_soon_as_the_other_setting_resolves_the_problem() -> None:
    async with a_form() as (form, pilot, _app):
        await go_to(form, pilot, "model.n_head")
        await retype(pilot, "3")
        await go_to(form, pilot, "model.n_embd")
        assert form.row("model.n_head").problem
        await retype(pilot, "66")
        assert not form.row("model.n_head").problem


async def test_a_long_description_ends_in_an_ellipsis_and_can_be_scrolled_to_its_end() -> None:
    async with a_form() as (form, pilot, _app):
        line = form.query_one(HelpLine)
        await pick(form, pilot, "recipe", "a6-losses")
        line.styles.height = 4
        await pilot.pause()
        about = " ".join(form.recipes["a6-losses"].about.split())
        assert str(line.render()).endswith(" …")
        assert about[-20:] not in str(line.render())
        for _ in range(20):
            if not str(line.render()).endswith("…"):
                break
            await pilot.press("pagedown")
        assert str(line.render()).replace("\n", " ").endswith(about[-20:])
        await pilot.press("pagedown")
        assert not form.query_one("#recipe", Picker).has_focus_within, "at the end the key goes to the settings"


async def test_an_empty_path_is_not_marked_before_the_field_was_left() -> None:
    async with a_form() as (form, pilot, _app):
        await pick(form, pilot, "data", A_FILE)
        assert form.pickers.file_row.problem == ""
        await pilot.press("tab")
        await pilot.pause()
        assert form.pickers.file_row.problem == "Type a path"


async def test_keys_that_come_while_the_editor_is_being_made_reach_it() -> None:
    async with a_form() as (form, pilot, app):
        app.screen.set_focus(form.row("model.n_head"))
        for key in ("ctrl+u", "6", "0"):
            app.post_message(Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        await pilot.pause()
        assert form.draft.value("model.n_head") == 60


async def test_values_typed_ahead_with_tabs_between_them_reach_each_its_field() -> None:
    typed = {"n_layer": "3", "n_head": "8", "n_embd": "32", "block_size": "9", "dropout": "0.5"}
    async with a_form() as (form, pilot, app):
        await go_to(form, pilot, "model.n_layer")
        for text in typed.values():  # all at once, as they arrive where the app was busy for a while
            for key in ("ctrl+u", *text, "tab"):
                app.post_message(Key("full_stop" if key == "." else key, key if len(key) == 1 else None))
        for key in ("shift+tab", "ctrl+u", "7"):
            app.post_message(Key(key, key if len(key) == 1 else None))
        for _ in range(5):
            await pilot.pause()
        assert {name: form.draft.text(f"model.{name}") for name in typed} == typed | {"dropout": "7"}


def click(app: Host, row: FieldRow, x: int) -> None:
    """Press and release the button, as a terminal reports it; the pilot also sends the click, wherever it may land."""
    for kind in (MouseDown, MouseUp):
        left, top = row.region.x + x, row.region.y
        app.post_message(
            kind(None, left, top, 0, 0, button=1, shift=False, meta=False, ctrl=False, screen_x=left, screen_y=top)
        )


async def test_typing_in_a_list_finds_an_entry_by_its_title_or_its_name() -> None:
    async with a_form() as (form, pilot, _):
        await open_list(form, pilot, "model")
        await pilot.press(*"dcg", "enter")
        assert form.draft.family == "dcgan"
        await open_list(form, pilot, "recipe")
        await pilot.press(*"b4-h", "enter")
        assert form.draft.recipe == "b4-hierarchical"


async def test_every_model_can_be_picked_from_every_other_kind_of_data() -> None:
    async with a_form() as (form, pilot, _):
        for family in (*FAMILIES, "dcgan", "mlp"):
            await pick(form, pilot, "model", family)
            assert form.draft.family == family
            assert form.draft.problems() == {}
            assert form.draft.value("data.dataset") == {"dcgan": "digits"}.get(family, "given-names")


async def test_a_key_typed_while_the_focus_is_on_its_way_reaches_the_list() -> None:
    async with a_form() as (form, pilot, app):
        app.set_focus(None)
        app.simulate_key("tab")
        app.simulate_key("enter")
        await pilot.pause()
        await pilot.pause()
        assert form.query_one("#model", Picker).query_one(Select).expanded


async def test_a_click_enters_a_setting_and_opens_its_list_at_once() -> None:
    async with a_form() as (form, pilot, app):
        row = form.row("optimizer.kind")
        click(app, row, 25)
        await pilot.pause()
        await pilot.pause()
        assert row.query_one(Select).expanded
        await pilot.press("escape")
        form.row("model.tie_weights").focus_editor()  # which opens what it is folded in
        form.row("model.tie_weights").scroll_visible(animate=False)
        app.set_focus(None)
        await pilot.pause()
        click(app, form.row("model.tie_weights"), 25)
        await pilot.pause()
        await pilot.pause()
        assert form.draft.value("model.tie_weights") is True
        click(app, form.row("model.n_layer"), 4)
        await pilot.pause()
        await pilot.pause()
        assert app.focused is form.row("model.n_layer").editor, "its name enters it too"


async def test_the_arrows_step_a_number_through_its_own_ladder() -> None:
    async with a_form() as (form, pilot, _app):
        row = await go_to(form, pilot, "optimizer.learning_rate")
        await pilot.press("up")
        assert form.draft.value("optimizer.learning_rate") == 5e-3
        assert isinstance(row.editor, Input)
        assert row.editor.value == "5e-3"
        await pilot.press("down", "down")
        assert form.draft.value("optimizer.learning_rate") == 1e-3
        await go_to(form, pilot, "training.batch_size")
        await pilot.press("up")
        assert form.draft.value("training.batch_size") == 64


async def test_ctrl_z_brings_the_recipes_value_back() -> None:
    async with a_form() as (form, pilot, _app):
        row = await go_to(form, pilot, "model.n_embd")
        await retype(pilot, "12x")
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert isinstance(row.editor, Input)
        assert row.editor.value == "64"
        assert (row.modified, row.problem) == (False, "")


async def test_another_optimizer_swaps_the_rows_and_back_again() -> None:
    async with a_form() as (form, pilot, _app):
        await go_to(form, pilot, "optimizer.kind")
        form.row("optimizer.kind").query_one(Select).value = "sgd"
        await pilot.pause()
        paths = [row.path for row in form.listed_rows() if row.spec.section == "optimizer"]
        assert paths == [
            "optimizer.learning_rate",
            "optimizer.kind",
            "optimizer.weight_decay",
            "optimizer.momentum",
        ]
        shown = [row.path for row in form.query(FieldRow) if row.display and row.path.startswith("optimizer.")]
        assert sorted(shown) == sorted(paths)
        positions = [form.row(path).region.y for path in paths]
        assert positions == sorted(positions), "new rows stand where they belong"
        built = len(form.rows)
        form.row("optimizer.kind").query_one(Select).value = "adamw"
        await pilot.pause()
        assert len(form.rows) == built, "the old rows were kept"
        assert form.row("optimizer.beta1").display


async def test_another_model_swaps_its_settings_and_keeps_the_data() -> None:
    async with a_form() as (form, pilot, _app):
        await pick(form, pilot, "data", "python-docs")
        await pick(form, pilot, "model", "ngram")
        assert form.draft.family == "ngram"
        assert form.draft.value("data.dataset") == "python-docs"
        assert form.row("model.smoothing").display
        assert not [row for row in form.query(FieldRow) if row.display and row.path.startswith("optimizer.")]


async def test_going_back_to_a_recipe_finds_what_was_changed_there() -> None:
    async with a_form() as (form, pilot, _app):
        await go_to(form, pilot, "model.n_layer")
        await retype(pilot, "7")
        await pick(form, pilot, "recipe", "names-mlp")
        assert form.draft.family == "mlp"
        await pick(form, pilot, "recipe", "names-gpt")
        assert form.draft.value("model.n_layer") == 7
        assert form.row("model.n_layer").modified


async def test_a_file_of_ones_own_is_asked_for_by_path() -> None:
    async with a_form() as (form, pilot, app):
        await pick(form, pilot, "data", A_FILE)
        assert app.focused is form.pickers.file_row.editor
        await pilot.press("tab")
        await pilot.pause()
        assert form.first_problem() == ("data.dataset", "Type a path")
        await pilot.pause()
        await pilot.press(*"/tmp/a.txt")
        assert form.draft.value("data.dataset") == "/tmp/a.txt"
        assert form.first_problem() is None


async def test_the_help_line_follows_the_focus() -> None:
    async with a_form() as (form, pilot, _app):
        await go_to(form, pilot, "model.block_size")
        assert "Longest context the model sees." in help_text(form)
        assert "a whole number from 1 to 65536 · in tokens · recipe 16" in help_text(form)
        await go_to(form, pilot, "training.max_steps")
        assert "Steps until training ends." in help_text(form)
        assert "can change while it trains" in help_text(form)


async def test_a_switch_says_yes_or_no_in_words() -> None:
    async with a_form() as (form, pilot, _app):
        row = await go_to(form, pilot, "model.tie_weights")
        assert str(row.query_one(Toggle).render()) == "○ no"
        await pilot.press("space")
        assert str(row.query_one(Toggle).render()) == "● yes"
        await pilot.pause()
        assert form.draft.value("model.tie_weights") is True


async def test_page_down_goes_to_the_next_section() -> None:
    async with a_form() as (form, pilot, app):
        await go_to(form, pilot, "model.n_head")
        await pilot.press("pagedown")
        assert app.focused is form.row("optimizer.kind").editor
        await pilot.press("pagedown", "pageup", "pageup")
        assert app.focused is form.row("model.n_layer").editor


async def test_live_settings_are_sent_on_enter_and_only_when_they_are_right() -> None:
    async with a_form() as (form, pilot, app):
        form.show_live("names-gpt-1", Draft(shipped_recipes()["names-gpt"].tree))
        await pilot.pause()
        assert {row.spec.live for row in form.listed_rows()} == {True}
        await go_to(form, pilot, "optimizer.learning_rate")
        await retype(pilot, "-3")
        await pilot.press("enter")
        await pilot.pause()
        assert app.edits == []
        assert form.row("optimizer.learning_rate").problem
        await retype(pilot, "3e-4")
        await pilot.press("enter")
        await pilot.pause()
        assert app.edits == [("optimizer.learning_rate", 3e-4)]
        form.show_next()
        assert form.draft.value("optimizer.learning_rate") == 2e-3, "the next run's settings are its own"


def section(form: Form, title: str) -> FormSection:
    return next(section for section in form.query(FormSection) if section.title == title and section.display)


async def test_what_is_not_essential_is_folded_and_its_heading_counts_what_was_changed() -> None:
    async with a_form() as (form, pilot, app):
        data = section(form, "data preparation")
        row = form.row("data.lower_case")
        assert not row.is_on_screen
        data.heading.focus()
        await pilot.pause()
        assert "lower_case" in help_text(form)
        await pilot.press("enter")
        await pilot.pause()
        assert row.is_on_screen
        await go_to(form, pilot, "data.lower_case")
        await pilot.press("space")
        await go_to(form, pilot, "data.val_fraction")
        await retype(pilot, "7")
        data.heading.focus()
        await pilot.pause()
        assert data.heading.summary == "1 invalid"
        form.draft.reset("data.val_fraction")
        form.mark()
        assert data.heading.summary == "1 changed"
        await pilot.press("left")
        await pilot.pause()
        assert not row.is_on_screen
        assert app.focused is data.heading


async def test_a_folded_setting_that_is_wrong_is_unfolded_when_it_is_gone_to() -> None:
    async with a_form() as (form, pilot, app):
        form.draft.enter(form.row("sampling.temperature").spec, "hot")
        assert form.first_problem() == ("sampling.temperature", "takes a number from 0 to 10")
        await pilot.pause()
        assert app.focused is form.row("sampling.temperature").editor
        assert form.row("sampling.temperature").is_on_screen


async def test_every_essential_of_every_model_is_on_the_screen_at_120x36(torchtty: Any) -> None:
    async with torchtty(size=(120, 36)) as (app, pilot):
        form = app.screen.form
        for family in FAMILIES:
            form.choose_model(family)
            await pilot.pause()
            bottom = form.query_one(HelpLine).region.y
            essential = [row for row in form.listed_rows() if row.spec.essential]
            assert len(essential) >= 2
            assert {"optimizer.learning_rate", "training.batch_size", "training.max_steps", "training.seed"} <= {
                row.path for row in essential
            } or family == "ngram"
            for row in essential:
                assert row.is_on_screen, (family, row.path)
                assert row.region.bottom <= bottom, (family, row.path)
