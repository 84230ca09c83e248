"""What each family's task offers, and that a model can be looked into without training noticing."""

import pytest
import torch

from torchtty.engine.contract.settings.configuration import FAMILIES, starting_tree, with_flags
from torchtty.engine.training.factory import build_task
from torchtty.engine.training.task import CarriesArchitecture, DrawsPictures, ExposesModel, Task, WritesText

SMALL = {
    "dcgan": {"model.n_generator": "8", "model.n_discriminator": "8", "training.batch_size": "4"},
    "gpt": {"model.n_layer": "1", "model.n_embd": "16"},
    "transformer": {"model.n_head": "2"},
    "gpt2": {"model.weights": "untrained", "tokenizer.kind": "byte-pair", "tokenizer.vocab_size": "260"},
}


def task_of(kind: str, **flags: str) -> Task:
    settings = SMALL.get(kind, {}) | ({"training.device": "cpu"} if kind != "ngram" else {})
    return build_task(with_flags(starting_tree(kind), settings | {k.replace("__", "."): v for k, v in flags.items()}))


def offers(task: Task) -> set[type]:
    return {kind for kind in (WritesText, DrawsPictures, ExposesModel, CarriesArchitecture) if isinstance(task, kind)}


def test_a_task_offers_what_it_can_do_and_no_more() -> None:
    assert offers(task_of("ngram")) == {WritesText}
    assert offers(task_of("mlp")) == {WritesText, ExposesModel}
    assert offers(task_of("gpt2")) == {WritesText, ExposesModel, CarriesArchitecture}
    assert offers(task_of("dcgan")) == {DrawsPictures, ExposesModel}


@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind != "ngram"])
def test_every_network_can_be_passed_a_real_batch_and_its_loss_differentiated(kind: str) -> None:
    task = task_of(kind)
    assert isinstance(task, ExposesModel)
    batch, again = task.example_batch(), task.example_batch()
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))
    loss = task.model(*batch)[1]
    assert loss.shape == ()
    loss.backward()
    learned = {name: weight for name, weight in task.model.named_parameters() if weight.requires_grad}
    assert [name for name, weight in learned.items() if weight.grad is None] == []


@pytest.mark.parametrize("kind", ["mlp", "rnn", "dcgan"])
def test_an_example_batch_changes_nothing_in_training(kind: str) -> None:
    plain, looked = task_of(kind), task_of(kind)
    for step in range(3):
        assert isinstance(looked, ExposesModel)
        looked.example_batch()
        expected, found = plain.train_step(step), looked.train_step(step)
        assert {name: float(value) for name, value in expected.items()} == {
            name: float(value) for name, value in found.items()
        }
