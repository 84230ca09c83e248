"""Recurrent networks compute what their equations say, and remember while they write."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.rnn import RNNModel
from torchtty.engine.models.rnn import RNN
from torchtty.engine.sampling.decoder import Choice, decode

V = 6
CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def network(cell: str = "rnn", **settings: object) -> RNN:
    torch.manual_seed(2)
    return RNN(RNNModel(cell=cell, n_hidden=5, block_size=4, **settings), V).eval()  # type: ignore[arg-type]


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(V, (rows, length), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("n_embd", [0, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_two_layers_are_two_rows_of_cells(cell: str, n_embd: int) -> None:
    model = network(cell, n_layer=2, n_embd=n_embd)
    cells = []
    for layer in range(2):
        single = CELLS[cell](n_embd or V if layer == 0 else 5, 5)
        weights = {
            name: getattr(model.recurrence, f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        single.load_state_dict(weights)
        cells.append(single)
    idx = tokens(3, 7)
    x = model.embedding(idx) if model.embedding is not None else F.one_hot(idx, V).float()
    states: list[Any] = [None, None]
    expected = []
    for step in range(7):
        below = x[:, step]
        for layer, single in enumerate(cells):
            states[layer] = single(below, states[layer])
            below = states[layer][0] if cell == "lstm" else states[layer]
        expected.append(model.head(below))
    assert torch.allclose(model(idx)[0], torch.stack(expected, 1), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_reading_in_pieces_is_reading_in_one_go(cell: str) -> None:
    model = network(cell, n_layer=2)
    idx = tokens(3, 9)
    whole = model(idx)[0]
    first, state, _ = model.read(idx[:, :4], None)
    second, _, _ = model.read(idx[:, 4:], state)
    assert torch.allclose(torch.cat((first, second), 1), whole, atol=1e-6)
    assert not torch.allclose(model(idx[:, 4:])[0], second, atol=1e-3), "the state matters"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("carry_state", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_text_written_with_a_carried_state_is_the_text_of_reading_everything_again(
    cell: str, carry_state: bool, temperature: float
) -> None:
    model = network(cell, carry_state=carry_state)
    texts = []
    for cached in (True, False):
        generator = torch.Generator().manual_seed(11)
        steps = decode(model, tokens(1, 6)[0], 3, 30, Choice(temperature), generator, 0, cached=cached)
        texts.append(torch.stack(list(steps), 1))
    assert texts[0].shape == (3, 30)
    assert torch.equal(*texts)


def test_a_carried_state_remembers_what_lies_before_the_window() -> None:
    prompt = tokens(1, 12)[0]
    other = prompt.clone()
    other[0] = (other[0] + 1) % V
    with torch.no_grad():
        for carry_state in (True, False):
            model = network("rnn", carry_state=carry_state)
            model.recurrence.weight_hh_l0.copy_(1.2 * torch.eye(5))  # a memory that does not fade
            looks = []
            hook = model.head.register_forward_hook(lambda _module, _inputs, output: looks.append(output[:, -1]))  # noqa: B023
            for text in (prompt, other):
                list(decode(model, text, 1, 1, Choice(), torch.Generator().manual_seed(0), 0))
            hook.remove()
            assert torch.equal(*looks) is not carry_state
