"""The lens samples: at every checkpoint what a sample of that checkpoint with that seed gives."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_models import SMALL, computed

from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.run.directory import create
from torchtty.engine.lenses import samples
from torchtty.engine.lenses.subject import Moment, set_apart
from torchtty.engine.sampling.text import SampleRequest, SampleResult
from torchtty.engine.training.checkpoint import Saved, write_checkpoint
from torchtty.engine.training.task import build_task


def looked_at(task: Any, configuration: Any, run: Any = None, step: int = 0, **options: Any) -> dict[str, Any]:
    moment = Moment(run or create(configuration), step)
    return computed(samples.compute, set_apart(task), LENSES["samples"].complete(options), moment)


def test_each_step_has_its_own_texts_of_one_seed(configured: Callable[..., Any]) -> None:
    configuration = configured("mlp", optimizer__learning_rate="0.1")
    task, run = build_task(configuration), create(configuration)
    request = SampleRequest("the", 2, 30, 0.7, None, None, seed=5)
    expected = []
    for step in range(1, 31):
        task.train_step(step - 1)
        if step in (10, 20, 30):
            result = SampleResult()
            list(task.sample(request, result))
            expected.append(result.texts)
            if step < 30:
                weights = {name: value.clone() for name, value in task.weights().items()}
                write_checkpoint(run, Saved(step, weights, task.tokenizer_json(), None, {}))
    found = looked_at(task, configuration, run, 30, prompt="the", count=2, tokens=30, temperature=0.7, seed=5)
    assert found["steps"] == [10, 20, 30]
    assert found["texts"] == expected
    assert expected[0] != expected[2], "it has learnt meanwhile"
    later = looked_at(task, configuration, run, 35, prompt="the", count=2, tokens=30, temperature=0.7, seed=5)
    assert (later["steps"], later["texts"][:3]) == ([10, 20, 30, 35], expected), (
        "a moment that was looked at is remembered"
    )


@pytest.mark.parametrize("name", [*(name for name in SMALL if name != "dcgan"), "ngram"])
def test_every_model_of_text_writes(configured: Callable[..., Any], name: str) -> None:
    configuration = configured(name)
    task = build_task(configuration)
    torch.manual_seed(0)
    first, again = (looked_at(task, configuration, tokens=8, count=3) for _ in range(2))
    assert first == again
    assert [len(texts) for texts in first["texts"]] == [3]
