"""Exporting and renaming in the app: by keyboard, at every size, with errors in place."""

import os
from pathlib import Path
from typing import Any

import pytest
from on_screen import screen_text, shows, until
from textual.app import App
from textual.widgets import Input, OptionList
from viewed_run import viewing

from torchtty import tui
from torchtty.engine.contract.exports.kinds import KINDS
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.run.export_dialog import ExportDialog
from torchtty.tui.run.view import RunView
from torchtty.tui.runs.renaming import RenameDialog
from torchtty.tui.runs.screen import RunsScreen
from torchtty.tui.runs.table import RunsTable


class Host(App[None]):
    """Shows the Runs screen as the app's modes do."""

    CSS_PATH = Path(tui.__file__).parent / "app.tcss"
    MODES = {"runs": RunsScreen}
    DEFAULT_MODE = "runs"

    @property
    def table(self) -> RunsTable:
        return self.screen.query_one(RunsTable)


@pytest.fixture
def written(write_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run that is over, with curves and no samples."""
    monkeypatch.chdir(tmp_path)
    written = write_run("mine", kind="gpt")
    written.event("ready", references={"chance": 3.3}, vocab_size=27)
    written.curve(300)
    written.status(RunState.FINISHED, step=300)
    return written


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_every_kind_is_listed_with_what_it_is_for_and_enter_writes_it(
    written: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    app = Host()
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, shows(app, "mine"))
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        await until(pilot, shows(app, "mine.csv"))
        for kind in KINDS.values():
            assert kind.name in screen_text(app)
            assert kind.about in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ExportDialog))
        assert (tmp_path / "mine.csv").read_text().startswith("step,time,tokens,train_loss")
        await until(pilot, shows(app, "Written: "))
        await pilot.press("E", "down", "down")
        await until(pilot, shows(app, "mine.svg"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ExportDialog))
        assert [name for name in os.listdir(tmp_path) if name.startswith("mine")] == ["mine.csv"]


async def test_what_cannot_be_exported_or_written_says_so_in_place(written: Any, tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(app, "mine"))
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        target = app.screen.query_one(Input)
        await pilot.press("tab")
        target.value = ""
        await pilot.press("enter")
        await until(pilot, shows(app, "Name a file or folder to write to."))
        target.value = "there.csv"
        await pilot.press("enter")
        await until(pilot, shows(app, "is there already"))
        target.value = "nowhere/mine.csv"
        await pilot.press("enter")
        await until(pilot, shows(app, "There is no folder"))
        options = app.screen.query_one(OptionList)
        options.focus()
        options.highlighted = list(KINDS).index("samples")
        await until(pilot, shows(app, "mine has no samples yet"))
        assert target.value == "nowhere/mine.csv", "what a person wrote stays"
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, ExportDialog)
        assert (tmp_path / "there.csv").read_text() == "mine"


async def test_a_view_exports_the_chart_as_it_is_looked_at(written: Any, tmp_path: Path) -> None:
    async with viewing(written.run, "train", (120, 36)) as (app, pilot):
        curves = app.screen.query_one(RunView).curves
        await until(pilot, lambda: len(curves.offered) > 2 and not curves.is_empty)
        await pilot.press("c", "c", "x")
        await until(pilot, lambda: curves.looked_at.chart == "gradient" and curves.looked_at.coordinate != "step")
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one(OptionList).highlighted = list(KINDS).index("chart-svg")
        await until(pilot, lambda: app.screen.query_one(Input).value == "mine.svg")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "mine.svg").exists())
        await until(pilot, lambda: not isinstance(app.screen, ExportDialog))
    drawn = (tmp_path / "mine.svg").read_text()
    assert "<title>gradient norm</title>" in drawn
    assert ">time</text>" in drawn


async def test_what_another_process_writes_is_written_by_the_command_and_its_errors_come_back(
    written: Any, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    async with viewing(written.run, "train", (80, 24)) as (app, pilot):
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        app.screen.query_one(OptionList).highlighted = list(KINDS).index("tensorboard")
        await until(pilot, lambda: app.screen.query_one(Input).value == "mine-tensorboard")
        written.run.metrics_path.write_bytes(b"no line")
        await pilot.press("enter")
        await until(pilot, shows(app, "has no metrics to export"))
        written.curve(100)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, ExportDialog))
    assert [path.name[:20] for path in (tmp_path / "mine-tensorboard").iterdir()] == ["events.out.tfevents."]


async def test_train_has_the_key_too_once_there_is_a_run(torchtty: Any, live_run: Any) -> None:
    run = live_run()
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: app.screen.view.run == run)
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        assert app.screen.query_one(OptionList).highlighted == list(KINDS).index("archive"), (
            "the first that it can give"
        )


async def test_m_renames_a_run_wherever_it_is_shown(torchtty: Any, written: Any, write_run: Any) -> None:
    live = write_run("alive", kind="gpt")
    live.status(RunState.RUNNING)
    write_run("taken").status(RunState.FINISHED)
    async with torchtty((80, 24)) as (app, pilot):
        train = app.screen
        train.show_run(written.run)
        await pilot.press("f3")
        await until(pilot, shows(app, "alive"))
        table = app.screen.query_one(RunsTable)
        table.move_cursor(row=list(table.shown).index("alive"))
        await pilot.press("m")
        await pilot.pause()
        assert not isinstance(app.screen, RenameDialog), "its worker writes into its folder"
        table.move_cursor(row=list(table.shown).index("mine"))
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, RenameDialog))
        for name, said in (("taken", "There is a run called taken already"), ("a b", "A run cannot be called 'a b'")):
            app.screen.query_one(Input).value = name
            await pilot.press("enter")
            await until(pilot, shows(app, said))
        app.screen.query_one(Input).value = "other"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "other" in table.shown)
        assert "mine" not in table.shown
        assert train.query_one(RunView).run.name == "other"
