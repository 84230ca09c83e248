"""The Experiments screen: groups that were written without a worker, looked at through a pilot."""

import re
from pathlib import Path

import pytest
from on_screen import until
from textual.widgets import Input
from written_run import WrittenRun

from torchtty.engine.contract.experiments.group import RunGroup, create_group, find_group
from torchtty.engine.contract.experiments.statistics import Spread
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree
from torchtty.engine.contract.settings.recipes import recipe_named
from torchtty.tui.charts.colours import scale_for
from torchtty.tui.charts.style import PLAIN
from torchtty.tui.experiments.dialogs import LineDialog
from torchtty.tui.experiments.fan import Fan
from torchtty.tui.experiments.figure_view import ResultView
from torchtty.tui.experiments.matrix import Matrix, MatrixCell, MatrixColumn
from torchtty.tui.experiments.screen import ExperimentsScreen
from torchtty.tui.shell.dialog import DeleteDialog

RATE, SEED = "optimizer.learning_rate", "training.seed"


def text_of(screen: ExperimentsScreen) -> str:
    return "\n".join(strip.text for strip in screen._compositor.render_strips())


@pytest.fixture
def rates(own_folders: Path) -> RunGroup:
    """Two rates by three seeds, all finished."""
    group = create_group(
        starting_tree("mlp"), Variation({RATE: (0.1, 0.01), SEED: (1, 2, 3)}), root=own_folders, name="rates"
    )
    for run, planned in zip(group.runs(), group.planned(), strict=True):
        last = 10 * planned.settings[RATE] + 0.01 * planned.settings[SEED]
        writer = WrittenRun(run)
        writer.metrics({"step": 0, "val_loss": 3.0}, {"step": 25, "val_loss": 2.0}, {"step": 50, "val_loss": last})
        writer.status(RunState.FINISHED, step=50, max_steps=50)
    group.directory.write_status(group.status().model_copy(update={"state": RunState.FINISHED}))
    return group


async def test_without_groups_the_reason_and_the_next_step_are_said(torchtty, own_folders: Path) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "no group of runs yet" in text_of(app.screen))
        assert "--training.seed 1..10" in text_of(app.screen)


async def test_a_group_is_seen_as_fan_and_matrix_and_compared_with_its_noise(torchtty, rates: RunGroup) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        view = app.screen.query_one(ResultView) if app.screen.query(ResultView) else None
        await until(pilot, lambda: isinstance(app.screen.query_one(ResultView).figure, Fan))
        view = app.screen.query_one(ResultView)
        await until(pilot, lambda: "n 3" in text_of(app.screen))
        assert "learning_rate 0.01 1.020" not in text_of(app.screen)
        assert "more than the noise" in " ".join(text_of(app.screen).replace("▕", "").split())
        await pilot.press("2")
        await until(pilot, lambda: isinstance(view.figure, Matrix))
        await until(pilot, lambda: "± 0.0100" in text_of(app.screen))
        assert view.figure.cells[0][0].spread.values == pytest.approx((0.11, 0.12, 0.13))


async def test_new_points_of_a_run_appear_while_it_trains(torchtty, rates: RunGroup) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("f5", "2")
        await until(pilot, lambda: app.screen.results is not None and isinstance(app.screen.view.figure, Matrix))
        WrittenRun(rates.runs()[3]).metrics({"step": 60, "val_loss": 0.5})
        await until(pilot, lambda: "0.2500" in text_of(app.screen))  # the mean of 0.5, 0.12 and 0.13


async def test_the_best_setting_goes_to_the_form(torchtty, rates: RunGroup) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: app.screen.results is not None and bool(app.screen.results.metrics))
        await pilot.press("u")
        await until(pilot, lambda: app.current_mode == "train")
        await until(pilot, lambda: app.screen.form.draft.tree["optimizer"]["learning_rate"] == 0.01)


async def test_a_matrix_has_a_column_for_every_moment_of_the_recipes_figures(torchtty, own_folders: Path) -> None:
    recipe = recipe_named("a1-next-word")
    group = create_group(recipe.tree, Variation({SEED: (1, 2)}), root=own_folders, name="words", recipe="a1-next-word")
    for run, last in zip(group.runs(), (0.26, 0.27), strict=True):
        points = {0: 2.3, 650: 0.3, 3250: 0.28, 13_000: last}
        writer = WrittenRun(run)
        writer.metrics(*({"step": step, "train_eval_loss": value} for step, value in points.items()))
        writer.status(RunState.FINISHED, step=13_000, max_steps=13_000)
    async with torchtty() as (app, pilot):
        await pilot.press("f5", "2")
        await until(pilot, lambda: app.screen.results is not None and isinstance(app.screen.view.figure, Matrix))
        figure = app.screen.view.figure
        assert [column.name for column in figure.columns] == ["0", "50", "250", "1,000"]
        assert [cell.value for cell in figure.cells[1]] == [2.3, 0.3, 0.28, 0.27]
        await until(pilot, lambda: "0.2600 ★" in text_of(app.screen))
        assert "epochs 0, 50, 250, 1,000" in text_of(app.screen)
        await pilot.press("t")  # the end alone
        await until(pilot, lambda: len(app.screen.view.figure.columns) == 1)
        await pilot.press("t", "t", "t", "t", "t", "t")  # the best, the four moments, and all of them again
        await until(pilot, lambda: len(app.screen.view.figure.columns) == 4)


async def test_the_tables_are_written_to_a_file_by_its_ending(
    torchtty, rates: RunGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: app.screen.results is not None and bool(app.screen.results.metrics))
        experiments = app.screen
        for name, first in (
            ("", "**rates: validation loss"),
            (f"{tmp_path}/t.csv", "learning_rate,last"),
            ("t.tex", "\\begin{table}"),
        ):
            await pilot.press("E")
            await until(pilot, lambda: isinstance(app.screen, LineDialog))
            field = app.screen.query_one(Input)
            assert field.value == ("rates.md" if not name else "rates-2.md")
            field.value = name or field.value
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is experiments)
            assert (tmp_path / (name or "rates.md")).read_text().startswith(first)
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        for name, said in (("t.doc", "The ending says how"), ("t.csv", "is there already"), ("no/t.md", "no folder")):
            app.screen.query_one(Input).value = name
            await pilot.press("enter")
            await until(pilot, lambda said=said: said in " ".join(text_of(app.screen).replace("▕", "").split()))
        await pilot.press("escape")


async def test_a_group_is_renamed_and_deleted_as_one(torchtty, rates: RunGroup, own_folders: Path) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: app.screen.results is not None and bool(app.screen.results.metrics))
        experiments = app.screen
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        app.screen.query_one(Input).value = "speeds"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is experiments and experiments.results.name == "speeds")
        assert len(find_group("speeds", own_folders).runs()) == 6
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, DeleteDialog))
        await pilot.press("y")
        await until(pilot, lambda: experiments.results is None)
        assert list(own_folders.iterdir()) == []


async def test_a_sweep_is_composed_anew_with_several_values_in_the_form(torchtty, rates: RunGroup) -> None:
    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: app.screen.results is not None and bool(app.screen.results.metrics))
        await pilot.press("n")
        await until(pilot, lambda: app.current_mode == "train")
        await until(pilot, lambda: app.screen.form.draft.several == {RATE: (0.1, 0.01), SEED: (1, 2, 3)})


async def test_the_table_is_of_the_chosen_moment_and_says_the_conclusion_once(torchtty, rates: RunGroup) -> None:
    for run in rates.runs():
        WrittenRun(run).metrics({"step": 60, "val_loss": 4.0})
    async with torchtty() as (app, pilot):
        await pilot.press("f5", "6")
        await until(pilot, lambda: "learning_rate  last" in text_of(app.screen))
        await pilot.press("t")
        await until(pilot, lambda: "learning_rate  best" in text_of(app.screen))
        assert "validation loss, at its lowest" in text_of(app.screen)
        assert "0.1200" in text_of(app.screen)
        assert " ".join(text_of(app.screen).replace("▕", "").split()).count("more than the noise of the seeds") == 1


async def test_a_group_that_trains_speaks_of_what_is_so_far(torchtty, rates: RunGroup) -> None:
    for run in rates.runs():
        run.metrics_path.unlink()
        WrittenRun(run).status(RunState.RUNNING, step=1, max_steps=50)
    for run, value in zip((rates.runs()[0], rates.runs()[3]), (2.5, 2.4), strict=True):
        WrittenRun(run).metrics({"step": 0, "val_loss": value})
    rates.directory.write_status(rates.status().model_copy(update={"state": RunState.RUNNING}))
    async with torchtty() as (app, pilot):
        await pilot.press("f5")
        await until(
            pilot, lambda: "once more of them have results" in " ".join(text_of(app.screen).replace("▕", "").split())
        )
        assert "validation loss, so far" in text_of(app.screen)
        assert "6 runs" in text_of(app.screen)
        assert "0 over" not in text_of(app.screen)
        assert "train several seeds" not in text_of(app.screen)


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (60, ["stable from step 30", "not stable"]),
        (28, ["stable 30", "not stable"]),
        (26, ["s … stable from", "s 30", "s –"]),
    ],
)
def test_all_cells_of_a_matrix_say_when_they_are_stable_or_none_does(width: int, said: list[str]) -> None:
    forms = (("stable from step 30", "stable 30", "s 30"), ("not stable", "not stable", "s –"))
    cells = tuple(MatrixCell((), Spread((value,)), (), stable) for value, stable in zip((1.0, 2.0), forms, strict=True))
    columns = tuple(MatrixColumn(name, "", scale_for([[1.0, 2.0]])) for name in "ab")
    drawn = Matrix((cells,), ("r",), columns, "x", "y", "loss").draw(width, 12, None, PLAIN)
    text = "\n".join("".join(part for part, _ in line) for line in drawn.lines)
    assert re.findall(r"s … stable from|(?:not )?stable(?: from step)?(?: 30)?|\bs (?:30|–)", text) == said


def test_a_narrow_matrix_says_under_its_cursor_when_a_cell_is_stable() -> None:
    cell = MatrixCell(
        (),
        Spread((0.228,)),
        ("course 0.238 ± 0.014", "course 0.238", "(0.238)"),
        ("stable from epoch 179", "stable 179", "s 179"),
    )
    column = MatrixColumn("500", "n_layer 1, epoch 500", scale_for([[1.0, 2.0]]))
    matrix = Matrix(((cell,),), ("1",), (column,), "block_size", "epoch", "loss")
    read = {
        width: "".join(part for part, _ in matrix.draw(width, 12, (0, 0), PLAIN).lines[0]) for width in (120, 78, 60)
    }
    assert read[120] == "block_size 1, n_layer 1, epoch 500  0.2280  course 0.238 ± 0.014  stable from epoch 179"
    assert read[78] == "block_size 1, n_layer 1, epoch 500  0.2280  course 0.238  stable 179"
    assert read[60].endswith("(0.238)  stable 179")
