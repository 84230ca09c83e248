"""An optimizer's step as one call of torch's fused kernel.

For a model of ten thousand weights torch.optim spends more time on finding out what to do than on doing it: it looks up each
weight's state, sorts tensors by device and type, enters and leaves the profiler. What it finds does not change from step to
step, so here it is found once.

The kernels are private to torch and may change with it, so each is compared with torch's own step before it is used.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Lists:
    """Weights, and beside each what the optimizer remembers of it, in the order of the optimizer's groups."""

    weights: list[Tensor]
    memory: dict[str, list[Tensor]]
    steps: list[Tensor]  # how many steps each weight has made, 0-D


PROOF_STEPS = 4
PROOF_SIZE = 1000  # numbers of each weight that the proof is done on: the kernels treat every number alike


def fused(optimizer: torch.optim.Optimizer) -> "Fused | torch.optim.Optimizer":
    """Return an optimizer's quicker form if it takes the same steps to the bit, else the optimizer itself."""
    types = {weight.dtype for group in optimizer.param_groups for weight in group["params"]}
    return Fused(optimizer) if type(optimizer) in KERNELS and len(types) == 1 and _proved(optimizer) else optimizer


def _proved(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the kernel steps as torch does, tried on copies of the weights while the rates move."""
    usual, candidate = _on_copies(optimizer), _on_copies(optimizer)
    generator = torch.Generator().manual_seed(0)
    try:
        quick = Fused(candidate)
        for number in range(PROOF_STEPS):
            for mine, other in zip(_weights(usual), _weights(candidate), strict=True):
                gradient = torch.randn(mine.shape, generator=generator)
                mine.grad, other.grad = gradient.to(mine.dtype), gradient.to(mine.dtype)
            for each in (usual, candidate):
                for group in each.param_groups:  # with equal decays all groups are stepped at once
                    group["lr"], group["weight_decay"] = 0.1 / (number + 1), 0.01 * (number % 2 or group["decayed"])
            usual.step()
            quick.step()
    except (AttributeError, RuntimeError, TypeError, ValueError):  # the kernel is missing, or wants something else
        return False
    return all(torch.equal(a, b) for a, b in zip(_tensors(usual), _tensors(candidate), strict=True))


def _on_copies(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return a copy of an optimizer that has not stepped yet, with copies of its weights cut short."""
    short = {
        id(weight): torch.nn.Parameter(weight.detach().flatten()[:PROOF_SIZE].clone()) for weight in _weights(optimizer)
    }
    return copy.deepcopy(optimizer, short)


def moved_onto(
    optimizer: "Fused | torch.optim.Optimizer", weights: Mapping[int, Tensor]
) -> "Fused | torch.optim.Optimizer":
    """Return a copy of an optimizer for other weights, those that stand here by the id of its own.

    What it remembers is copied as it is: where the others have another shape it must be replaced.
    """
    if isinstance(optimizer, Fused):
        return Fused(copy.deepcopy(optimizer._optimizer, dict(weights)))
    return copy.deepcopy(optimizer, dict(weights))


def _weights(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return weights, and what is remembered of them."""
    state = [value for memory in optimizer.state.values() for value in memory.values() if isinstance(value, Tensor)]
    return _weights(optimizer) + state


class Fused:
    """Steps a torch optimizer built with `fused=True` for weights of one type on the CPU, to the same bits.

    Torch's own step makes the state, and does what is out of the ordinary; groups with the same rates are stepped together.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._kernel, self._remembered = KERNELS[type(optimizer)]
        self._weights = _weights(optimizer)
        self._all: Lists | None = None  # None until torch has made the state
        self._groups: list[Lists] = []
        self._steps: Tensor | None = None  # (weights,): what each weight's `step` is a view of
        self._gather()

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self._optimizer.param_groups

    def zero_grad(self) -> None:
        for weight in self._weights:
            weight.grad = None

    def step(self) -> None:
        gradients = [weight.grad for weight in self._weights]
        if self._all is None or any(gradient is None for gradient in gradients):
            self._optimizer.step()
            self._gather()
            return
        if self._steps is not None:
            self._steps += 1
        groups = self.param_groups
        if all(group["weight_decay"] == groups[0]["weight_decay"] for group in groups):
            self._kernel(groups[0], gradients, self._all)
            return
        first = 0
        for group, lists in zip(groups, self._groups, strict=True):
            last = first + len(lists.weights)
            self._kernel(group, gradients[first:last], lists)
            first = last

    def state_dict(self) -> dict[str, Any]:
        return self._optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._optimizer.load_state_dict(state)
        self._gather()

    def _gather(self) -> None:
        """Take hold of what the optimizer remembers, if it is there already."""
        state, defaults = self._optimizer.state, self._optimizer.defaults
        remembered = [name for name in self._remembered if name != "momentum_buffer" or defaults["momentum"]]
        if any(state[weight].get(name) is None for weight in self._weights for name in remembered):
            return
        if "step" in remembered:
            self._steps = torch.stack([state[weight]["step"] for weight in self._weights])
            for number, weight in enumerate(self._weights):
                state[weight]["step"] = self._steps[number]

        def lists(weights: list[Tensor]) -> Lists:
            memory = {name: [state[weight][name] for weight in weights] for name in remembered}
            # Detached, they may change in place without leaving autograd for each step.
            return Lists([weight.detach() for weight in weights], memory, memory.pop("step", []))

        self._all, self._groups = lists(self._weights), [lists(group["params"]) for group in self.param_groups]


Kernel = Callable[[dict[str, Any], list[Any], Lists], None]


def _adamw(group: dict[str, Any], gradients: list[Any], lists: Lists) -> None:
    torch._fused_adamw_(*_adam_tensors(gradients, lists), **_adam_numbers(group))


def _adam(group: dict[str, Any], gradients: list[Any], lists: Lists) -> None:
    torch._fused_adam_(*_adam_tensors(gradients, lists), **_adam_numbers(group))


def _adam_tensors(gradients: list[Any], lists: Lists) -> tuple[Any, ...]:
    return lists.weights, gradients, lists.memory["exp_avg"], lists.memory["exp_avg_sq"], [], lists.steps


def _adam_numbers(group: dict[str, Any]) -> dict[str, Any]:
    beta1, beta2 = group["betas"]
    rates = {"lr": group["lr"], "weight_decay": group["weight_decay"], "eps": group["eps"]}
    return {**rates, "beta1": beta1, "beta2": beta2, "amsgrad": False, "maximize": False}


def _adagrad(group: dict[str, Any], gradients: list[Any], lists: Lists) -> None:
    numbers = {name: group[name] for name in ("lr", "lr_decay", "weight_decay", "eps")}
    torch._fused_adagrad_(lists.weights, gradients, lists.memory["sum"], lists.steps, **numbers, maximize=False)


def _sgd(group: dict[str, Any], gradients: list[Any], lists: Lists) -> None:
    torch._fused_sgd_(
        lists.weights,
        gradients,
        lists.memory.get("momentum_buffer", []),
        weight_decay=group["weight_decay"],
        momentum=group["momentum"],
        lr=group["lr"],
        dampening=0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


KERNELS: dict[type[torch.optim.Optimizer], tuple[Kernel, tuple[str, ...]]] = {
    torch.optim.AdamW: (_adamw, ("exp_avg", "exp_avg_sq", "step")),
    torch.optim.Adam: (_adam, ("exp_avg", "exp_avg_sq", "step")),
    torch.optim.Adagrad: (_adagrad, ("sum", "step")),
    torch.optim.SGD: (_sgd, ("momentum_buffer",)),
}
"""What is called for each optimizer, and the names of what it remembers of a weight."""
