"""The Train screen: what starts a run, what is refused, and what is on the screen at which size."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from on_screen import until
from textual.widgets import Input, Static
from written_run import WrittenRun

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.directory import list_runs
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree
from torchtty.tui.app import TorchttyApp
from torchtty.tui.train.screen import TrainScreen
from torchtty.tui.train.start_line import estimate_line
from torchtty.tui.workers import WorkerPool


def train(app: Any) -> TrainScreen:
    screen = app.screen
    assert isinstance(screen, TrainScreen)
    return screen


async def test_one_key_starts_a_run_with_the_edited_values(torchtty: Any, own_folders: Path) -> None:
    async with torchtty() as (app, pilot):
        train(app).form.row("model.n_layer").focus_editor()
        await pilot.press("ctrl+u", "5", "ctrl+t")
        await until(pilot, lambda: app.pool.handed)
        [(run, mode)] = app.pool.handed
        assert mode is Mode.TRAIN
        assert run.name == "names-gpt-1"
        assert run.path.parent == own_folders
        assert run.configuration().tree()["model"]["n_layer"] == 5
        assert run.meta()["recipe"] == "names-gpt"
        await until(pilot, lambda: train(app).view.run == run)


async def test_enter_starts_it_too_since_the_train_button_has_the_focus(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        assert app.focused.id == "start"
        await pilot.press("enter")
        await until(pilot, lambda: app.pool.handed)


async def test_the_key_counts_even_before_the_form_is_there(cold_pool: Any) -> None:
    app = TorchttyApp(cold_pool)
    async with app.run_test(size=(120, 40)) as pilot:
        app.screen.action_start()
        await until(pilot, lambda: app.pool.handed)


async def test_a_wrong_setting_is_named_and_focused_and_nothing_starts(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        form = train(app).form
        form.row("model.n_head").focus_editor()
        await pilot.press("ctrl+u", "7", "ctrl+t")
        await pilot.pause()
        assert app.focused is form.row("model.n_head").editor
        assert app.told == ["model.n_embd must be a multiple of n_head (7), such as 63 or 70"]
        assert list_runs() == []


async def test_f8_goes_to_the_first_invalid_setting(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        form = train(app).form
        for path in ("training.batch_size", "model.n_head"):
            row = form.row(path)
            row.focus_editor()
            await until(pilot, lambda row=row: row.has_focus_within)
            await pilot.press("ctrl+u", "0")
            await until(pilot, lambda row=row: row.editor.value == "0")
        form.pickers.query_one("#model").focus_editor()
        line = app.screen.query_one("#estimate", Static)
        await until(pilot, lambda: str(line.content) == "2 invalid settings (F8: first)")
        await pilot.press("f8")
        await pilot.pause()
        assert app.focused is form.row("model.n_head").editor
        await pilot.press("ctrl+u", "4")
        await until(pilot, lambda: str(line.content) == "1 invalid setting (F8 goes to it)")
        await pilot.press("f8")
        await pilot.pause()
        assert app.focused is form.row("training.batch_size").editor


async def test_a_word_of_patience_that_comes_late_does_not_hide_what_is_wrong(torchtty: Any) -> None:
    async with torchtty() as (app, pilot):
        form, start_line = train(app).form, train(app).start_line
        await until(pilot, lambda: start_line._patience is not None)
        form.draft.enter(form.row("model.n_head").spec, "0")
        start_line.ask(form.draft, None)
        start_line._ask_for_patience()  # as when its timer had ticked before it was stopped
        await pilot.pause()
        line = app.screen.query_one("#estimate", Static)
        assert str(line.content) == "1 invalid setting (F8 goes to it)"


async def test_a_runs_folder_that_cannot_be_written_is_told_and_the_app_stays(
    torchtty: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCHTTY_RUNS", str(tmp_path / "file"))
    async with torchtty() as (app, pilot):
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.told)
        assert "Cannot create a run" in app.told[0]


async def test_a_run_that_still_trains_is_attached_to_at_the_start(torchtty: Any, live_run: Any) -> None:
    run = live_run()
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: train(app).view.run == run)
        assert app.told == ["Attached to names-gpt-1, still training."]


async def test_of_a_sweep_the_run_that_trains_is_attached_to_not_the_newest_which_waits(
    torchtty: Any, own_folders: Path
) -> None:
    group = create_group(starting_tree("mlp"), Variation({"training.seed": (1, 2)}), root=own_folders, name="seeds")
    for run, state in zip(group.runs(), (RunState.RUNNING, RunState.QUEUED), strict=True):
        WrittenRun(run).status(state)
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: train(app).view.run == group.runs()[0])
        assert app.told == ["Attached to seeds-seed-1, still training. f5 shows its sweep seeds."]


async def test_at_80_columns_the_form_is_a_drawer_that_makes_room_for_the_run(torchtty: Any) -> None:
    async with torchtty(size=(80, 24)) as (app, pilot):
        setup = app.screen.query_one("#setup")
        assert setup.region.width == 46
        await pilot.press("ctrl+t")
        await until(pilot, lambda: not setup.display)
        assert train(app).view.region.width == 80
        await pilot.press("ctrl+o")
        await pilot.pause()
        assert setup.display
        assert train(app).view.region.width == 34


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_one_key_shows_and_hides_the_form_at_every_size(torchtty: Any, size: tuple[int, int]) -> None:
    async with torchtty(size=size) as (app, pilot):
        setup = app.screen.query_one("#setup")
        train(app).form.row("model.n_layer").focus_editor()
        await until(pilot, lambda: isinstance(app.focused, Input))
        before = app.focused
        for shown in (False, True, False, True):
            await pilot.press("ctrl+o")
            await pilot.pause()
            assert setup.display is shown
            assert train(app).view.region.width == size[0] - (46 if shown else 0)
            assert (app.focused is before) is shown


async def test_at_120_columns_form_and_run_stand_side_by_side_while_it_trains(torchtty: Any) -> None:
    async with torchtty(size=(120, 36)) as (app, pilot):
        await pilot.press("ctrl+t")
        await until(pilot, lambda: app.pool.handed)
        await pilot.pause()
        assert app.screen.query_one("#setup").display
        assert train(app).view.region.width == 74


async def test_resizing_in_the_middle_of_a_run_keeps_everything_in_its_place(torchtty: Any, live_run: Any) -> None:
    live_run()
    async with torchtty(size=(160, 48)) as (app, pilot):
        await until(pilot, lambda: train(app).view.snapshot is not None)
        for width, height in ((80, 24), (20, 5), (200, 60), (61, 16), (120, 36)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
        assert isinstance(app.screen, TrainScreen)
        assert app.screen.query_one("#setup").region.width == 46
        assert train(app).view.region.right == 120


async def test_live_settings_of_the_run_are_edited_on_their_own_page_and_sent(torchtty: Any, live_run: Any) -> None:
    run = live_run()
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: train(app).view.snapshot is not None)
        train(app).view.focus_curves()
        await pilot.press("e")
        form = train(app).form
        await until(pilot, lambda: form.live is not None)
        form.row("optimizer.learning_rate").focus_editor()
        await pilot.press("ctrl+u", *"5e-4", "enter")
        await until(pilot, lambda: list(run.inbox.iterdir()))
        [file] = run.inbox.iterdir()
        request = json.loads(file.read_text())
        assert request.pop("id")
        assert request == {"type": "edit", "path": "optimizer.learning_rate", "value": 0.0005}


async def test_the_key_that_stops_a_run_does_so_from_within_a_field_too(torchtty: Any, live_run: Any) -> None:
    run = live_run()
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: train(app).view.snapshot is not None)
        row = train(app).form.row("model.n_embd")
        row.focus_editor()
        await pilot.press("ctrl+a", "ctrl+x")
        await until(pilot, lambda: list(run.inbox.iterdir()))
        [command] = run.inbox.iterdir()
        assert '"type":"stop"' in command.read_text()
        assert row.query_one(Input).value == "64"


async def test_a_run_that_counts_has_no_live_settings_but_those_of_sampling(torchtty: Any, live_run: Any) -> None:
    live_run("names-bigram")
    async with torchtty() as (app, pilot):
        await until(pilot, lambda: train(app).view.snapshot is not None)
        train(app).view.focus_curves()
        await pilot.press("e")
        await until(pilot, lambda: train(app).form.live is not None)
        assert {row.spec.section for row in train(app).form.listed_rows()} == {"sampling"}


async def test_a_real_worker_estimates_and_trains(torchtty: Any) -> None:
    async with torchtty(pool=WorkerPool()) as (app, pilot):
        line = app.screen.query_one("#estimate", Static)
        assert str(line.content) == "warming up torch…"
        app.screen.form.choose_model("mlp")
        await until(pilot, lambda: "params" in str(line.content), 90)
        app.screen.form.choose_model("ngram")
        await pilot.press("ctrl+t")  # so soon that the worker is gone before it could be asked
        await until(pilot, lambda: (snapshot := train(app).view.snapshot) and snapshot.state is RunState.FINISHED, 60)
        run = list_runs()[0]
        assert run.name == "ngram-given-names-1"
        await until(pilot, lambda: str(line.content) == "81,608 tokens to count", 60)  # told by the next worker
    psutil.Process(run.status().pid).terminate()  # it would serve samples for a while yet


def test_an_estimate_is_rough_where_it_can_only_be_rough() -> None:
    assert (
        estimate_line({"parameters": 48637, "memory": 778_192, "seconds_per_step": 0.0024}, 5000)
        == "48,637 params · 1 MB · ≈ 12 s"
    )
    on_gpu = {"parameters": 124_439_808, "memory": 13_100_000_000, "device": "cuda:1", "memory_free": 12_500_000_000}
    assert estimate_line(on_gpu | {"fit": "fits"}, 5000) == "124 M params · 13 GB, fits cuda:1"
    assert (
        estimate_line(on_gpu | {"fit": "will not fit"}, 5000)
        == "124 M params · 13 GB, will not fit cuda:1: 12 GB are free"
    )
    tight = {"parameters": 9, "memory": 9_000_000, "device": "cpu", "memory_free": 10_000_000, "fit": "tight"}
    assert estimate_line(tight, None) == "9 params · 9 MB, tight: 10 MB are free"
    assert estimate_line({"parameters": 6_342_272}, None) == "6.34 M params"
    assert estimate_line({"parameters": 124_439_808}, None) == "124 M params"
    assert estimate_line({"parameters": 841, "vocab_size": 29}, None) == "841 params"
