"""What a sweep amounts to before it starts."""

import pytest

from torchtty.engine.contract.experiments.outlook import outlook
from torchtty.engine.contract.experiments.sweep import define
from torchtty.engine.contract.settings.recipes import recipe_named

ESTIMATE = {"parameters": 1000, "memory": 50_000, "seconds_per_step": 0.1}
STEPS = {"training.max_steps": "100"}


def of(workers: int = 2, estimate: dict | None = ESTIMATE, **texts: str):
    given = {path.replace("__", "."): text for path, text in texts.items()}
    return outlook(define(recipe_named("names-mlp").tree, STEPS | given), estimate, workers)


def test_seeds_are_one_model_and_take_at_most_the_time_of_one_after_the_other() -> None:
    found = of(training__seed="1..10")
    assert (found.runs, found.steps, found.models, found.at_once) == (10, 1000, 1, 1)
    assert (found.seconds, found.is_bound) == (pytest.approx(100.0), True)
    assert found.memory == 10 * 50_000


def test_shapes_are_models_side_by_side_and_the_last_to_end_counts() -> None:
    found = of(model__n_hidden="8,16,24")
    assert (found.models, found.at_once, found.is_bound) == (3, 2, False)
    assert found.seconds == pytest.approx(20.0)  # two on one hand, one on the other
    assert of(workers=9, model__n_hidden="8,16,24").seconds == pytest.approx(10.0)
    assert found.memory == 2 * 50_000


def test_what_was_not_measured_is_not_known() -> None:
    found = of(estimate=None, training__seed="1..10")
    assert (found.seconds, found.memory, found.disk) == (None, None, None)


def test_the_disk_holds_three_checkpoints_of_each_run_with_what_the_optimizer_remembers() -> None:
    one, more = of(training__seed="1,2").disk, of(training__seed="1,2", training__checkpoint_interval="10").disk
    assert one is not None
    assert more is not None
    remembered = 0  # by plain SGD
    assert more - one == 2 * 2 * 1000 * 4 * (1 + remembered)


def test_the_kind_of_the_recipe_keeps_its_values_and_the_others_begin_with_their_own() -> None:
    sweep = define(recipe_named("names-mlp").tree, {"optimizer.kind": "sgd,adam", "optimizer.weight_decay": "0.5"})
    sgd, adam = (one.tree()["optimizer"] for one in sweep.variation.configurations(sweep.tree))
    assert (sgd["kind"], sgd["learning_rate"]) == ("sgd", recipe_named("names-mlp").tree["optimizer"]["learning_rate"])
    assert (adam["kind"], adam["learning_rate"]) == ("adam", 1e-3)
    assert sgd["weight_decay"] == adam["weight_decay"] == 0.5
