"""Races: one budget for models of all kinds, bits per character, and what each model has bought over the one before."""

from math import log
from pathlib import Path

import pytest
from written_race import entrant, written_race
from written_run import WrittenRun

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.entrants import (
    create_race,
    every_family,
    of_recipes,
    with_settings,
    within,
)
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.lifecycle import sweep_of
from torchtty.engine.contract.experiments.race import BITS, Budget, BudgetKind, Race, bits_per_character
from torchtty.engine.contract.experiments.results import read_results
from torchtty.engine.contract.experiments.standings import race_verdict, standings
from torchtty.engine.contract.experiments.summaries import tables_of
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.recipes import shipped_recipes

MINUTE, TERA = Budget(BudgetKind.SECONDS, 60), Budget(BudgetKind.FLOPS, 1e12)


def test_every_family_that_learns_texts_from_nothing_takes_part() -> None:
    names = [one.name for one in every_family("python-docs")]
    assert {"ngram", "mlp", "rnn", "gpt"} <= set(names)
    assert not {"gpt2", "dcgan"} & set(names)
    assert all(one.tree["data"]["dataset"] == "python-docs" for one in every_family("python-docs"))


def test_a_budget_of_seconds_alone_ends_a_run() -> None:
    tree = within(entrant("gpt", seconds_per_step=0.03), MINUTE)
    training = tree["training"]
    assert training["max_seconds"] == 60
    assert training["max_steps"] >= 1000 * 60 / 0.03
    assert training["eval_interval"] == training["checkpoint_interval"] == round(2000 / 16)
    assert training["eval_batches"] == 0
    assert tree["schedule"] == {"kind": "constant"}


def test_a_budget_of_steps_or_flops_is_so_many_steps_with_the_models_own_schedule() -> None:
    recipe = entrant("gpt", flops_per_step=3e9)
    assert within(recipe, TERA)["training"]["max_steps"] == 333
    tree = within(recipe, Budget(BudgetKind.STEPS, 40))
    assert tree["training"]["max_steps"] == 40
    assert tree["training"]["max_seconds"] is None
    assert tree["schedule"] == recipe.tree["schedule"]


def test_rules_that_would_end_a_run_before_its_budget_are_lifted() -> None:
    patient = with_settings([entrant("mlp")], {"training.patience": "2", "training.target_loss": "3"})
    training = within(patient[0], Budget(BudgetKind.STEPS, 40))["training"]
    assert training["patience"] is training["target_loss"] is None


def test_a_budget_below_one_step_is_refused_and_what_multiplies_nothing_keeps_its_steps() -> None:
    with pytest.raises(UserError, match="gpt cannot do a step of 3e12 FLOPs with 1e12 FLOPs"):
        within(entrant("gpt", flops_per_step=3e12), TERA)
    table = entrant("bigram")
    assert within(table, TERA)["training"]["max_steps"] == table.tree["training"]["max_steps"]
    assert within(entrant("ngram"), MINUTE) == entrant("ngram").tree


@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf"), 0.5])
def test_a_budget_of_nothing_is_none(amount: float) -> None:
    with pytest.raises(UserError, match="a number of steps above 0"):
        Budget(BudgetKind.STEPS, amount)


def test_recipes_race_on_one_text_prepared_alike() -> None:
    known = shipped_recipes()
    found = of_recipes("python-docs", [known["names-mlp"], known["python-docs-gpt"]])
    assert [one.recipe for one in found] == ["names-mlp", "python-docs-gpt"]
    assert found[0].tree["data"] == found[1].tree["data"] == known["python-docs-gpt"].tree["data"]
    assert of_recipes("given-names", [known["python-docs-gpt"]])[0].tree["data"]["lower_case"] is False
    with pytest.raises(UserError, match="digits-dcgan cannot be raced"):
        of_recipes("digits", [known["digits-dcgan"]])


def test_a_setting_holds_for_the_models_that_have_it_and_one_that_none_has_is_refused() -> None:
    both = [entrant("ngram"), entrant("gpt")]
    given = with_settings(both, {"model.n_layer": "1", "training.seed": "7"})
    assert "n_layer" not in given[0].tree["model"]
    assert given[1].tree["model"]["n_layer"] == 1
    assert [one.tree["training"]["seed"] for one in given] == [7, 7]
    with pytest.raises(UserError, match=r"--model\.n_hats is not a setting of any"):
        with_settings(both, {"model.n_hats": "1"})


def test_bits_per_character_are_the_same_for_tokens_of_any_length() -> None:
    assert bits_per_character(log(2), 1.0) == pytest.approx(1)
    letters, pairs = bits_per_character(log(8), 1.0), bits_per_character(log(64), 2.0)
    assert letters == pytest.approx(pairs) == pytest.approx(3)


@pytest.fixture
def race(own_folders: Path) -> RunGroup:
    return written_race(own_folders)


def test_a_race_is_a_group_whose_runs_are_called_after_their_models(race: RunGroup) -> None:
    assert race.name == "given-names-race-1"
    assert [run.name.removeprefix(race.name) for run in race.runs()] == ["-ngram", "-mlp", "-gpt"]
    assert race.race() == Race("given-names", Budget(BudgetKind.STEPS, 100), {"ngram": 0.0, "mlp": 1e6, "gpt": 1e9})
    assert all(run.meta()["group"] == race.name for run in race.runs())
    with pytest.raises(UserError, match="is a race"):
        sweep_of(race)


def test_models_stand_from_the_weakest_on_with_what_each_has_bought(race: RunGroup) -> None:
    found = standings(read_results(race))
    assert [one.name for one in found] == ["ngram", "mlp", "gpt"]
    assert [one.bits for one in found] == pytest.approx([3.5, 3.25, 3.0])
    assert [one.bought for one in found] == pytest.approx([0.5, 0.25, 0.25])
    assert [one.flops for one in found] == [0.0, 1e8, 1e11]
    assert race_verdict(read_results(race)).startswith("gpt needs 3.000 bits per character, 0.2500 fewer than mlp")


def test_the_table_begins_with_chance_and_ends_with_the_strongest(race: RunGroup) -> None:
    [table] = tables_of(read_results(race))
    assert [row[0] for row in table.rows] == ["chance", "ngram", "mlp", "gpt"]
    assert table.rows[0][5] == pytest.approx(4)
    assert table.rows[3][1:5] == (1000, 100, 5.0, "1e11")
    assert "given-names, 100 steps each" in table.title


def test_a_model_without_a_result_stands_last_and_any_metric_can_be_tabulated(race: RunGroup) -> None:
    run = race.runs()[1]
    writer = WrittenRun(run)
    run.metrics_path.unlink()
    writer.status(RunState.RUNNING, step=3, max_steps=100)
    found = read_results(race)
    assert found.metric == BITS
    assert [(one.name, one.bits is None) for one in standings(found)] == [
        ("ngram", False),
        ("gpt", False),
        ("mlp", True),
    ]
    assert "validation loss" in tables_of(found, metric="val_loss")[0].title


def test_a_race_of_seconds_reaches_as_far_as_its_runs_have_come(own_folders: Path) -> None:
    group = create_race([entrant("rnn"), entrant("mlp")], MINUTE, "given-names", root=own_folders)
    for run, step in zip(group.runs(), (700, 40), strict=True):
        WrittenRun(run).status(RunState.RUNNING, step=step, max_steps=10**8)
    assert read_results(group).last_step == 700
