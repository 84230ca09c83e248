"""Optimizers are built as asked, decay what should be decayed, and can be saved and taken up again."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from torchtty.engine.contract.settings.models.gpt import GPTModel
from torchtty.engine.contract.settings.optimizer import SGD, Adagrad, Adam, AdamW, Muon, RMSprop
from torchtty.engine.models.families import build_model
from torchtty.engine.training.fused import KERNELS, Fused
from torchtty.engine.training.optimizers import (
    ChainedOptimizer,
    build_optimizer,
    clip_gradients,
    remembered_tensors,
    set_rates,
)

CPU = torch.device("cpu")
SECTIONS = [AdamW(), Adam(), SGD(momentum=0.9), Adagrad(), RMSprop(momentum=0.5), Muon()]


def model() -> nn.Module:
    torch.manual_seed(1)
    return build_model(GPTModel(n_layer=1, n_head=2, n_embd=8, block_size=4), 7)


def step(network: nn.Module, optimizer: Any, seed: int) -> float:
    x = torch.randint(7, (8, 4), generator=torch.Generator().manual_seed(seed))
    loss = network(x, x)[1]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.kind)
def test_each_optimizer_lowers_the_loss_and_touches_every_weight(section: Any) -> None:
    network = model()
    before = copy.deepcopy(network.state_dict())
    optimizer = build_optimizer(section, network, CPU)
    losses = [step(network, optimizer, seed) for seed in range(40)]
    assert losses[-1] < losses[0] - 0.01
    unmoved = [name for name, value in network.state_dict().items() if torch.equal(value, before[name])]
    assert unmoved == []


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.kind)
def test_a_saved_optimizer_goes_on_bit_for_bit(section: Any, tmp_path: Any) -> None:
    network = model()
    optimizer = build_optimizer(section, network, CPU)
    for seed in range(3):
        step(network, optimizer, seed)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    other = copy.deepcopy(network)
    resumed = build_optimizer(section, other, CPU)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for seed in range(3, 6):
        assert step(network, optimizer, seed) == step(other, resumed, seed)
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.kind)
def test_weight_decay_reaches_matrices_and_spares_biases_and_norms(section: Any) -> None:
    network = model()
    optimizer = build_optimizer(section, network, CPU)
    set_rates(optimizer, 0.5, 0.25)
    seen = 0
    for group in optimizer.param_groups:
        assert group["lr"] == 0.5
        for parameter in group["params"]:
            seen += parameter.numel()
            assert group["weight_decay"] == (0.25 if parameter.dim() >= 2 else 0.0)
    assert seen == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("section", [s for s in SECTIONS if s.kind not in ("rmsprop", "muon")], ids=lambda s: s.kind)
def test_a_step_is_torchs_own_to_the_bit_while_rates_move_and_a_gradient_is_missing(section: Any) -> None:
    ours, theirs = model(), model()
    optimizer = build_optimizer(section, ours, CPU)
    assert isinstance(optimizer, Fused)
    wrapped = build_optimizer(section, theirs, CPU)
    assert isinstance(wrapped, Fused)
    reference = wrapped._optimizer
    for number in range(12):
        for network, each in ((ours, optimizer), (theirs, reference)):
            set_rates(each, 0.01 / (number + 1), 0.1 if 4 <= number < 8 else 0.0)  # as live edits do
            x = torch.randint(7, (8, 4), generator=torch.Generator().manual_seed(number))
            network(x, x)[1].backward()
            if number == 6:
                next(network.parameters()).grad = None
            each.step()
            network.zero_grad()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine, other), number
    one, other = optimizer.state_dict()["state"], reference.state_dict()["state"]
    assert one.keys() == other.keys()
    for number, memory in one.items():
        for name, value in memory.items():
            assert value is other[number][name] is None or torch.equal(value, other[number][name]), name


FUSED = [AdamW(), Adam(), SGD(), SGD(momentum=0.9), Adagrad()]


def _a_little_further(kernel: Any) -> Any:
    def wrong(group: Any, gradients: Any, lists: Any) -> None:
        kernel(group, gradients, lists)
        lists.weights[0].mul_(1 + 1e-6)

    return wrong


def _with_another_signature(_: Any) -> Any:
    return lambda *_: torch._fused_sgd_(momentum_buffer=None)


def _gone(_: Any) -> Any:
    return lambda *_: torch._fused_step_of_another_version_()  # type: ignore[attr-defined]


@pytest.mark.parametrize("section", FUSED, ids=lambda section: section.kind)
@pytest.mark.parametrize("fault", [_a_little_further, _with_another_signature, _gone])
def test_a_kernel_that_is_wrong_or_gone_is_left_for_torchs_own_step(
    section: Any, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(build_optimizer(section, model(), CPU), Fused)
    for kind, (kernel, names) in list(KERNELS.items()):
        monkeypatch.setitem(KERNELS, kind, (fault(kernel), names))
    network = model()
    optimizer = build_optimizer(section, network, CPU)
    assert isinstance(optimizer, torch.optim.Optimizer)
    losses = [step(network, optimizer, seed) for seed in range(40)]
    assert losses[-1] < losses[0]


def test_proving_a_kernel_changes_neither_weights_nor_random_numbers() -> None:
    network = model()
    before, drawn = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    optimizer = build_optimizer(AdamW(), network, CPU)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    assert not remembered_tensors(optimizer)


@pytest.mark.parametrize("section", [*SECTIONS, SGD(), RMSprop()], ids=lambda section: section.kind)
def test_an_optimizer_remembers_as_many_numbers_a_weight_as_its_settings_say(section: Any) -> None:
    network = model()
    optimizer = build_optimizer(section, network, CPU)
    step(network, optimizer, 1)
    weights = sum(parameter.numel() for parameter in network.parameters())
    numbers = sum(tensor.numel() for tensor in remembered_tensors(optimizer) if tensor.dim())
    if section.kind == "muon":  # one for a hidden matrix, two for any other weight
        assert weights < numbers < section.numbers_per_weight * weights
    else:
        assert numbers == section.numbers_per_weight * weights


def test_muon_takes_the_hidden_matrices_and_adamw_all_else() -> None:
    network = model()
    optimizer = build_optimizer(Muon(), network, CPU)
    assert isinstance(optimizer, ChainedOptimizer)
    muon, adamw = optimizer.optimizers
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    hidden = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    rest = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert hidden == {
        name for name in names.values() if name.startswith("blocks") and name.endswith("weight") and "norm" not in name
    }
    assert {"token_embedding.weight", "position_embedding.weight", "head.weight", "head.bias"} <= rest


@pytest.mark.parametrize(
    ("section", "theirs"),
    [
        (Adam(learning_rate=0.01, weight_decay=0.1), lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1)),
        (Adagrad(learning_rate=0.05), lambda p: torch.optim.Adagrad(p, lr=0.05)),
        (RMSprop(learning_rate=0.01, alpha=0.9), lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9)),
        (SGD(learning_rate=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_settings_mean_what_they_mean_in_torch(section: Any, theirs: Any) -> None:
    ours, reference = nn.Linear(3, 4, bias=False), nn.Linear(3, 4, bias=False)
    reference.load_state_dict(ours.state_dict())
    optimizers = build_optimizer(section, ours, CPU), theirs(reference.parameters())
    for seed in range(5):
        x = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed))
        for network, optimizer in zip((ours, reference), optimizers, strict=True):
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, reference.weight, atol=1e-6)


def test_clipping_by_value_cuts_each_number_and_by_norm_shortens_the_whole() -> None:
    def gradients() -> list[nn.Parameter]:
        first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
        first.grad, second.grad = torch.tensor([3.0, -0.5]), torch.tensor([4.0])
        return [first, second]

    norm = torch.tensor([3.0, -0.5, 4.0]).norm()
    by_value = gradients()
    assert clip_gradients(by_value, "value", 1.0) == pytest.approx(norm)
    assert [p.grad.tolist() for p in by_value] == [[1.0, -0.5], [1.0]]
    by_norm = gradients()
    assert clip_gradients(by_norm, "norm", 1.0) == pytest.approx(norm)
    clipped = torch.cat([p.grad for p in by_norm])
    assert clipped.norm().item() == pytest.approx(1.0, abs=1e-5)
    assert torch.allclose(clipped * norm, torch.tensor([3.0, -0.5, 4.0]), atol=1e-4)
