"""The lens activations: against the same forward pass in numpy, and what it says of saturated and dead units."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_models import SMALL, computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.run.directory import create
from torchtty.engine.lenses import activations
from torchtty.engine.lenses.subject import Moment, set_apart
from torchtty.engine.training.checkpoint import Saved, write_checkpoint
from torchtty.engine.training.task import build_task


def looked_at(task: Any, configuration: Any, step: int = 7, run: Any = None, **options: Any) -> dict[str, Any]:
    moment = Moment(run or create(configuration), step)
    return computed(activations.compute, set_apart(task), LENSES["activations"].complete(options), moment)


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {layer["name"]: layer for layer in result["layers"]}


@pytest.fixture
def unscaled(configured: Callable[..., Any]) -> tuple[Any, Any]:
    configuration = configured("mlp", model__initialisation="unscaled", model__n_hidden="40", training__batch_size="32")
    return build_task(configuration), configuration


def hidden_by_numpy(task: Any) -> np.ndarray:
    """tanh(x W + b) (B, H) of the example batch."""
    weights = {name: value.detach().double().numpy() for name, value in task.model.named_parameters()}
    x = weights["embedding.weight"][task.example_batch()[0].numpy()].reshape(32, -1)
    return np.tanh(x @ weights["hidden.weight"].T + weights["hidden.bias"])


def test_mean_spread_saturation_and_histogram_are_those_of_numpy(unscaled: tuple[Any, Any]) -> None:
    hidden = hidden_by_numpy(unscaled[0])
    layer = by_name(looked_at(*unscaled))["activation"]
    assert layer["mean"] == pytest.approx(hidden.mean(), rel=1e-3, abs=1e-4)
    assert layer["spread"] == pytest.approx(hidden.std(), rel=1e-3)
    assert layer["saturated"] == pytest.approx((np.abs(hidden) > 0.97).mean(), abs=1e-3)
    assert layer["dead"] == pytest.approx((np.abs(hidden) > 0.97).all(0).mean(), abs=1e-3)
    reach = np.abs(hidden).max()
    counts, _ = np.histogram(hidden, activations.BINS, (-reach, reach))
    assert sum(layer["histogram"]) == hidden.size
    assert np.abs(np.array(layer["histogram"]) - counts).max() <= 1, "float32 may lie across an edge"


def test_the_map_has_the_units_by_the_examples(unscaled: tuple[Any, Any]) -> None:
    result = looked_at(*unscaled, show="map")
    assert result["layer"] == "activation", "the first that can saturate"
    assert np.allclose(np.array(result["map"]), hidden_by_numpy(unscaled[0]).T, atol=6e-3)
    assert set(result["choices"]["layer"]) == by_name(result).keys()
    with pytest.raises(UserError, match=r"There is no layer 'hiden'\. The layers are embedding"):
        looked_at(*unscaled, show="map", layer="hiden")


def test_a_unit_that_is_never_above_nought_is_dead(configured: Callable[..., Any]) -> None:
    configuration = configured("dcgan")
    task = build_task(configuration)
    with torch.no_grad():
        task.generator.layers[1].weight[0], task.generator.layers[1].bias[0] = (
            0,
            -1,
        )  # a channel of the first batch norm
    layers = by_name(looked_at(task, configuration))
    first = next(layer for name, layer in layers.items() if layer["type"] == "ReLU")
    channels = first["shape"][1]
    assert first["dead"] == pytest.approx(1 / channels, rel=1e-3)


def test_scaling_by_the_root_of_the_fan_in_keeps_the_spread(unscaled: tuple[Any, Any]) -> None:
    for row in looked_at(*unscaled, show="fan-in")["fan_in"]:
        assert row["root"] == pytest.approx(math.sqrt(row["fan_in"]), rel=1e-3)
        assert row["normal"] == pytest.approx(row["root"], rel=0.15), "a thousand examples, some hundred weights"
        assert row["scaled"] == pytest.approx(1, rel=0.15)


def test_over_time_it_knows_the_checkpoints_and_what_was_looked_at(unscaled: tuple[Any, Any]) -> None:
    task, configuration = unscaled
    run = create(configuration)
    weights = {name: value.clone() for name, value in task.weights().items()}
    small = weights | {"hidden.weight": weights["hidden.weight"] * 0.01, "hidden.bias": weights["hidden.bias"] * 0.01}
    write_checkpoint(run, Saved(5, small, task.tokenizer_json(), None, {}))
    looked_at(task, configuration, step=7, run=run)
    result = looked_at(task, configuration, step=9, run=run, show="time")
    assert (result["measure"], result["over"]["steps"]) == ("saturated", [5, 7, 9])
    (row,) = result["over"]["values"]
    assert row[0] == 0
    assert row[1] == row[2] > 0.3
    moment = Moment(run, 9)
    options = LENSES["activations"].complete({"step": 5})
    at_five = computed(activations.compute, set_apart(task), options, moment)
    assert (at_five["checkpoint"], by_name(at_five)["activation"]["saturated"]) == (5, 0)


@pytest.mark.parametrize("name", SMALL)
def test_every_network_is_measured_and_left_as_it_was(configured: Callable[..., Any], name: str) -> None:
    configuration = configured(name)
    task = build_task(configuration)
    before = {key: value.clone() for key, value in task.model.state_dict().items()}
    result = looked_at(task, configuration, show="map")
    assert result["map"]
    assert all(layer["spread"] is not None for layer in result["layers"])
    assert all(torch.equal(value, before[key]) for key, value in task.model.state_dict().items()), "batch norm too"
