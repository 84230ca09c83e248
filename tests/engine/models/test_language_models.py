"""What all language models owe: right gradients, no look ahead, the loss of their own logits, and a known path downhill."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.bigram import BigramModel
from torchtty.engine.contract.settings.models.gpt import GPTModel
from torchtty.engine.contract.settings.models.mlp import MLPModel
from torchtty.engine.contract.settings.models.rnn import RNNModel
from torchtty.engine.contract.settings.models.transformer import TransformerModel
from torchtty.engine.contract.settings.models.wavenet import WaveNetModel
from torchtty.engine.models.families import build_model

V, T = 5, 4
SMALL = {"n_layer": 2, "n_head": 2, "d_model": 4, "d_ff": 6, "d_k": 3, "d_v": 2, "block_size": T, "dropout": 0.0}
MODELS: dict[str, Any] = {
    "bigram": BigramModel(block_size=T),
    "mlp": MLPModel(block_size=T, n_embd=2, n_hidden=6),
    "mlp with batch norm": MLPModel(block_size=T, n_embd=2, n_hidden=6, batch_norm=True),
    "wavenet": WaveNetModel(block_size=T, n_embd=2, n_hidden=5),
    "rnn": RNNModel(cell="rnn", n_hidden=4, n_layer=2, block_size=T),
    "lstm": RNNModel(cell="lstm", n_hidden=3, n_embd=2, block_size=T),
    "gru": RNNModel(cell="gru", n_hidden=3, block_size=T),
    "rnn that predicts the last": RNNModel(n_hidden=4, block_size=T, predict="last", carry_state=False),
    "causal transformer": TransformerModel(**SMALL),  # type: ignore[arg-type]
    "transformer without a mask": TransformerModel(**SMALL, causal=False, positions="none"),  # type: ignore[arg-type]
}


def built(name: str, dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    torch.manual_seed(3)
    return build_model(MODELS[name], V).to(dtype)


def batch(model: torch.nn.Module, rows: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(V, (rows, T), generator=generator)
    y = torch.randint(V, (rows, T if model.predicts_every_position else 1), generator=generator)
    return x, y


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_slope_of_the_loss(name: str) -> None:
    model = built(name)
    x, y = batch(model)
    names, values = zip(*[(n, p.detach().clone().requires_grad_()) for n, p in model.named_parameters()], strict=True)

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (x, y))[1]
        return result

    assert torch.autograd.gradcheck(loss, values, eps=1e-6, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_the_mean_cross_entropy_of_the_logits(name: str) -> None:
    model = built(name).eval()
    x, y = batch(model)
    logits, loss = model(x, y)
    assert logits.shape == (*y.shape, V)
    assert loss.item() == pytest.approx(F.cross_entropy(logits.flatten(0, 1), y.flatten()).item(), abs=1e-12)
    assert model(x)[1] is None


@pytest.mark.parametrize("name", [name for name in MODELS if built(name).predicts_every_position])
def test_a_later_token_never_changes_earlier_logits(name: str) -> None:
    model = built(name).eval()
    x, _ = batch(model)
    before = model(x)[0]
    for changed in range(1, T):
        other = x.clone()
        other[:, changed] = (other[:, changed] + 1) % V
        after = model(other)[0]
        assert torch.equal(after[:, :changed], before[:, :changed])
        assert not torch.equal(after[:, changed], before[:, changed])


@pytest.mark.parametrize("name", [name for name in MODELS if not built(name).predicts_every_position])
def test_a_prediction_from_a_full_window_depends_on_each_of_its_tokens(name: str) -> None:
    model = built(name).eval()
    x, _ = batch(model)
    before = model(x)[0]
    assert before.shape == (6, 1, V)
    for changed in range(T):
        other = x.clone()
        other[:, changed] = (other[:, changed] + 1) % V
        assert not torch.allclose(model(other)[0], before)


@pytest.mark.parametrize("name", [name for name in MODELS if built(name).predicts_every_position])
def test_positions_that_are_not_predicted_leave_the_loss_alone(name: str) -> None:
    model = built(name).eval()
    x, y = batch(model)
    y[:, 2:] = -1
    logits, loss = model(x, y)
    kept = F.cross_entropy(logits[:, :2].flatten(0, 1), y[:, :2].flatten())
    assert loss.item() == pytest.approx(kept.item(), abs=1e-12)


@pytest.mark.parametrize("name", ["mlp with batch norm", "wavenet"])
def test_in_evaluation_an_example_does_not_depend_on_its_neighbours(name: str) -> None:
    model = built(name)
    x, _ = batch(model)
    in_training = model(x)[0][:1], model(x[:2])[0][:1]
    assert not torch.allclose(*in_training), "batch norm compares the examples of a batch"
    model.eval()
    assert torch.allclose(model(x)[0][:1], model(x[:1])[0])


@pytest.mark.parametrize("name", ["mlp", "wavenet", "causal transformer", "rnn"])
def test_the_first_predictions_are_close_to_even(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(MODELS[name], V)
    x, y = batch(model, 64)
    assert model(x, y)[1].item() == pytest.approx(torch.tensor(float(V)).log().item(), abs=0.25)


def test_unscaled_first_weights_are_sure_and_wrong() -> None:
    torch.manual_seed(0)
    model = build_model(MLPModel(initialisation="unscaled"), 28)
    x = torch.randint(28, (500, 3))
    y = torch.randint(28, (500, 1))
    assert model(x, y)[1].item() > 10
    saturated = torch.tanh(model.hidden(model.embedding(x).flatten(1))).abs() > 0.99
    assert saturated.float().mean() > 0.3


class TestWhatTheCourseVaries:
    """Settings added later: what they mean, and that their defaults draw the same weights and compute the same numbers."""

    @pytest.mark.parametrize("name", ["gelu", "relu", "tanh"])
    def test_the_activation_of_a_gpt_is_the_one_between_the_maps_of_its_feed_forward_layers(self, name: str) -> None:
        torch.manual_seed(0)
        model = build_model(GPTModel(n_layer=1, n_head=2, n_embd=4, block_size=T, activation=name), V)  # type: ignore[arg-type]
        layer = model.blocks[0].feed_forward
        x = torch.randn(2, T, 4) * 50
        bent = {"gelu": F.gelu, "relu": torch.relu, "tanh": torch.tanh}[name](layer.expand(x))
        assert torch.equal(layer(x), layer.projection(bent))

    @pytest.mark.parametrize("n_embd", [0, 7])
    def test_small_first_weights_of_a_recurrent_network(self, n_embd: int) -> None:
        torch.manual_seed(0)
        model = build_model(RNNModel(n_hidden=100, n_embd=n_embd, initialisation="small"), 40)
        for name, parameter in model.named_parameters():
            if "bias" in name:
                assert not parameter.any(), name
            else:
                assert parameter.std().item() == pytest.approx(0.01, rel=0.1), name
                assert abs(parameter.mean().item()) < 0.002, name

    def test_dropout_inside_the_feed_forward_layer_silences_its_units_alone(self) -> None:
        settings = SMALL | {"n_layer": 1, "d_ff": 4000}
        block = build_model(TransformerModel(**settings, ff_dropout=0.25), V).blocks[0].train()  # type: ignore[arg-type]
        given: list[torch.Tensor] = []
        block.contract.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].detach()))
        x = torch.randn(1, T, 4)
        block(x)
        block.eval()(x)
        silenced, whole = given
        kept = whole > 0
        assert (silenced[kept] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
        still = kept & (silenced != 0)
        assert torch.allclose(silenced[still], whole[still] / 0.75)


# Losses of 8 steps of SGD at 0.5 on one batch, recorded once in float64 on the CPU: a change of the model, of its first
# weights or of its gradient shows here. The tolerance leaves room for another order of summation, nothing else.
GOLDEN: dict[str, tuple[float, ...]] = {
    "bigram": (1.82749185, 1.81637083, 1.75114252),
    "mlp": (1.60064153, 1.52668746, 1.22162473),
    "mlp with batch norm": (1.60667850, 1.55907248, 1.34729853),
    "wavenet": (1.59673104, 1.54224271, 1.27122519),
    "rnn": (1.61782247, 1.59853711, 1.57259681),
    "lstm": (1.70343308, 1.67569581, 1.59717145),
    "gru": (1.63219979, 1.62116592, 1.58806928),
    "rnn that predicts the last": (1.62360003, 1.57450283, 1.44499123),
    "causal transformer": (1.61144001, 1.59312324, 1.57262035),
    "transformer without a mask": (1.61338483, 1.53917023, 1.32472205),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_way_downhill_is_the_recorded_one(name: str) -> None:
    assert curve(name) == pytest.approx(GOLDEN[name], abs=1e-6)


def curve(name: str) -> list[float]:
    model = built(name)
    x, y = batch(model, 32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses = []
    for step in range(9):
        loss = model(x, y)[1]
        if step in (0, 1, 8):
            losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses
