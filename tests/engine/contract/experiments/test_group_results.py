"""What a group has come to: read from the files of its runs, laid out as tables, and exported."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import pytest
from tests.written_run import WrittenRun

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.comparison import ranked, verdict, which_mattered
from torchtty.engine.contract.experiments.curves import band
from torchtty.engine.contract.experiments.group import RunGroup, create_group
from torchtty.engine.contract.experiments.results import BEST, Results, ResultsReader, read_results
from torchtty.engine.contract.experiments.summaries import by_step, changes, matrix, tables_of
from torchtty.engine.contract.experiments.tables import FORMATS, Table, written
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_value
from torchtty.engine.contract.settings.recipes import recipe_named

SEED, RATE, HIDDEN = "training.seed", "optimizer.learning_rate", "model.n_hidden"


def group_of(root: Path, values: dict, **named) -> RunGroup:
    return create_group(starting_tree("mlp"), Variation(values), root=root, name="g", **named)


def log(group: RunGroup, name: str, *rows: tuple[int, float], state: RunState = RunState.FINISHED, **fields) -> None:
    """Write a validation loss."""
    run = next(run for run in group.runs() if run.name == name)
    writer = WrittenRun(run)
    writer.metrics(*({"step": step, "time": step / 10, "tokens": step, "val_loss": value} for step, value in rows))
    writer.status(state, **fields)


@pytest.fixture
def seeds(tmp_path: Path) -> RunGroup:
    """Five seeds: three finished, one that diverged, one that failed."""
    group = group_of(tmp_path, {SEED: (1, 2, 3, 4, 5)})
    for seed, (first, last) in enumerate([(3.0, 1.0), (3.5, 1.5), (4.0, 1.1)], 1):
        log(group, f"g-seed-{seed}", (0, first), (10, 0.9), (20, last))
    log(group, "g-seed-4", (0, 3.0), (10, math.nan), state=RunState.FAILED, message="no number any more")
    log(group, "g-seed-5", (0, 2.0), state=RunState.FAILED, message="no memory")
    return group


def test_runs_that_diverged_or_failed_are_counted_and_are_in_no_mean(seeds: RunGroup) -> None:
    found = read_results(seeds)
    spread = found.spread(found.members, "val_loss")
    assert (spread.values, spread.diverged, spread.failed) == ((1.0, 1.5, 1.1), 1, 1)
    assert [member.state for member in found.members[2:]] == ["finished", "diverged", "failed"]
    assert found.spread(found.members, "val_loss", 0).values == (3.0, 3.5, 4.0, 3.0, 2.0)
    assert found.spread(found.members, "val_loss", BEST).values == (0.9, 0.9, 0.9)
    notes = " ".join(note for table in tables_of(found) for note in table.notes)
    assert "Of 5 runs 1 diverged, 1 failed" in notes


def test_losses_by_step_have_mean_sd_and_changes(seeds: RunGroup) -> None:
    found = read_results(seeds)
    table = by_step(found, "val_loss", [0, 10, 20])
    assert table.headings == ("step", "seed 1", "seed 2", "seed 3", "seed 4", "seed 5", "mean", "sd")
    assert table.rows[2] == (20, 1.0, 1.5, 1.1, None, None, fmean([1.0, 1.5, 1.1]), stdev([1.0, 1.5, 1.1]))
    moved = changes(found, "val_loss", [0, 10, 20])
    assert moved.rows[0][:4] == (10, pytest.approx(-2.1), pytest.approx(-2.6), pytest.approx(-3.1))
    assert moved.rows[0][6] == pytest.approx(-2.6)


def test_a_reader_takes_in_what_is_new_and_forgets_what_a_resumed_run_undid(seeds: RunGroup) -> None:
    reader = ResultsReader(seeds)
    assert reader.read().members[0].value("val_loss") == 1.0
    log(seeds, "g-seed-1", (30, 0.7))
    assert reader.read().members[0].curves["val_loss"].until(None) == [(0, 3.0), (10, 0.9), (20, 1.0), (30, 0.7)]
    log(seeds, "g-seed-1", (20, 0.8))  # it went on from a checkpoint at 10
    assert reader.read().members[0].curves["val_loss"].until(None) == [(0, 3.0), (10, 0.9), (20, 0.8)]


def test_a_deleted_run_leaves_its_place(seeds: RunGroup) -> None:
    run = seeds.runs()[0]
    for path in sorted(run.path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    run.path.rmdir()
    found = read_results(seeds)
    assert [member.state for member in found.members][:2] == ["deleted", "finished"]
    assert found.spread(found.members, "val_loss").failed == 2


def grid(tmp_path: Path) -> Results:
    """Learning rate 0.1, 0.01 x hidden 10, 20 x seeds 1, 2, 3; the rate makes 1.0 of difference, hidden nothing, seeds 0.1."""
    group = group_of(tmp_path, {RATE: (0.1, 0.01), HIDDEN: (10, 20), SEED: (1, 2, 3)})
    for planned in group.planned():
        value = (2.0 if planned.settings[RATE] == 0.1 else 1.0) + 0.1 * planned.settings[SEED]
        log(group, planned.name, (0, 3.0), (20, value))
    return read_results(group)


def test_a_matrix_takes_rows_and_columns_of_any_setting(tmp_path: Path) -> None:
    table = matrix(grid(tmp_path), RATE, [HIDDEN], "val_loss", [20])
    assert table.headings == ("learning_rate", "n_hidden 10", "n_hidden 20")
    assert table.rows == (("0.01", "1.200 ± 0.1000", "1.200 ± 0.1000"), ("0.1", "2.200 ± 0.1000", "2.200 ± 0.1000"))
    moments = matrix(grid_of(tmp_path), HIDDEN, [], "val_loss", [0, 20])
    assert moments.headings == ("n_hidden", "step 0", "step 20")


def grid_of(tmp_path: Path) -> Results:
    return read_results(RunGroup(tmp_path / "g"))


def test_the_settings_are_ranked_and_compared_with_the_noise(tmp_path: Path) -> None:
    found = grid(tmp_path)
    order = ranked(found, "val_loss")
    assert [dict(entry.setting)[RATE] for entry in order] == [0.01, 0.01, 0.1, 0.1]
    assert order[0].spread.values == pytest.approx((1.1, 1.2, 1.3))
    assert "The lowest of 4 settings and the next" in verdict(found, "val_loss")
    assert "are equal so far" in verdict(found, "val_loss"), "1.2 each"


def test_what_mattered_is_the_share_of_the_variance_between_values(tmp_path: Path) -> None:
    rate, hidden = which_mattered(grid(tmp_path), "val_loss")
    # between the rates: 12 x 0.5^2 = 3; within: 4 cells x 2 x 0.1^2 = 0.08
    assert (rate.name, rate.share, rate.by_chance) == ("learning_rate", pytest.approx(3 / 3.08), 1 / 11)
    assert (hidden.name, hidden.share) == ("n_hidden", pytest.approx(0.0, abs=1e-12))
    assert [(name, pytest.approx(mean), runs) for name, mean, runs in rate.groups] == [
        ("0.01", 1.2, 6),
        ("0.1", 2.2, 6),
    ]


def test_many_values_of_a_number_are_cut_into_four_groups_by_rank(tmp_path: Path) -> None:
    rates = tuple(0.01 * (at + 1) for at in range(8))
    group = group_of(tmp_path, {RATE: rates})
    for planned in group.planned():
        log(group, planned.name, (20, 1.0 if planned.settings[RATE] > 0.045 else 0.0))
    [found] = which_mattered(read_results(group), "val_loss")
    assert [mean for _, mean, _ in found.groups] == [0.0, 0.0, 1.0, 1.0]
    assert (found.share, found.by_chance) == (1.0, 3 / 7)


def test_a_band_is_the_mean_and_the_sd_of_the_curves_there(seeds: RunGroup) -> None:
    found = read_results(seeds)
    points = band([member.curves["val_loss"] for member in found.members[:3]], 50)
    assert [point.step for point in points] == [0, 10, 20]
    assert (points[2].mean, points[2].sd, points[2].n) == (fmean([1.0, 1.5, 1.1]), stdev([1.0, 1.5, 1.1]), 3)
    halved = band([found.members[0].curves["val_loss"]], 2)
    assert [(point.step, point.mean) for point in halved] == [(0, 3.0), (20, 0.95)]


def decays(root: Path, **more: tuple) -> RunGroup:
    """The runs of the grid of layers against context, as curves that decay the more slowly the more context there is."""
    recipe = recipe_named("a2-rnn-grid")
    group = create_group(recipe.tree, Variation({**recipe.grid, **more}), root=root, name="a2", recipe=recipe.name)
    for planned in group.planned():
        run = WrittenRun(next(run for run in group.runs() if run.name == planned.name))
        decay, end = 8.0 * planned.settings["model.block_size"], planned.settings.get("training.max_steps", 500)
        run.metrics(*({"step": step, "train_loss": 2.0 * math.exp(-step / decay)} for step in range(end + 1)))
        run.metrics(*({"step": at, "train_eval_loss": 2.0 * math.exp(-at / decay)} for at in range(0, end + 1, 5)))
        run.status(RunState.FINISHED, step=end)
    return group


def test_a_recipes_figures_stand_beside_and_epochs_are_counted(tmp_path: Path) -> None:
    group = decays(tmp_path)
    table = tables_of(read_results(group))[0]
    assert table.headings[:4] == ("block_size", *(f"n_layer 1 · epoch {epoch}" for epoch in (5, 50, 500)))
    assert [row[0] for row in table.rows[:3]] == ["1", "  course", "  stabilised"]
    assert table.rows[0][1:4] == tuple(2.0 * math.exp(-step / 8.0) for step in (5, 50, 500))
    assert table.rows[1][1:] == (
        "2.194 ± 0.05", "1.07 ± 0.1", "0.238 ± 0.014", "2.257 ± 0.05", "0.938 ± 0.1", "0.237 ± 0.014",
    )  # fmt: skip
    # 2 exp(-t / 8) is within 5 % of its fall after 8 ln 20 = 23.97 epochs; a curve of 5 epochs is too short to say
    assert table.rows[2][1:4] == (None, 24, 24)
    assert table.rows[8][1:4] == (None, "not yet", 72)  # 24 ln 20 = 71.9
    assert any(note.startswith("18 cells of 6 runs") for note in table.notes)


def test_the_same_cells_come_of_a_run_for_each_length(tmp_path: Path) -> None:
    (tmp_path / "six").mkdir()
    long = tables_of(read_results(decays(tmp_path / "six")))[0]
    every = tables_of(read_results(decays(tmp_path, **{"training.max_steps": (5, 50, 500)})))[0]
    assert every.headings[1:4] == tuple(f"n_layer 1, max_steps {steps}" for steps in (5, 50, 500))
    assert every.rows == long.rows
    assert not any("cells of" in note for note in every.notes)


def test_a_rate_that_is_planned_to_the_end_passes_through_no_shorter_run(tmp_path: Path) -> None:
    group = decays(tmp_path)
    found = read_results(group)
    cosine = [replace(member, tree={**member.tree, "schedule": {"kind": "cosine"}}) for member in found.members]
    table = tables_of(replace(found, members=tuple(cosine)))[0]
    assert not any("cells of" in note for note in table.notes)


def test_a_figure_of_the_recipes_end_stands_beside_no_other_step(tmp_path: Path) -> None:
    recipe = recipe_named("a1-next-word")
    for steps, figures in ((13_000, ["2.315 ± 0.075", "0.25498 ± 0.032"]), (6_500, ["2.315 ± 0.075", None])):
        tree = with_value(recipe.tree, "training.max_steps", steps)
        group = create_group(tree, Variation({SEED: (1, 2)}), root=tmp_path, name=f"a1-{steps}", recipe=recipe.name)
        for run in group.runs():
            WrittenRun(run).metrics({"step": 0, "train_eval_loss": 2.3}, {"step": steps, "train_eval_loss": 0.26})
        table = by_step(read_results(group), "train_eval_loss", [0, steps])
        assert [row[-1] for row in table.rows] == figures


def test_tables_are_written_in_every_format() -> None:
    table = Table("a_b", ("name", "value"), (("x|y & z_1", 0.25), ("=1+1", None)), ("50 % off",))
    assert FORMATS["md"]([table]).splitlines()[2:] == [
        "| name | value |", "|---|---|", r"| x\|y & z_1 | 0.2500 |", "| =1+1 | – |", "", "- 50 % off",
    ]  # fmt: skip
    assert list(csv.reader(io.StringIO(FORMATS["csv"]([table])))) == [
        ["name", "value"],
        ["x|y & z_1", "0.25"],
        ["'=1+1", ""],
    ]
    latex = FORMATS["latex"]([table])
    assert r"x|y \& z\_1 & 0.2500 \\" in latex
    assert r"\caption{a\_b}" in latex


def test_control_characters_reach_no_file() -> None:
    table = Table("t\x1b[2J", ("a\x1b]0;x\x07",), (("b\x1b[31m",),), ("c\x1b",))
    assert not any("\x1b" in write([table]) or "\x07" in write([table]) for write in FORMATS.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (0.12345678, "0.1235"), (2.5, "2.500"), (31.25, "31.25"), (-0.5, "−0.5000"), (4.4e-5, "4.4e-5"),
     (math.nan, "–"), (math.inf, "∞"), (12345.6, "12,346")],
)  # fmt: skip
def test_values_are_written_alike(value: float, text: str) -> None:
    assert written(value) == text


def test_what_cannot_be_shown_is_said(seeds: RunGroup, tmp_path: Path) -> None:
    found = read_results(seeds)
    with pytest.raises(UserError, match=r"no metric 'x'\. It has val_loss"):
        tables_of(found, metric="x")
    with pytest.raises(UserError, match="do not differ in 'n_hidden', but in seed"):
        tables_of(found, rows="n_hidden")
    (tmp_path / "empty").mkdir()
    empty = create_group(starting_tree("mlp"), Variation({SEED: (1, 2)}), root=tmp_path / "empty", name="e")
    with pytest.raises(UserError, match="no results yet"):
        tables_of(read_results(empty))


def test_a_group_file_that_is_broken_has_no_members(seeds: RunGroup) -> None:
    seeds.about_path.write_text(json.dumps({"runs": [{"name": "../x", "settings": {}}, 3]}))
    assert all(not member.exists for member in read_results(seeds).members)
