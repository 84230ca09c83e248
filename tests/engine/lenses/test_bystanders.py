"""Training goes on as if nobody had looked: to the bit, with every lens, on every family that it looks into."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_models import SMALL, events, loop_over

from torchtty.engine.contract.lenses import LENSES, lenses_for
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.events import Answered, Failed
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import Configuration

STEPS = 20


def lenses_of(configuration: Configuration) -> list[str]:
    """The lenses that look into a small model."""
    return [lens.name for lens in lenses_for(FAMILIES[configuration.kind], configuration.model)]


@pytest.mark.parametrize("name", [*SMALL, "ngram"])
def test_training_is_the_same_to_the_bit(configured: Callable[..., Any], name: str) -> None:
    dropout = {"model__dropout": "0.2"} if name in ("transformer", "gpt") else {}
    every_step = {"training__max_steps": str(STEPS), "training__log_interval": "1", "sampling__interval": "0"}
    flags = every_step | {"training__checkpoint_interval": "8"} if name != "ngram" else {}
    configuration = configured(name, **flags, **dropout)
    lenses = lenses_of(configuration)
    curves, weights, states = [], [], []
    for every in (0, 1):
        asked = itertools.cycle(lenses)
        loop = loop_over(configuration, lambda: requests.Lens(name=next(asked)), every, STEPS)  # noqa: B023
        assert loop.train() is RunState.FINISHED
        found = events(loop)
        failed = [event.message for event in found if isinstance(event, Failed)]
        assert not failed
        answered = sum(isinstance(event, Answered) and event.request == "lens" for event in found)
        assert answered >= min(len(lenses), STEPS if name != "ngram" else 1) * every
        rows = JsonLinesTail(loop.writer.run.metrics_path).read()
        curves.append([{name: row[name] for name in row.keys() - {"time", "steps_per_second"}} for row in rows])
        weights.append(loop.task.weights())
        states.append(torch.get_rng_state())
    assert curves[0] == curves[1]
    assert len(curves[0]) >= (STEPS if name != "ngram" else 1)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert torch.equal(*states)


@pytest.mark.parametrize("name", [*SMALL, "ngram"])
def test_every_lens_looks_into_a_run_that_is_over_and_has_let_its_training_go(
    configured: Callable[..., Any], name: str
) -> None:
    flags = {"training__max_steps": "4", "sampling__interval": "0"} if name != "ngram" else {}
    configuration = configured(name, **flags)
    loop = loop_over(configuration, lambda: requests.Lens(name=""), 0, 4 if name != "ngram" else 1)
    assert loop.train() is RunState.FINISHED
    assert loop.forget_training()
    lenses = lenses_of(configuration)
    for lens in lenses:
        loop.writer.run.send(requests.Lens(name=lens))
    loop.requests.obey_all()
    found = [event for event in events(loop) if getattr(event, "request", "") == "lens"]
    assert [event.message for event in found if isinstance(event, Failed)] == []
    assert sum(isinstance(event, Answered) for event in found) == len(lenses)


@pytest.mark.parametrize("name", ["mlp", "rnn", "gpt", "dcgan"])
def test_weights_that_are_no_numbers_are_refused_in_a_sentence_and_what_needs_none_is_shown(
    configured: Callable[..., Any], name: str
) -> None:
    configuration = configured(name, training__max_steps="1", sampling__interval="0")
    loop = loop_over(configuration, lambda: requests.Lens(name=""), 0, 1)
    torch.nn.init.constant_(next(iter(loop.task.model.parameters())), math.nan)  # type: ignore[attr-defined]
    lenses = lenses_of(configuration)
    for lens in lenses:
        loop.writer.run.send(requests.Lens(name=lens))
    loop.requests.obey_all()
    found = [event for event in events(loop) if getattr(event, "request", "") == "lens"]
    refused = {event.message for event in found if isinstance(event, Failed)}
    assert len(refused) == 1
    assert "Look into an earlier checkpoint" in refused.pop()
    answered = sum(isinstance(event, Answered) for event in found)
    assert answered == sum(not LENSES[lens].reads_weights for lens in lenses) > 0
