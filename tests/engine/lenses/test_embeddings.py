"""The lens embeddings: components, neighbours and ways against numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_models import SMALL, computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.run.directory import create
from torchtty.engine.lenses import embeddings
from torchtty.engine.lenses.subject import Moment, set_apart
from torchtty.engine.training.checkpoint import Saved, write_checkpoint
from torchtty.engine.training.task import build_task

TEXTS = [name for name in SMALL if name != "dcgan"]


def looked_at(task: Any, configuration: Any, run: Any = None, **options: Any) -> dict[str, Any]:
    moment = Moment(run or create(configuration), 9)
    return computed(embeddings.compute, set_apart(task), LENSES["embeddings"].complete(options), moment)


def test_two_dimensions_are_shown_as_they_are(configured: Callable[..., Any]) -> None:
    configuration = configured("mlp", model__n_embd="2")
    task = build_task(configuration)
    result = looked_at(task, configuration)
    assert result["method"] == "as it is"
    assert np.allclose(result["points"], task.model.embedding.weight.detach().numpy(), rtol=1e-3)
    assert result["symbols"] == list(task.data.tokenizer.tokens)


def test_components_are_those_of_the_covariance_matrix(configured: Callable[..., Any]) -> None:
    configuration = configured("mlp", model__n_embd="6")
    task = build_task(configuration)
    result = looked_at(task, configuration)
    table = task.model.embedding.weight.detach().double().numpy()
    centred = table - table.mean(0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    for component in (1, 2):
        axis = directions[:, -component]
        axis = axis * np.sign(axis[np.abs(axis).argmax()])
        assert np.allclose(np.array(result["points"])[:, component - 1], centred @ axis, atol=2e-3)
        assert result["shares"][component - 1] == pytest.approx(variances[-component] / variances.sum(), rel=6e-3)


def test_neighbours_are_those_of_the_smallest_angle(configured: Callable[..., Any]) -> None:
    configuration = configured("mlp", model__n_embd="6")
    task = build_task(configuration)
    table = task.model.embedding.weight.detach().double().numpy()
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    for row, near in enumerate(looked_at(task, configuration)["near"]):
        assert [which for which, _ in near] == list(np.argsort(-cosines[row])[:5])
        assert [cosine for _, cosine in near] == pytest.approx(np.sort(cosines[row])[::-1][:5], abs=1e-3)


def test_the_way_is_that_of_the_checkpoints_in_the_axes_of_now(configured: Callable[..., Any]) -> None:
    configuration = configured("mlp", model__n_embd="2")
    task, run = build_task(configuration), create(configuration)
    weights = {name: value.clone() for name, value in task.weights().items()}
    for step in (3, 6):
        moved = weights | {"embedding.weight": weights["embedding.weight"] * step}
        write_checkpoint(run, Saved(step, moved, task.tokenizer_json(), None, {}))
    result = looked_at(task, configuration, run, way=True)
    points, way = np.array(result["points"]), np.array(result["way"])
    assert result["steps"] == [3, 6]
    assert np.allclose(way[:, 0], 3 * points, rtol=2e-3)
    assert np.allclose(way[:, 1], 6 * points, rtol=2e-3)
    with torch.no_grad():
        task.model.embedding.weight.mul_(2)
    later = computed(embeddings.compute, set_apart(task), LENSES["embeddings"].complete({"way": True}), Moment(run, 12))
    assert later["steps"] == [3, 6, 9], "a moment that was looked at is remembered"
    assert np.allclose(np.array(later["way"])[:, 2], points, rtol=2e-3)
    at_three = looked_at(task, configuration, run, way=True, step=3)
    assert (at_three["checkpoint"], at_three["steps"], at_three["way"]) == (3, [], [])
    assert np.allclose(at_three["points"], way[:, 0], rtol=2e-3)


@pytest.mark.parametrize("name", TEXTS)
def test_every_model_of_text_has_a_vector_for_each_token(configured: Callable[..., Any], name: str) -> None:
    configuration = configured(name)
    task = build_task(configuration)
    result = looked_at(task, configuration)
    assert len(result["points"]) == len(result["symbols"]) == task.facts.vocab_size
    assert torch.tensor(result["points"]).isfinite().all()


def test_t_sne_says_what_it_needs(configured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = configured("mlp")
    task = build_task(configuration)
    monkeypatch.setattr(embeddings, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"t-SNE needs scikit-learn: 'pip install scikit-learn'\."):
        looked_at(task, configuration, method="t-sne")
