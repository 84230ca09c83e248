"""What each family's task offers, and that a model can be looked into without training noticing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import FAMILIES, starting_tree, with_flags
from torchtty.engine.sampling.text import SampleResult
from torchtty.engine.training.task import (
    CarriesArchitecture,
    DrawsFromNoise,
    DrawsPictures,
    ExposesModel,
    ReadsText,
    Task,
    WritesText,
    build_task,
)

SMALL = {
    "dcgan": {"model.n_generator": "8", "model.n_discriminator": "8", "training.batch_size": "4"},
    "gpt": {"model.n_layer": "1", "model.n_embd": "16"},
    "transformer": {"model.n_head": "2"},
    "gpt2": {"model.weights": "untrained", "tokenizer.kind": "byte-pair", "tokenizer.vocab_size": "260"},
}


def task_of(
    kind: str, *, tokenizer: dict[str, Any] | None = None, data_may_be_gone: bool = False, **flags: str
) -> Task:
    settings = SMALL.get(kind, {}) | ({"training.device": "cpu"} if kind != "ngram" else {})
    settings |= {name.replace("__", "."): value for name, value in flags.items()}
    return build_task(with_flags(starting_tree(kind), settings), tokenizer, data_may_be_gone=data_may_be_gone)


OFFERS = (WritesText, ReadsText, DrawsPictures, DrawsFromNoise, ExposesModel, CarriesArchitecture)


def offers(task: Task) -> set[type]:
    return {kind for kind in OFFERS if isinstance(task, kind)}


def test_a_task_offers_what_it_can_do_and_no_more() -> None:
    text = {WritesText, ReadsText, ExposesModel}
    assert offers(task_of("ngram")) == offers(task_of("mlp")) == text
    assert offers(task_of("gpt2")) == text | {CarriesArchitecture}
    assert offers(task_of("dcgan")) == {DrawsPictures, DrawsFromNoise, ExposesModel}


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


def test_an_example_without_its_data_is_noise_for_pictures_and_a_sentence_for_text(names_file: Path) -> None:
    drawn = task_of("dcgan", data_may_be_gone=True)
    assert isinstance(drawn, ExposesModel)
    noise, pictures = drawn.example_batch()
    assert drawn.model(noise, pictures)[1].shape == ()
    written = task_of("gpt", data__dataset=str(names_file))
    assert isinstance(written, WritesText)
    names_file.unlink()
    without = task_of("gpt", data__dataset=str(names_file), tokenizer=written.tokenizer_json(), data_may_be_gone=True)
    assert isinstance(without, ExposesModel)
    with pytest.raises(UserError, match="no text to look at"):
        without.example_batch()


def test_a_network_that_carries_its_state_writes_without_its_text(verse_file: Path) -> None:
    flags = {"data__dataset": str(verse_file), "model__n_hidden": "8"}
    trained = task_of("rnn", **flags)
    assert isinstance(trained, WritesText)
    verse_file.unlink()
    served = task_of("rnn", **flags, tokenizer=trained.tokenizer_json(), data_may_be_gone=True)
    assert isinstance(served, WritesText)
    served.load_weights(trained.weights())
    result = SampleResult()
    list(served.sample(replace(served.automatic_sample(), max_tokens=5), result))
    assert len(result.texts[0]) == 5
