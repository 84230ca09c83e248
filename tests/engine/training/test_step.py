"""A step moves weights and state as a loop written by hand does, for every kind of task, and shows what it did."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchtty.engine.contract.settings.optimizer import SGD, AdamW
from torchtty.engine.training.optimizers import build_optimizer
from torchtty.engine.training.step import Batch, Descent, EagerStep, Metrics, Rates

CPU = torch.device("cpu")


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def squared_error(model: nn.Module) -> Any:
    def loss(batch: Batch) -> tuple[Tensor, Metrics]:
        error = (model(batch[0]) - batch[1]).square().mean()
        return error, {"error": error.detach()}

    return loss


def batches(count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(3)
    return [(torch.randn(6, 3, generator=generator), torch.randn(6, 1, generator=generator)) for _ in range(count)]


def step_of(model: nn.Module, section: Any = None, clip: Any = "norm") -> EagerStep:
    optimizer = build_optimizer(section or SGD(momentum=0.9), model, CPU)
    return EagerStep(Descent(model, squared_error(model), optimizer, clip))


@pytest.mark.parametrize("clip", [None, 0.05])
def test_a_step_is_that_of_a_loop_written_by_hand_to_the_bit(clip: float | None) -> None:
    ours, theirs = network(), network()
    step = step_of(ours)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for number, batch in enumerate(batches(5)):
        rate = 0.1 / (number + 1)
        metrics = step(batch, Rates(rate, 0.0, clip))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss, _ = squared_error(theirs)(batch)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip or float("inf"))
        optimizer.step()
        assert torch.equal(metrics["error"], loss.detach())
        assert torch.equal(metrics["grad_norm"], norm)
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert mine.grad is None
            assert torch.equal(mine, other)


def test_rates_may_be_tensors() -> None:
    numbers, tensors = network(), network()
    first, second = step_of(numbers, AdamW()), step_of(tensors, AdamW())
    for batch in batches(3):
        first(batch, Rates(0.25, 0.125, 0.5))
        second(batch, Rates(torch.tensor(0.25), torch.tensor(0.125), torch.tensor(0.5)))
    for mine, other in zip(numbers.parameters(), tensors.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_norm_that_clips_nothing_is_computed_only_where_it_is_logged() -> None:
    [batch] = batches(1)
    assert "grad_norm" not in step_of(network())(batch, Rates(0.1, 0.0), logged=False)
    assert "grad_norm" in step_of(network())(batch, Rates(0.1, 0.0), logged=True)
    assert "grad_norm" in step_of(network())(batch, Rates(0.1, 0.0, 1.0), logged=False)
    assert "grad_norm" not in step_of(network(), clip=None)(batch, Rates(0.1, 0.0), logged=True)


def test_gradients_can_be_looked_at_afterwards() -> None:
    model = network()
    step_of(model)(batches(1)[0], Rates(0.1, 0.0), keep_gradients=True)
    assert all(weight.grad is not None for weight in model.parameters())


def test_trial_steps_are_taken_back_whatever_happens_in_them() -> None:
    model = network()
    step = step_of(model, AdamW())
    first, second, third = batches(3)
    step(first, Rates(0.1, 0.1))
    drawn = torch.get_rng_state()

    def trial() -> None:
        with step.put_back():
            step(second, Rates(0.1, 0.1), keep_gradients=True)
            torch.rand(3)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        trial()
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(weight.grad is None for weight in model.parameters())
    step(third, Rates(0.1, 0.1))
    expected = after(first, third)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def after(*batches: Batch) -> dict[str, Tensor]:
    """The weights of a model that has made a step on each of these batches and no other."""
    model = network()
    step = step_of(model, AdamW())
    for batch in batches:
        step(batch, Rates(0.1, 0.1))
    return model.state_dict()
