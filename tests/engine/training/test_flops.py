"""The floating-point operations of a step, against closed forms: 2·m·k·n a product, and two more of it backwards."""

from typing import Any

import pytest

from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.training.flops import flops_per_step
from torchtty.engine.training.task import Task, task_class
from torchtty.engine.worker.estimate import prepare

BATCH = 5


def tree(kind: str, **flags: str) -> dict[str, Any]:
    settings = {"training.device": "cpu", "training.batch_size": str(BATCH)}
    return with_flags(starting_tree(kind), settings | {f"model.{name}": value for name, value in flags.items()}).tree()


def task(kind: str, **flags: str) -> Task:
    configuration = with_flags(tree(kind, **flags), {})
    return task_class(configuration).for_timing(configuration)[0]


def test_an_mlp_is_two_dense_layers() -> None:
    made = task("mlp", block_size="3", n_embd="4", n_hidden="7")
    vocab = made.facts.vocab_size
    assert flops_per_step(made) == 3 * 2 * BATCH * (3 * 4 * 7 + 7 * vocab)


def test_a_gpt_is_its_dense_layers_and_two_products_of_attention_a_layer_whatever_kernel_computes_those() -> None:
    made = task("gpt", n_layer="2", n_head="2", n_embd="8", block_size="16")
    length, vocab = made.tokens_per_step // BATCH, made.facts.vocab_size  # the longest name may be shorter than a block
    dense = 2 * 12 * 8 * 8 + 8 * vocab
    attention = 2 * 2 * length * 8  # of one token: its scores and their mean of the values, in each of two layers
    assert flops_per_step(made) == 3 * 2 * BATCH * length * (dense + attention)


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_a_recurrent_network_is_two_products_a_gate_and_token_whatever_kernel_computes_those(
    cell: str, gates: int
) -> None:
    made = task("rnn", cell=cell, n_hidden="6", n_embd="4", carry_state="off")
    length, vocab = made.tokens_per_step // BATCH, made.facts.vocab_size
    whole = 3 * 2 * BATCH * length * (gates * 6 * (4 + 6) + 6 * vocab)
    assert flops_per_step(made) == whole - 2 * BATCH * gates * 6 * 6  # no gradient of the empty state is wanted


def test_a_table_of_logits_multiplies_nothing() -> None:
    assert flops_per_step(task("bigram")) == 0


def test_an_estimate_has_them_where_they_are_asked_for() -> None:
    small = tree("mlp", n_hidden="7")
    assert "flops_per_step" not in prepare(small)
    assert prepare(small, with_flops=True)["flops_per_step"] == flops_per_step(task("mlp", n_hidden="7"))
    assert prepare(starting_tree("ngram"), with_flops=True)["flops_per_step"] == 0
