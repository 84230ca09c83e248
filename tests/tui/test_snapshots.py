"""How the app looks: the screens a person sees first and most, at two sizes."""

from typing import Any

import pytest
from on_screen import until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from torchtty.tui.app import TorchttyApp
from torchtty.tui.form.form import Form
from torchtty.tui.form.row import FieldRow
from torchtty.tui.shell import gauges
from torchtty.tui.train.screen import TrainScreen


async def ready(pilot: Pilot[Any]) -> None:
    """Wait for the form."""
    await until(pilot, lambda: isinstance(pilot.app.screen, TrainScreen) and pilot.app.screen.is_furnished)
    await pilot.pause()


async def enter(pilot: Pilot[Any], row: FieldRow) -> None:
    """Enter a setting, with a cursor that does not blink."""
    row.focus_editor()
    await pilot.pause()
    row.query_one(Input).cursor_blink = False


async def with_errors(pilot: Pilot[Any]) -> None:
    """Change one setting, make two wrong, and look at a third."""
    await ready(pilot)
    form = pilot.app.screen.query_one(Form)
    for path, text in (("model.n_layer", "5"), ("model.n_head", "7"), ("model.block_size", "huge")):
        await enter(pilot, form.row(path))
        await pilot.press("ctrl+u", *text)
    await enter(pilot, form.row("model.dropout"))
    line = pilot.app.screen.query_one("#estimate", Static)
    while "2 invalid settings" not in str(line.content):
        await pilot.pause(0.02)
    await pilot.pause()


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "INTERVAL", 3600.0)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=["80x24", "160x48"])
def test_the_first_screen(snap_compare: Any, cold_pool: Any, size: tuple[int, int]) -> None:
    assert snap_compare(TorchttyApp(cold_pool), terminal_size=size, run_before=ready)


def test_changed_and_wrong_settings_at_160x48(snap_compare: Any, cold_pool: Any) -> None:
    assert snap_compare(TorchttyApp(cold_pool), terminal_size=(160, 48), run_before=with_errors)
