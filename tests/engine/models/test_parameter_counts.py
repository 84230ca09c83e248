"""Every model has exactly as many parameters as its formula says."""

import pytest
import torch

from torchtty.engine.contract.settings.models.bigram import BigramModel
from torchtty.engine.contract.settings.models.mlp import MLPModel
from torchtty.engine.contract.settings.models.rnn import RNNModel
from torchtty.engine.contract.settings.models.transformer import TransformerModel
from torchtty.engine.contract.settings.models.wavenet import WaveNetModel
from torchtty.engine.models.families import build_model, parameter_count


def count(config: object, vocab_size: int) -> int:
    return parameter_count(build_model(config, vocab_size))


def test_the_bigram_table_has_a_row_and_a_column_a_token() -> None:
    assert count(BigramModel(), 33) == 33 * 33


def test_the_small_mlps_of_the_course_have_its_counts() -> None:
    assert count(MLPModel(block_size=3, n_embd=2, n_hidden=100), 28) == 3_584
    assert count(MLPModel(block_size=3, n_embd=10, n_hidden=200), 28) == 12_108


def test_batch_norm_gives_a_gain_and_a_shift_a_unit_and_takes_the_biases_before_it() -> None:
    v, t, e, h = 27, 8, 10, 200
    assert (
        count(MLPModel(block_size=t, n_embd=e, n_hidden=h, batch_norm=True), v) == v * e + t * e * h + 2 * h + h * v + v
    )
    assert count(MLPModel(block_size=8, n_embd=10, n_hidden=200, batch_norm=True), 27) == 22_097


@pytest.mark.parametrize(("block_size", "levels"), [(2, 1), (4, 2), (8, 3), (16, 4)])
def test_doubling_the_context_of_the_hierarchical_network_adds_a_level(block_size: int, levels: int) -> None:
    v, e, h = 27, 10, 68
    expected = v * e + (2 * e * h + 2 * h) + (levels - 1) * (2 * h * h + 2 * h) + h * v + v
    assert count(WaveNetModel(block_size=block_size, n_embd=e, n_hidden=h), v) == expected
    if levels == 3:
        assert expected == 22_397, "the count of the lecture's network"


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("n_layer", [1, 3])
@pytest.mark.parametrize("n_embd", [0, 12])
def test_a_recurrent_network_has_a_matrix_in_and_one_across_for_each_gate(
    cell: str, gates: int, n_layer: int, n_embd: int
) -> None:
    v, h = 33, 20
    width = n_embd or v
    expected = v * n_embd + gates * h * (width + h + 2) + (n_layer - 1) * gates * h * (2 * h + 2) + h * v + v
    assert count(RNNModel(cell=cell, n_layer=n_layer, n_hidden=h, n_embd=n_embd), v) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("positions", ["sinusoidal", "none"])
@pytest.mark.parametrize("causal", [True, False])
def test_neither_a_mask_nor_sinusoidal_positions_are_learnt(positions: str, causal: bool) -> None:
    v, c, f, nh, dk, dv, layers = 19, 64, 256, 8, 64, 48, 2
    block = nh * (2 * dk + dv) * (c + 1) + nh * dv * c + c + 2 * c * f + f + c + 4 * c
    config = TransformerModel(
        n_layer=layers,
        n_head=nh,
        d_model=c,
        d_ff=f,
        d_k=dk,
        d_v=dv,
        positions=positions,
        causal=causal,  # type: ignore[arg-type]
    )
    assert count(config, v) == v * c + layers * block + c * v + v


def test_weights_are_drawn_from_the_global_seed() -> None:
    def first() -> torch.Tensor:
        torch.manual_seed(7)
        return torch.cat([p.detach().flatten() for p in build_model(WaveNetModel(), 27).parameters()])

    assert torch.equal(first(), first())
