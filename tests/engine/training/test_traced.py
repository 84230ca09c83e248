"""A traced model gives the gradients that autograd gives, and is only relied upon where it does."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engine.training.test_loop import continued, finish, metrics, stop_after
from torch import Tensor, nn

from torchtty.engine.contract.settings.models.bigram import BigramModel
from torchtty.engine.contract.settings.models.gpt import GPTModel
from torchtty.engine.contract.settings.models.mlp import MLPModel
from torchtty.engine.contract.settings.models.wavenet import WaveNetModel
from torchtty.engine.models.families import build_model
from torchtty.engine.training import language
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.traced import by_autograd, quickest, traced

V, B = 7, 5


def model_of(section: Any) -> nn.Module:
    torch.manual_seed(1)
    return build_model(section, V)


def batch(model: nn.Module, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    width: int = model.block_size  # type: ignore[assignment]
    x = torch.randint(V, (B, width), generator=generator)
    return x, torch.randint(V, (B, width if model.predicts_every_position else 1), generator=generator)


SECTIONS = [
    BigramModel(),
    MLPModel(n_hidden=16),
    GPTModel(n_layer=2, n_head=2, n_embd=8, block_size=4),
    GPTModel(n_layer=1, n_head=2, n_embd=8, block_size=4, tie_weights=True),
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.kind)
def test_loss_and_gradients_are_those_of_autograd_to_the_bit_after_the_weights_have_moved(section: Any) -> None:
    model = model_of(section)
    by_trace = traced(model, *batch(model))
    assert by_trace is not None
    assert all(weight.grad is None for weight in model.parameters())
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(2))
    found = []
    for gradients in (by_autograd(model), by_trace):
        loss = gradients(*batch(model, seed=3))
        found.append([loss, *(weight.grad for weight in model.parameters())])
        model.zero_grad()
    for mine, theirs in zip(*found, strict=True):
        assert torch.equal(mine, theirs)


class Odd(nn.Module):
    """A model of one table, and something that cannot be traced."""

    block_size, predicts_every_position = 1, True

    def __init__(self, oddity: str) -> None:
        super().__init__()
        self.table, self.idle = nn.Embedding(V, V), nn.Parameter(torch.zeros(V))
        self.oddity, self.calls = oddity, 0

    def forward(self, idx: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        logits = self.table(idx)
        if self.oddity != "an idle weight":
            logits = logits + self.idle
        if self.oddity == "another result each time":
            logits = logits * self.calls
        if self.oddity == "a branch on a value":
            logits = logits * (2.0 if float(logits.detach().sum()) > 0 else 3.0)
        if self.oddity == "a random number":
            logits = logits * torch.rand(())
        return logits, nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


@pytest.mark.parametrize(
    "model",
    [
        model_of(GPTModel(n_layer=1, n_head=2, n_embd=8, block_size=4, dropout=0.1)),
        model_of(WaveNetModel(block_size=4)),
        Odd("an idle weight"),
        Odd("another result each time"),
        Odd("a branch on a value"),
        Odd("a random number"),
    ],
    ids=lambda model: getattr(model, "oddity", type(model).__name__),
)
def test_a_model_that_no_list_of_kernels_can_stand_for_is_left_to_autograd(model: nn.Module) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    assert traced(model, *batch(model)) is None
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    quickest(model, *batch(model))(*batch(model))
    assert any(weight.grad is not None for weight in model.parameters())


def test_training_takes_the_same_way_whether_traced_or_not_and_through_a_resume(
    loop_for: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags: dict[str, Any] = {"training__max_steps": 40, "training__log_interval": 1, "optimizer__momentum": 0.9}
    usual = loop_for("mlp", **flags)
    finish(usual)
    traces = []

    def always(*arguments: Any) -> Any:
        traces.append(traced(*arguments))
        return traces[-1]

    monkeypatch.setattr(language, "quickest", always)
    monkeypatch.setattr(language, "TRACED_AFTER", 4)
    monkeypatch.setattr(language, "WORTH_TRACING", 10)
    broken = loop_for("mlp", **flags)
    stop_after(broken, 17)
    finish(broken)
    again = continued(loop_for, broken.run)
    finish(again)
    assert len(traces) == 2
    assert None not in traces
    assert metrics(again.run) == metrics(usual.run)
    for name, tensor in usual.task.weights().items():
        assert torch.equal(tensor, again.task.weights()[name]), name
