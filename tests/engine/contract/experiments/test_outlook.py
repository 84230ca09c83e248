"""What a sweep amounts to before it starts."""

from pathlib import Path

import pytest
from written_run import WrittenRun

from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.outlook import BESIDE_WEIGHTS, outlook
from torchtty.engine.contract.experiments.sweep import define
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse
from torchtty.engine.contract.settings.recipes import recipe_named

ESTIMATE = {"parameters": 1000, "memory": 50_000, "seconds_per_step": 0.1}
STEPS = {"training.max_steps": "100"}


def of(workers: int = 2, estimate: dict | None = ESTIMATE, **texts: str):
    given = {path.replace("__", "."): text for path, text in texts.items()}
    return outlook(define(recipe_named("names-mlp").tree, STEPS | given), estimate, workers)


def test_seeds_are_a_model_a_core_and_take_at_most_the_time_of_one_after_the_other() -> None:
    found = of(1, training__seed="1..10")
    assert (found.runs, found.steps, found.models, found.at_once) == (10, 1000, 1, 1)
    assert (found.seconds, found.is_bound, found.how) == (pytest.approx(100.0), True, "one batched model")
    assert found.memory == 10 * 50_000
    found = of(3, training__seed="1..10")
    assert (found.models, found.at_once, found.how) == (3, 3, "3 batched models at once")
    assert (found.seconds, found.is_bound) == (pytest.approx(40.0), True)
    assert found.memory == 10 * 50_000
    found = of(16, training__seed="1..10")
    assert (found.models, found.is_bound, found.how) == (10, False, "10 models at once")
    assert found.seconds == pytest.approx(10.0)


def test_shapes_are_models_side_by_side_and_the_last_to_end_counts() -> None:
    found = of(model__n_hidden="8,16,24")
    assert (found.models, found.at_once, found.is_bound, found.how) == (3, 2, False, "3 models, 2 at once")
    assert found.seconds == pytest.approx(20.0)  # two on one hand, one on the other
    assert of(workers=9, model__n_hidden="8,16,24").seconds == pytest.approx(10.0)
    assert found.memory == 2 * 50_000
    late = of(estimate=ESTIMATE | {"seconds_to_warm_up": 5.0}, model__n_hidden="8,16,24")
    assert late.seconds == pytest.approx(25.0)


def test_what_was_not_measured_is_not_known() -> None:
    found = of(estimate=None, training__seed="1..10")
    assert (found.seconds, found.memory, found.disk) == (None, None, None)


def test_the_disk_holds_three_checkpoints_of_each_run_with_what_the_optimizer_remembers() -> None:
    one, more = of(training__seed="1,2").disk, of(training__seed="1,2", training__checkpoint_interval="10").disk
    assert one is not None
    assert more is not None
    remembered = 0  # by plain SGD
    assert more - one == 2 * 2 * (1000 * 4 * (1 + remembered) + BESIDE_WEIGHTS)


def test_the_kind_of_the_recipe_keeps_its_values_and_the_others_begin_with_their_own() -> None:
    sweep = define(recipe_named("names-mlp").tree, {"optimizer.kind": "sgd,adam", "optimizer.weight_decay": "0.5"})
    sgd, adam = (one.tree()["optimizer"] for one in sweep.variation.configurations(sweep.tree))
    assert (sgd["kind"], sgd["learning_rate"]) == ("sgd", recipe_named("names-mlp").tree["optimizer"]["learning_rate"])
    assert (adam["kind"], adam["learning_rate"]) == ("adam", 1e-3)
    assert sgd["weight_decay"] == adam["weight_decay"] == 0.5


def test_what_a_batch_saves_is_what_the_last_sweep_of_the_family_timed(own_folders: Path) -> None:
    sweep = define(recipe_named("names-mlp").tree, {"training.seed": "1,2"})
    group = create_group(sweep.tree, sweep.variation, root=own_folders)
    first = WrittenRun(group.runs()[0])
    first.event("backend", backend="batched", timings={"batched": 0.002, "one by one": 0.01})
    assert of(training__seed="1..10").is_bound, "a group of who knows which machine"
    WrittenRun(group.directory).status(RunState.FINISHED)
    found = of(1, training__seed="1..10")
    assert (found.seconds, found.is_bound) == (pytest.approx(20.0), False)
    assert of(training__seed="1..10").seconds == pytest.approx(10.0), "a core has five of them"
    assert of(1, training__seed="1,2,3").seconds == pytest.approx(10.0), "no batch is quicker than a run alone"
    assert of(model__n_hidden="8,16,24").seconds == pytest.approx(20.0), "nothing is batched"


def test_where_nothing_can_be_timed_the_last_run_of_the_model_on_such_a_device_counts(own_folders: Path) -> None:
    on_gpu = {"parameters": 1000, "memory": 50_000, "device": "cuda:1"}
    texts = {"model__n_hidden": "200,300"}
    assert of(estimate=on_gpu, workers=1, **texts).seconds is None
    tree = recipe_named("names-mlp").tree
    for device, seconds in (("cuda:0", 8.0), ("cpu", 100.0)):
        run = WrittenRun(create(parse(tree), root=own_folders))
        run.status(RunState.FINISHED, step=1000, seconds=seconds, device=device)
    assert of(estimate=on_gpu, workers=1, **texts).seconds == pytest.approx(2 * 100 * 0.008)
