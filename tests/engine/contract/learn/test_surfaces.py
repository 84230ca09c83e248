"""Walks down surfaces against the optimizers of torch, and Muon against ours."""

import math

import pytest
import torch
from torch import Tensor, nn

from torchtty.engine.contract.learn.surfaces import Surface, Walk, Walker, surfaces, walkers
from torchtty.engine.contract.settings.optimizer import Muon
from torchtty.engine.training.optimizers import build_optimizer

STEPS = 60


def as_tensor(surface: Surface, w: Tensor) -> Tensor:
    x, y = w.flatten()
    return {
        "valley": lambda: (x**2 + 20 * y**2) / 2,
        "bent": lambda: (1 - x) ** 2 + 5 * (y - x**2) ** 2,
        "saddle": lambda: x**2 - y**2 + y**4 / 4 + 1,
        "hole": lambda: 1 - torch.exp(-(x**2 + y**2) / 2),
        "ripples": lambda: (x**2 + y**2) / 8 + (2 - torch.cos(3 * x) - torch.cos(3 * y)) / 2,
    }[surface.key]()


@pytest.mark.parametrize("surface", surfaces(), ids=lambda surface: surface.key)
def test_the_gradient_is_that_of_autograd(surface: Surface) -> None:
    torch.manual_seed(1)
    for place in (6 * torch.rand(20, 2, dtype=torch.float64) - 3).tolist():
        w = torch.tensor(place, dtype=torch.float64, requires_grad=True)
        loss = as_tensor(surface, w)
        loss.backward()
        assert surface.value(*place) == pytest.approx(loss.item(), abs=1e-12)
        assert w.grad is not None
        assert surface.gradient(*place) == pytest.approx(w.grad.tolist(), abs=1e-12)


def torchs(walker: Walker, w: nn.Parameter, rate: float) -> torch.optim.Optimizer:
    match walker.key:
        case "momentum":
            return torch.optim.SGD([w], lr=rate, momentum=0.9)
        case "sgd":
            return torch.optim.SGD([w], lr=rate)
        case "adagrad":
            return torch.optim.Adagrad([w], lr=rate)
        case "rmsprop":
            return torch.optim.RMSprop([w], lr=rate)
        case _:
            return torch.optim.Adam([w], lr=rate)


@pytest.mark.parametrize("surface", surfaces(), ids=lambda surface: surface.key)
@pytest.mark.parametrize("walker", [walker for walker in walkers() if walker.key != "muon"], ids=lambda w: w.key)
def test_every_step_is_that_of_torch(walker: Walker, surface: Surface) -> None:
    rate = walker.rates[surface.key]
    w = nn.Parameter(torch.tensor(surface.start, dtype=torch.float64))
    optimizer, walk = torchs(walker, w, rate), Walk(walker.key, surface, rate)
    for step in range(STEPS + 1):
        assert walk.at(step).place == pytest.approx(w.tolist(), abs=1e-9)
        optimizer.zero_grad()
        as_tensor(surface, w).backward()
        optimizer.step()


class OneRow(nn.Module):
    """Two weights as a matrix between layers, so that our Muon takes it for one."""

    def __init__(self, place: tuple[float, float]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([place], dtype=torch.float64))


@pytest.mark.parametrize("surface", surfaces(), ids=lambda surface: surface.key)
def test_a_step_of_muon_is_that_of_our_muon(surface: Surface) -> None:
    rate = {walker.key: walker for walker in walkers()}["muon"].rates[surface.key]
    model = OneRow(surface.start)
    optimizer = build_optimizer(Muon(learning_rate=rate, weight_decay=0), model, torch.device("cpu"))
    walk = Walk("muon", surface, rate)
    length = 0.0
    for step in range(20):
        # torch orthogonalises in bfloat16: its rounding (1/256), magnified by five iterations, moves a step by up to 3 %.
        assert math.dist(walk.at(step).place, model.w.flatten().tolist()) <= 0.035 * length + 1e-12
        length += math.hypot(*walk.at(step + 1).parts[-1][1])
        optimizer.zero_grad()
        as_tensor(surface, model.w).backward()
        optimizer.step()


@pytest.mark.parametrize("surface", surfaces(), ids=lambda surface: surface.key)
@pytest.mark.parametrize("walker", walkers(), ids=lambda walker: walker.key)
def test_with_the_rates_that_ship_nobody_is_lost_and_the_step_explains_the_place(
    walker: Walker, surface: Surface
) -> None:
    walk = Walk(walker.key, surface, walker.rates[surface.key])
    for step in range(1, 201):
        before, moment = walk.at(step - 1), walk.at(step)
        parts = dict(moment.parts)
        assert parts["at"] == before.place
        change = moment.parts[-1][1]
        assert moment.place == pytest.approx((before.place[0] + change[0], before.place[1] + change[1]))
    assert not walk.is_lost
    assert walk.at(200).loss < walk.at(0).loss


def test_a_rate_that_is_too_large_leaves_and_is_said_to() -> None:
    valley = next(surface for surface in surfaces() if surface.key == "valley")
    walk = Walk("sgd", valley, 0.11)  # above 2 / 20, the curvature across
    assert walk.at(500).loss == math.inf
    assert walk.is_lost
    assert not math.isnan(walk.at(500).place[0])
