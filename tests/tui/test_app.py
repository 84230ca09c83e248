"""The shell: modes, help, palette, themes, keys, quitting, and terminals that are too small."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from on_screen import screen_text, until
from textual.widgets import Select, Static
from written_run import WrittenRun

from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.gpus import Load
from torchtty.engine.contract.run.requests import Stop, collect
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree
from torchtty.tui.app import CHOICES, TorchttyApp
from torchtty.tui.run.view import RunView
from torchtty.tui.shell.gauges import GIB, Reading
from torchtty.tui.shell.help import KeysHelp
from torchtty.tui.shell.key_bar import KeyBar
from torchtty.tui.shell.preferences import keys_path
from torchtty.tui.shell.quit import QuitDialog
from torchtty.tui.shell.too_small import TooSmall
from torchtty.tui.train.screen import TrainScreen


def test_importing_the_app_brings_neither_torch_nor_pydantic() -> None:
    code = "import sys, torchtty.tui.app; print(*sorted({'torch', 'pydantic', 'plotext', 'psutil', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_whole_app_with_its_form_and_run_view_leaves_torch_alone() -> None:
    code = (
        "import sys, torchtty.tui.app, torchtty.tui.train.screen, torchtty.tui.form.form, torchtty.tui.run.view,"
        " torchtty.tui.runs.screen, torchtty.tui.workers;"
        "print(*sorted({'torch', 'torchvision', 'tiktoken', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def shown_keys(app: Any) -> str:
    return str(app.screen.query_one(KeyBar).render())


async def test_the_keys_at_the_bottom_are_those_of_the_place(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        assert "^t train" in shown_keys(app)
        assert "step" not in shown_keys(app)
        app.screen.form.row("model.n_layer").focus_editor()
        await pilot.pause()
        assert "↑↓ step" in shown_keys(app)
        assert "^z reset" in shown_keys(app)
        app.screen.form.row("sampling.prompt").focus_editor()
        await pilot.pause()
        assert "step" not in shown_keys(app)
        assert "f1 help" in shown_keys(app)


async def test_a_click_on_a_key_does_what_the_key_does(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        at = shown_keys(app).index("f1 help")
        await pilot.click(KeyBar, offset=(at + 1, 0))
        await pilot.pause()
        assert isinstance(app.screen, KeysHelp)


@pytest.mark.parametrize("key", ["f1", "question_mark"])
async def test_help_lists_the_keys_of_the_focused_place(torchtty: Any, key: str) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press(key)
        text = str(app.screen.query_one("#keys-help VerticalScroll Static", Static).content)
        assert "Start training with these settings" in text
        assert "Leave torchtty" in text
        await pilot.press("escape")
        assert isinstance(app.screen, TrainScreen)


async def test_modes_are_switched_by_key_and_by_mouse_and_keep_their_state(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        train = app.screen
        await pilot.press("f3")
        await pilot.pause()
        assert app.current_mode == "runs"
        assert "f2 train" in shown_keys(app)
        assert "f3" not in shown_keys(app)
        await pilot.click("ModeTab")
        await pilot.pause()
        assert app.screen is train


async def test_a_chosen_theme_is_remembered(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        assert app.theme == "lantern"
        app.theme = "nord"
        await pilot.pause()
    async with torchtty() as (app, pilot):
        assert app.theme == "nord"


@pytest.mark.parametrize("folder", ["config", "state"])
async def test_keys_can_be_changed_in_a_file(torchtty: Any, tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "keys.toml").write_text('"train.start" = "f5"\n')
    assert (
        keys_path().parent == tmp_path / folder
    )  # the help shows the file that is read, also the one of earlier versions
    async with torchtty() as (app, pilot):
        assert "f5 train" in shown_keys(app)
        await pilot.press("f5")
        await pilot.pause(0.2)
        assert app.screen.view.run is not None


async def test_a_broken_file_of_keys_is_told_and_the_usual_keys_hold(torchtty: Any, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "keys.toml").write_text('"train.start" = "f5"\n')
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "keys.toml").write_text("[[[")
    async with torchtty() as (app, _pilot):
        assert "keys.toml cannot be read" in app.told[0]
        assert "^t train" in shown_keys(app)


async def test_every_action_of_the_place_and_every_run_is_in_the_palette(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty() as (app, _pilot):
        titles = [command.title for command in app.get_system_commands(app.screen)]
        for wanted in ("Start training with these settings", "Theme", "Runs", "Leave torchtty", "Open run names-gpt-1"):
            assert wanted in titles


@pytest.mark.parametrize(("what", "title"), CHOICES.items())
async def test_the_palette_opens_what_a_run_begins_with_also_from_another_mode(
    torchtty: Any, what: str, title: str
) -> None:
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: app.screen.is_furnished)
        await pilot.press("ctrl+o", "f3")
        await pilot.pause()
        [command] = [one for one in app.get_system_commands(app.screen) if one.title == title]
        command.callback()
        await until(
            pilot, lambda: any(select.expanded for select in app.screen.query(f"#{what} Select").results(Select))
        )


async def test_a_terminal_that_is_too_small_says_so_and_recovers(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        await pilot.resize_terminal(20, 5)
        await pilot.pause()
        assert isinstance(app.screen, TooSmall)
        assert "20x5 is too small" in str(app.screen.query_one(Static).content)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert isinstance(app.screen, TrainScreen)
        assert app.focused.id == "start"


async def test_a_reading_of_the_machine_that_comes_while_the_app_closes_is_dropped(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("ctrl+q")
    assert not app.screen_stack
    app.on_torchtty_app_gauged(TorchttyApp.Gauged(Reading(cpu=12.0, memory_used=0, memory_total=GIB)))
    assert app.return_code == 0


def test_a_reading_leaves_out_what_does_not_fit() -> None:
    reading = Reading(12.0, 5 * GIB, 23 * GIB)
    assert [reading.text(room) for room in (24, 23, 8, 7)] == [
        "cpu 12 %  mem 5.0/23 GB",
        "cpu 12 %  mem 5.0/23 GB",
        "cpu 12 %",
        "",
    ]
    there = replace(reading, device="cuda:0", gpu=Load(80 * GIB, 77 * GIB, 41.0, 62, 213.7))
    assert [there.text(room) for room in (40, 31, 30, 20, 10)] == [
        "cuda:0 41 % 3.0/80 GB 62 °C 214 W",
        "cuda:0 41 % 3.0/80 GB 62 °C",
        "cuda:0 41 % 3.0/80 GB 62 °C",
        "41 % 3.0/80 GB",
        "41 %",
    ]


async def test_the_gauge_follows_the_gpu_of_the_run_on_the_screen(torchtty: Any, write_run: Any) -> None:
    uuid = "GPU-02000000-0000-0000-0000-000000000000"
    written = write_run()
    written.status(RunState.RUNNING, device="cuda:1", gpu=uuid)
    reading = Reading(12.0, 0, GIB, "cuda:0", Load(80 * GIB, 77 * GIB, 41.0, 62, 213.7))
    async with torchtty((120, 36)) as (app, pilot):
        await until(pilot, lambda: any(view.snapshot is not None for view in app.screen.query(RunView)))
        app.post_message(TorchttyApp.Gauged(reading))
        await until(pilot, lambda: app._gauges.watched == ("cuda:1", uuid))
        assert "cuda:0 41 % 3.0/80 GB 62 °C 214 W  cpu 12 %" in str(app.screen.query_one("#gauges").render())
        written.status(RunState.FINISHED, device="cuda:1", gpu=uuid)
        await until(pilot, lambda: not app.screen.query_one(RunView).snapshot.is_live)
        app.post_message(TorchttyApp.Gauged(reading))
        await until(pilot, lambda: app._gauges.watched is None)


async def test_leaving_without_a_run_asks_nothing(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("ctrl+q")
        await pilot.pause(0.2)
        assert app.return_code == 0
        assert not app.is_running


@pytest.mark.parametrize(
    ("keys", "leaves", "stops"),
    [
        (["enter"], True, False),
        (["l"], True, False),
        (["right", "enter"], True, True),
        (["s"], True, True),
        (["escape"], False, False),
        (["right", "right", "enter"], False, False),
    ],
)
async def test_leaving_while_a_run_trains_offers_to_leave_it_to_stop_it_or_to_stay(
    torchtty: Any, live_run: Any, keys: list[str], leaves: bool, stops: bool
) -> None:
    run = live_run()
    async with torchtty() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        assert app.focused.id == "leave", "the harmless choice is the one at hand"
        await pilot.press(*keys)
        await pilot.pause(0.3)
        assert app.is_running is not leaves
    assert [type(command) for command in collect(run.inbox)] == ([Stop] if stops else [])


async def test_a_sweep_is_stopped_as_one_when_the_app_is_left(torchtty: Any, own_folders: Path) -> None:
    group = create_group(starting_tree("mlp"), Variation({"training.seed": (1, 2)}), root=own_folders, name="seeds")
    for directory in (group.directory, *group.runs()):
        WrittenRun(directory).status()
    async with torchtty() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, QuitDialog))
        assert "seeds (2 runs) is still training." in screen_text(app)
        await pilot.press("s")
        await until(pilot, lambda: not app.is_running)
    assert [type(command) for command in collect(group.directory.inbox)] == [Stop]
    assert [list(collect(run.inbox)) for run in group.runs()] == [[], []]
