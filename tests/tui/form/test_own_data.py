"""A person's own data in the form: the path is completed, what is there is shown, and red comes after leaving."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from on_screen import screen_text, until
from textual.app import App, ComposeResult
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Button, Select

from torchtty.engine.contract.paths import written_path
from torchtty.engine.contract.settings.recipes import shipped_recipes
from torchtty.tui.app import TorchttyApp
from torchtty.tui.form import completion
from torchtty.tui.form.completion import complete
from torchtty.tui.form.form import Form
from torchtty.tui.form.path_row import PathInput
from torchtty.tui.form.pickers import A_FILE, Picker


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of texts, in which the app was started."""
    folder = tmp_path / "here"
    (folder / "novels" / "old").mkdir(parents=True)
    (folder / "novel.txt").write_bytes(("È così, disse, perché no?\n" * 20).encode("latin-1"))
    (folder / "novels" / "one two.txt").write_text("\x1b[31mred\x1b[0m [bold]words[/bold]\nmore\n")
    (folder / "names.txt").write_text("anna\nbea\ncarla\n" * 10)
    monkeypatch.chdir(folder)
    return folder


@asynccontextmanager
async def asked_for_a_file() -> AsyncIterator[tuple[Form, PathInput, Pilot[None]]]:
    """The form, in which the field for a path has just been entered."""

    class Host(App[None]):
        CSS_PATH = TorchttyApp.CSS_PATH

        def compose(self) -> ComposeResult:
            yield Form(shipped_recipes(), "names-gpt")
            yield Button("elsewhere")

    async with Host().run_test(size=(50, 50)) as pilot:
        form = pilot.app.query_one(Form)
        picker = form.query_one("#data", Picker)
        picker.focus_editor()
        await until(pilot, lambda: isinstance(picker.editor, Select))
        picker.query_one(Select).value = A_FILE
        await until(pilot, lambda: isinstance(pilot.app.focused, PathInput))
        field = form.pickers.file_row.editor
        assert isinstance(field, PathInput)
        yield form, field, pilot


async def press_tab(form: Form, pilot: Pilot[None]) -> None:
    """Press tab and wait for the folder that it looks into."""
    await pilot.press("tab")
    await until(
        pilot, lambda: not any(worker.group == "complete" and worker.is_running for worker in pilot.app.workers)
    )
    await pilot.pause()


async def until_shown(form: Form, pilot: Pilot[None], part: str) -> str:
    """Wait until the preview says something; return all of it."""
    form.preview.look(form.draft)
    await until(pilot, lambda: part in str(form.preview.content))
    return str(form.preview.content)


def test_a_path_is_completed_as_a_shell_does(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".hidden").touch()
    (here / "bad\x1b[2Jname.txt").touch()
    (here / "gone").symlink_to("nowhere")
    os.mkfifo(here / "pipe")
    assert complete("").candidates == ("novels/", "names.txt", "novel.txt")
    assert complete("nov").text == "novel"
    assert complete(".hid").candidates == (".hidden",)
    assert complete("novels/").candidates == ("novels/old/", "novels/one two.txt")
    assert complete("novels/", folders_only=True).candidates == ("novels/old/",)
    assert complete(f"{here}/na").text == f"{here}/names.txt"
    assert complete("names.txt").is_whole
    assert complete("nothing/at/all").candidates == ()
    monkeypatch.setenv("HOME", str(here))
    assert complete("~").text == "~/"
    assert complete("~/nam").text == "~/names.txt"
    monkeypatch.setattr(completion, "MOST_LOOKED_AT", 2)
    assert len(complete("").candidates) <= 2


async def test_tab_completes_then_steps_through_what_it_could_be_and_then_goes_on(here: Path) -> None:
    async with asked_for_a_file() as (form, field, pilot):
        await pilot.press(*"nov")
        await press_tab(form, pilot)
        assert field.value == "novel"
        values = []
        for _ in range(3):
            await press_tab(form, pilot)
            values.append(field.value)
        assert values == ["novels/", "novel.txt", "novels/"]
        await pilot.press("slash")
        assert field.value == "novels/", "into the folder, not one slash more"
        await press_tab(form, pilot)
        assert field.value == "novels/o"
        await pilot.press("n")
        await press_tab(form, pilot)
        assert field.value == "novels/one two.txt"
        assert form.draft.value("data.dataset") == "novels/one two.txt"
        await press_tab(form, pilot)
        assert not field.has_focus


async def test_a_burst_of_keys_keeps_its_order(here: Path) -> None:
    async with asked_for_a_file() as (form, field, pilot):
        field.value = "films.csv"
        for character in "\x7f" * len(field.value) + "own.txt":
            key = {"\x7f": "backspace", ".": "full_stop"}.get(character, character)
            pilot.app.post_message(Key(key, character).set_sender(pilot.app))
        await until(pilot, lambda: field.value == "own.txt")
        await pilot.pause()
        assert (field.value, form.draft.value("data.dataset")) == ("own.txt", "own.txt")


async def test_what_can_be_chosen_and_what_is_there_is_shown_as_data(here: Path) -> None:
    async with asked_for_a_file() as (form, field, pilot):
        await until_shown(form, pilot, "novels/  names.txt  novel.txt")
        field.value = "novel.txt"
        await pilot.pause()
        text = await until_shown(form, pilot, "running text")
        for part in (
            "novel.txt  520 B · cp1252",
            "running text of 20 lines",
            "symbols 17",
            "│ È così, disse, perché no?",
        ):
            assert part in text
        form.preview.report_tokens(form.draft, {"tokens": {"train": 468, "val": 52}, "vocab_size": 16})
        assert "tokens 468 to train, 52 to validate; 16 different" in str(form.preview.content)
        field.value = "novels/one two.txt"
        await pilot.pause()
        text = await until_shown(form, pilot, "one two.txt")
        assert "│ ␛[31mred␛[0m [bold]words[/bold]" in text
        assert "tokens" not in text, "those were of another file"
        assert "\x1b" not in text
        (here / "novels" / "one two.txt").write_text("a file that changed\n")
        await until_shown(form, pilot, "│ a file that changed")
        field.value = "names.txt"
        await pilot.pause()
        await until_shown(form, pilot, "items: 30, 3 of them distinct")


async def test_the_preview_gives_way_to_the_help_of_other_fields(here: Path) -> None:
    async with asked_for_a_file() as (form, field, pilot):
        field.value = "names.txt"
        await pilot.pause()
        assert form.preview.display
        await pilot.press("enter")
        await until(pilot, lambda: not form.preview.display)
        form.query_one("#data", Picker).focus_editor()  # where one looks again
        await until(pilot, lambda: form.preview.display)


async def test_a_path_is_marked_only_once_it_is_left(here: Path) -> None:
    async with asked_for_a_file() as (form, _field, pilot):
        await pilot.press(*"nam")
        await until_shown(form, pilot, "names.txt")
        assert form.pickers.file_row.problem == ""
        await pilot.press("x")
        await until_shown(form, pilot, "There is nothing at namx.")
        await pilot.pause()
        assert form.pickers.file_row.problem == ""
        assert "data.dataset" in form.draft.problems(), "though that is known by now"
        await pilot.press("enter")
        await until(pilot, lambda: form.pickers.file_row.problem.startswith("There is nothing at namx."))


async def test_a_table_marks_its_field_where_one_is_to_be_chosen_and_shows_the_column_then(here: Path) -> None:
    (here / "people.csv").write_text("name,year\nanna,1\nbea,2\n")
    async with asked_for_a_file() as (form, field, pilot):
        field.value = "people.csv"
        await pilot.press("enter")
        await until(pilot, lambda: form.row("data.field").problem != "")
        assert "They are 'name', 'year'" in form.row("data.field").problem
        assert form.first_problem() is not None
        await pilot.pause()
        await pilot.press(*"name")
        await pilot.pause()
        assert form.first_problem() is None
        form.query_one("#data", Picker).focus_editor()
        await until(pilot, lambda: "their field 'name'" in str(form.preview.content))


async def test_a_field_goes_with_the_data_that_it_was_chosen_for(here: Path) -> None:
    (here / "people.csv").write_text("name,year\nanna,1\nbea,2\n")
    (here / "friends.csv").write_text("name,town\ncarla,Rome\ndora,Bari\n")
    async with asked_for_a_file() as (form, field, pilot):
        field.value = "people.csv"
        await pilot.pause()
        form.draft.enter(form.row("data.field").spec, "name")
        await until_shown(form, pilot, "their field 'name'")
        field.value = "friends.csv"
        await pilot.pause()
        await until_shown(form, pilot, "│ carla")
        assert form.draft.value("data.field") == "name", "it has one of that name"
        field.value = "names.txt"
        await pilot.pause()
        await until_shown(form, pilot, "items: 30, 3 of them distinct")
        assert form.draft.value("data.field") is None
        assert form.row("data.field").text == ""
        assert form.first_problem() is None
        form.draft.enter(form.row("data.field").spec, "name")
        form.preview.look(form.draft)
        await until(pilot, lambda: form.row("data.field").problem != "")
        assert form.draft.value("data.field") == "name", "it was asked for here, and that is what is wrong"
        assert list(form.draft.problems()) == ["data.field"]
        assert "data.field" not in screen_text(pilot.app)


@pytest.mark.parametrize(
    "dragged", ["'{}'", '"{}"', "file://{}", " {}\n", "{}"], ids=["quoted", "double", "address", "blanks", "plain"]
)
async def test_a_file_that_is_dragged_in_is_taken_without_its_wrapping(dragged: str, here: Path) -> None:
    path = here / "novels" / "one two.txt"
    written = str(path).replace(" ", "%20") if dragged.startswith("file:") else str(path)
    async with asked_for_a_file() as (form, field, pilot):
        field.post_message(Paste(dragged.format(written)))
        await pilot.pause()
        assert field.value == str(path)
        field.value = f"'{path}'"
        await pilot.press("enter")
        await pilot.pause()
        assert form.draft.portable()["data"]["dataset"] == str(path)


def test_a_shells_backslashes_are_taken_off_and_an_apostrophe_is_left(here: Path) -> None:
    (here / "it's.txt").touch()
    assert written_path("novels/one\\ two.txt") == "novels/one two.txt"
    assert written_path("it's.txt") == "it's.txt"
    assert written_path("'it'\\''s.txt'") == "it's.txt"
    assert written_path("two words") == "two words"
