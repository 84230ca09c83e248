"""The lens bptt: gradients written out, against autograd and against the slope of the loss."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import computed, events, loop_over

from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.events import Failed
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.lenses import bptt
from torchtty.engine.training.task import build_task

TEXT = "jumps over"


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"model__carry_state": "true", "model__n_layer": "3"},
        {"model__n_embd": "5", "model__n_layer": "2"},
        {"model__predict": "last", "model__n_embd": "3"},
        {"model__initialisation": "small"},
    ],
)
def test_gradients_by_hand_are_autograds(configured: Callable[..., Any], flags: dict[str, str]) -> None:
    task: Any = build_task(configured("rnn", **flags))
    result = computed(bptt.compute, task, {"text": TEXT})
    names = {name for name, _ in task.model.named_parameters()}
    assert {parameter["name"] for parameter in result["parameters"]} == names
    for parameter in result["parameters"]:
        assert parameter["difference"] < 1e-6
        assert parameter["by_hand"] == pytest.approx(parameter["by_autograd"], abs=1e-6)
        assert parameter["by_hand"] > 0, parameter
    assert result["loss"]["by_hand"] == pytest.approx(result["loss"]["by_autograd"], abs=1e-9)


def test_one_number_is_the_slope_of_the_loss(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("rnn"))
    result = computed(bptt.compute, task, {"text": TEXT, "parameter": "recurrence.weight_ih_l0"})
    assert result["gradient"]["name"] == "recurrence.weight_ih_l0"
    model = task.model.double()
    ids = np.array(task.data.tokenizer.encode(TEXT))
    place = (2, int(ids[3]))
    losses = []
    for step in (1e-5, -1e-5):
        network = bptt.Elman(model)
        network.weights["recurrence.weight_ih_l0"] = network.weights["recurrence.weight_ih_l0"].copy()
        network.weights["recurrence.weight_ih_l0"][place] += step
        losses.append(network.forward(ids[:-1], ids[1:]).loss)
    slope = (losses[0] - losses[1]) / 2e-5
    for way in ("by_hand", "by_autograd"):
        assert result["gradient"][way][place[0]][place[1]] == pytest.approx(slope, rel=1e-4)


def test_the_gradient_of_the_last_loss_fades_on_its_way_back(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("rnn", model__block_size="25"))
    result = computed(bptt.compute, task, {"text": "the quick brown fox jumps"})
    fading = result["fading"]
    assert len(fading) == len(result["steps"]) == 24
    assert fading[0] < 1e-3 * fading[-1]
    step = result["steps"][3]
    assert (step["token"], step["target"]) == (" ", "q")
    assert step["loss"] == pytest.approx(-np.log(step["probability"]))


def test_a_model_that_predicts_the_last_token_has_one_loss(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("rnn", model__predict="last"))
    steps = computed(bptt.compute, task, {"text": TEXT})["steps"]
    assert [step["loss"] is None for step in steps] == [True] * (len(steps) - 1) + [False]


def test_the_model_that_trains_stays_as_it_was(configured: Callable[..., Any]) -> None:
    task: Any = build_task(configured("rnn"))
    computed(bptt.compute, task, {"text": TEXT})
    assert all(parameter.grad is None and parameter.dtype.itemsize == 4 for parameter in task.model.parameters())


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_cells_with_gates_are_refused_in_one_sentence_and_not_offered_it(
    configured: Callable[..., Any], name: str
) -> None:
    configuration = configured(name)
    loop = loop_over(configuration, lambda: requests.Lens(name="bptt"), 1, 1)
    loop.train()
    refused = {event.message for event in events(loop) if isinstance(event, Failed)}
    assert refused == {"This RNN has no recurrent state without gates, which the lens bptt looks into."}
    snapshot = RunSnapshot.of(loop.writer.run)
    assert "bptt" not in [lens.name for lens in snapshot.lenses]
    assert snapshot.lens_refusal(LENSES["bptt"]) in refused
    assert not LENSES["bptt"].refusal(FAMILIES[configuration.kind]), "the family has other cells"
