"""Reproducing recipes: what is held against what, and a real run of it."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.experiments.runner import Reproduction, fallback_plan, plan_for
from torchtty.engine.contract.experiments.verdict import TrainedRun, Verdict, judge, unjudged
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.contract.settings.recipes import Recipe, Reference, shipped_recipes
from torchtty.tui.cli.reproduce import cells, markdown

TREE = starting_tree("mlp")
RECIPE = Recipe("b2-mlp", "A network", "About it.", TREE)


def written(*losses: float, at: int = 10) -> RunDirectory:
    """A run that measured these validation losses, ten steps apart."""
    run = create(parse(TREE))
    run.metrics_path.write_bytes(
        b"".join(json_line({"step": at * number, "val_loss": loss}) for number, loss in enumerate(losses, 1))
    )
    return run


def ended(run: RunDirectory, state: RunState = RunState.FINISHED, tree: Any = TREE) -> TrainedRun:
    run.write_status(run.written_status().model_copy(update={"state": state}))
    return TrainedRun(run, tree)


def verdict(reference: Reference, *runs: RunDirectory, state: RunState = RunState.FINISHED) -> Any:
    return judge(RECIPE, [reference], [ended(run, state) for run in runs], 1.0)[0]


def test_the_last_value_is_compared_with_a_figure_without_a_step() -> None:
    row = verdict(Reference("val_loss", "the course", value=1.85, spread=0.05), written(3.0, 1.88))
    assert (row.ours, row.verdict) == (1.88, Verdict.AGREES)
    assert row.difference == pytest.approx(0.03)


def test_the_value_at_its_step_is_compared_with_a_figure_with_one() -> None:
    reference = Reference("val_loss", "the course", value=3.0, spread=0.1, step=10)
    assert verdict(reference, written(3.0, 1.0)).verdict is Verdict.AGREES
    assert (
        verdict(Reference("val_loss", "x", value=3.0, spread=0.1, step=15), written(3.0, 1.0)).verdict
        is Verdict.MISSING
    )


@pytest.mark.parametrize(
    ("loss", "expected"), [(1.79, Verdict.AGREES), (1.81, Verdict.DIFFERS), (math.inf, Verdict.DIFFERS)]
)
def test_a_bound_is_a_bound(loss: float, expected: Verdict) -> None:
    assert verdict(Reference("val_loss", "x", value=1.75, at_most=1.80), written(loss)).verdict is expected


def test_one_spike_among_the_seeds_does_not_decide() -> None:
    runs = [written(loss) for loss in (0.21, 0.22, 0.46)]
    row = verdict(Reference("val_loss", "x", value=0.21, spread=0.02), *runs)
    assert (row.ours, row.low, row.high, row.runs, row.verdict) == (0.22, 0.21, 0.46, 3, Verdict.AGREES)


def test_a_run_that_failed_is_a_failure_whatever_it_measured() -> None:
    row = verdict(Reference("val_loss", "x", value=1.0, spread=9.0), written(1.0), state=RunState.FAILED)
    assert row.verdict is Verdict.FAILED
    assert row.verdict.is_failure


def test_a_figure_of_some_runs_of_a_grid_is_compared_with_those_only() -> None:
    reference = Reference("val_loss", "x", value=1.0, spread=0.1, where={"model.n_hidden": 5})
    small = {**TREE, "model": TREE["model"] | {"n_hidden": 5}}
    rows = judge(RECIPE, [reference], [ended(written(9.0)), ended(written(1.05), tree=small)], 1.0)
    assert (rows[0].ours, rows[0].runs) == (1.05, 1)


def test_a_step_that_was_repeated_after_a_resume_counts_once() -> None:
    run = written(3.0, 2.0)
    with run.metrics_path.open("ab") as file:  # resumed from step 10
        file.write(json_line({"step": 20, "val_loss": 1.5}))
    assert verdict(Reference("val_loss", "x", value=1.5, spread=0.01, step=20), run).verdict is Verdict.AGREES


def test_the_short_form_of_a_recipe_has_runs_and_figures_of_its_own() -> None:
    recipe = shipped_recipes()["b1-bigram-counts"]
    full, quick = plan_for(recipe, quick=False), plan_for(recipe, quick=True)
    assert full.references == recipe.references
    assert recipe.quick is not None
    assert quick.references == recipe.quick.references
    assert quick.trees == recipe.runs(quick=True)


def test_a_fallback_is_planned_without_figures() -> None:
    recipes = shipped_recipes()
    another = fallback_plan(recipes["a5-gpt2"], quick=True)
    assert another is not None
    assert (another.recipe.name, another.references) == ("a5-gpt2-untrained", ())
    same = fallback_plan(recipes["b8-dcgan"], quick=True)
    assert same is not None
    assert {tree["data"]["dataset"] for tree in same.trees} == {"digits"}
    assert (same.recipe.name, same.about) == ("b8-dcgan", "runs to its end on digits")
    assert fallback_plan(recipes["names-gpt"], quick=True) is None


def test_figures_of_a_recipe_whose_fallback_ran_are_shown_and_not_judged() -> None:
    figure = Reference("val_loss", "the course", value=1.85, spread=0.05)
    ran, open_ = unjudged(RECIPE, [figure], "runs to its end on digits", 1, 2.0)
    assert (ran.about, ran.verdict) == ("runs to its end on digits", Verdict.AGREES)
    assert (open_.about, open_.reference, open_.ours) == ("val_loss at the end", 1.85, None)
    assert open_.verdict is Verdict.NOT_JUDGED
    assert not open_.verdict.is_failure


def test_a_count_is_written_in_full() -> None:
    figure = Reference("parameters", "counted", value=6_342_272)
    run = written(1.0)
    run.write_status(run.written_status().model_copy(update={"parameters": 6_342_272}))
    assert cells(verdict(figure, run))[1:4] == ("parameters", "6,342,272", "6,342,272")
    assert cells(verdict(Reference("val_loss", "x", value=1.0, spread=0.5), written(1.0)))[2:4] == ("1 ± 0.5", "1.0000")


def test_markdown_keeps_its_columns_whatever_a_note_says() -> None:
    row = verdict(Reference("val_loss", "x", value=1.0, spread=0.1), written(1.0))
    text = markdown([Reproduction(RECIPE, (row,), "a | b\x1b[31m")])
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {8}
    assert "\x1b" not in text


def reproduced(recipe: str, mirror: Path, tmp_path: Path) -> dict[str, Any]:
    """Run the command on one recipe, short, and return what it says of it as JSON."""
    names = {"RUNS": "runs", "STATE": "state", "DATA": "data"}
    environment = os.environ | {f"TORCHTTY_{name}": str(tmp_path / folder) for name, folder in names.items()}
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "torchtty.tui.main", "reproduce", recipe, "--quick", "--json"],
        env=environment | {"TORCHTTY_MIRROR": str(mirror)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "Traceback" not in answer.stderr
    assert list((tmp_path / "runs" / "reproductions").glob("*/report.md"))
    found: dict[str, Any] = json.loads(answer.stdout)["recipes"][0]
    return found


def test_counting_reproduces_its_figure_from_the_command_line(corpora: Path, tmp_path: Path) -> None:
    [row] = reproduced("b1-bigram-counts", corpora, tmp_path)["rows"]
    assert (row["verdict"], row["runs"]) == ("agrees", 2)
    assert [round(row[which], 4) for which in ("low", "high")] == [2.4540, 2.4546]


def test_without_the_published_weights_the_fallback_runs_and_no_figure_is_judged(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = reproduced("a5-gpt2", tmp_path / "empty", tmp_path)
    assert [(row["about"], row["verdict"]) for row in found["rows"]] == [
        ("a5-gpt2-untrained runs to its end", "agrees"),
        ("parameters", "not judged"),
    ]
    assert found["note"].startswith("a5-gpt2-untrained ran instead, since The mirror ")
