"""A training step: weights, optimizer state, a batch and rates go in; moved weights, moved state and metrics come out.

Weights and state lie in the networks and optimizers that a step holds, and move there. `EagerStep` is what a step computes;
`torchtty.engine.training.backends` holds other ways to compute the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from torchtty.engine.devices import random_state_kept
from torchtty.engine.training.optimizers import (
    Optimizers,
    clip_gradients,
    gradient_norm,
    remembered_tensors,
    set_rates,
)

Batch = tuple[Tensor, ...]
Metrics = dict[str, Tensor]
"""Named results of a step, on the device where they were computed: 0-D, or (M,) from a step of M members at once."""
Loss = Callable[[Batch], tuple[Tensor, Metrics]]
"""From a batch to the loss that is differentiated, 0-D, and the batch's metrics, which take no part in that."""


class Rates(NamedTuple):
    """What may change from step to step: numbers, or 0-D tensors for a backend that must not be built anew for each."""

    learning_rate: float | Tensor
    weight_decay: float | Tensor
    grad_clip: float | Tensor | None = None  # none: gradients are not clipped


@dataclass(frozen=True)
class Descent:
    """A network, the loss that it descends, and the optimizer that moves its weights."""

    network: nn.Module
    loss: Loss
    optimizer: Optimizers
    clip: Literal["norm", "value"] | None = None  # none: its gradients are neither clipped nor measured
    pure: bool = True  # whether the loss depends on weights and batch alone, and changes nothing

    @cached_property
    def weights(self) -> list[nn.Parameter]:
        """The weights that are trained, without gradients between two steps."""
        return [weight for weight in self.network.parameters() if weight.requires_grad]


class Carried(Protocol):
    """What a step's losses go on from, beside weights and batch, and leave for the next step: tensors, detached."""

    def carried(self) -> tuple[Tensor, ...]:
        """Return what the next step goes on from, of the same shapes each time."""

    def carry(self, parts: tuple[Tensor, ...]) -> None:
        """Have the next step go on from these."""


class Step(Protocol):
    """One way to do a step."""

    moved: bool  # whether weights or optimizer state have begun to move since this was last set to False
    most: int  # steps that it does at once, if told to: `BlockStep` does more than one

    def __call__(self, batch: Batch, rates: Rates, *, logged: bool = True, keep_gradients: bool = False) -> Metrics:
        """Move weights and optimizer state; return the metrics.

        With `logged`, metrics that cost something and are only looked at are computed too. With `keep_gradients`, the weights
        have their gradients (as clipped) afterwards.
        """


class EagerStep:
    """Computes each loss, walks back over it by autograd, clips, and lets the optimizer step; one descent after the other."""

    most = 1
    tolerance = 0.0  # by which its results may differ from the eager ones, as a share of a tensor's largest number

    def __init__(self, *descents: Descent, carried: Carried | None = None) -> None:
        self.descents, self.carried = descents, carried
        self.moved = False
        self.scaler: torch.amp.GradScaler | None = None  # scales losses where gradients are too small for float16

    def __call__(self, batch: Batch, rates: Rates, *, logged: bool = True, keep_gradients: bool = False) -> Metrics:
        metrics: Metrics = {}
        for descent in self.descents:
            metrics |= self.computed(descent, batch)
            if self.scaler is not None:
                self.scaler.unscale_(descent.optimizer)  # type: ignore[arg-type]
            if descent.clip is not None:
                if rates.grad_clip is not None:
                    metrics["grad_norm"] = clip_gradients(descent.weights, descent.clip, rates.grad_clip)
                elif logged:
                    metrics["grad_norm"] = gradient_norm(descent.weights)
            set_rates(descent.optimizer, rates.learning_rate, rates.weight_decay)
            self.moved = True
            if self.scaler is None:
                descent.optimizer.step()
            else:
                self.scaler.step(descent.optimizer)  # type: ignore[arg-type]
            if not keep_gradients:
                descent.optimizer.zero_grad()
        if self.scaler is not None:
            self.scaler.update()
        return metrics

    def computed(self, descent: Descent, batch: Batch) -> Metrics:
        """Leave the gradients that a step descends in its weights; return the metrics of the step."""
        return self.gradients(descent, batch)

    def gradients(self, descent: Descent, batch: Batch) -> Metrics:
        """Leave the gradients of a batch in weights that have none; return the batch's metrics."""
        loss, metrics = descent.loss(batch)
        if self.scaler is not None:
            loss = self.scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        return metrics

    def tensors(self) -> list[Tensor]:
        """Return everything that a step changes in place: weights, running averages, and what the optimizers remember."""
        found: list[Tensor] = []
        for descent in self.descents:
            found += [*descent.weights, *descent.network.buffers(), *remembered_tensors(descent.optimizer)]
        return found

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Do trial steps: afterwards all that a step changes is as it was, torch's global generators included.

        The optimizers must have stepped before, so that what they remember is there.
        """
        before = [(tensor, tensor.detach().clone()) for tensor in self.tensors()]
        parts = tuple(part.clone() for part in self.carried.carried()) if self.carried is not None else ()
        with random_state_kept():
            try:
                yield
            finally:
                for descent in self.descents:
                    descent.optimizer.zero_grad()
                with torch.no_grad():
                    for tensor, value in before:
                        tensor.copy_(value)
                if self.carried is not None:
                    self.carried.carry(parts)
