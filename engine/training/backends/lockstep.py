"""Training steps of several members at once: batches, gradients, clipping, and the optimizers' steps, all in stacks.

A member is an ordinary task whose weights have become slices of a stack. What it alone decides, it decides itself: its rates, its
optimizer, its batches and its dropout are its own. Members with the same rates are stepped by one call for all.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.data.batches import StackedBatches
from torchtty.engine.training.backends.batched import BatchedGradients, Member, Stack, tried
from torchtty.engine.training.backends.selection import Unsuitable
from torchtty.engine.training.fused import Fused, moved_onto
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.optimizers import Optimizers, set_rates
from torchtty.engine.training.step import Batch, Carried, EagerStep, Metrics, Rates

_SGD_AND_KIN = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad, torch.optim.RMSprop)
"""Optimizers that treat each number of a weight by itself, so that a stack of weights is a weight like another."""


@dataclass(frozen=True)
class Trainee:
    """A member's task, and the generator that its dropout draws from."""

    task: NeuralTask[Any]
    generator: torch.Generator

    def member(self) -> Member:
        assert isinstance(self.task.step, EagerStep)
        [descent] = self.task.step.descents
        carrier = self.task.step.carried

        def loss(batch: Batch, state: tuple[Tensor, ...]) -> tuple[Tensor, Metrics, tuple[Tensor, ...]]:
            if carrier is None:
                return *descent.loss(batch), ()
            before = carrier.carried()
            carrier.carry(state)
            try:
                return *descent.loss(batch), carrier.carried()
            finally:
                carrier.carry(before)

        return Member(descent.network, loss, self.generator)


def check(tasks: Sequence[NeuralTask[Any]]) -> None:
    """Raise `Unsuitable` where tasks cannot do their steps at once; costs nothing."""
    for task in tasks:
        if not isinstance(task.step, EagerStep) or len(task.step.descents) != 1:
            raise Unsuitable("a step descends more than one loss")
        if task.configuration.training.precision != "float32":
            raise Unsuitable("it is for float32")
        if {n: w.shape for n, w in task.model.named_parameters()} != {
            n: w.shape for n, w in tasks[0].model.named_parameters()
        }:
            raise Unsuitable("its members have weights of other shapes")


class Lockstep:
    """Does the steps of members at once. Their weights become slices of its stacks when it is built."""

    def __init__(self, trainees: Sequence[Trainee]) -> None:
        """Raises `Unsuitable`, or what torch raises for what it cannot do for many at once; then the weights are as they were."""
        self._tasks = [trainee.task for trainee in trainees]
        self._members = [trainee.member() for trainee in trainees]
        [descent] = self._tasks[0].step.descents  # type: ignore[attr-defined]
        self._clip: str | None = descent.clip
        carriers = [task.step.carried for task in self._tasks]  # type: ignore[attr-defined]
        self._carriers: list[Carried] = [carrier for carrier in carriers if carrier is not None]
        own = [(tensor, tensor.data) for one in self._members for tensor in (one.weights | one.buffers).values()]
        self._stack = Stack(self._members)
        try:
            self.batch, state = self._first_batch(), self._carried()
            self._gradients = BatchedGradients(self._members, self._stack, self.batch, state)
            self.trial = tried(self._members, self._gradients, self.batch, state)
            if self.trial.difference:
                raise Unsuitable(f"it differs in {self.trial.difference}")
        except BaseException:  # an interrupt too: the tasks go on with their own weights
            for tensor, before in own:
                tensor.data = before
            raise
        for task in self._tasks:  # optimizers may hold on to the weights' former places
            optimizer: Optimizers = task.optimizer  # type: ignore[attr-defined]
            optimizer.load_state_dict(optimizer.state_dict())
        streams = [getattr(task, "_batches", None) for task in self._tasks]
        self._stacked = None if state or any(stream is None for stream in streams) else StackedBatches(streams)  # type: ignore[arg-type]
        self._groups: list[_AlikeRates] = []
        self._known: list[Any] = []  # the configurations that the groups were made for

    def rehearse(self) -> None:
        """Compute the gradients of the first batch; everything is as it was afterwards."""
        states = [member.generator.get_state() for member in self._members]
        buffers = [buffer.clone() for buffer in self._stack.buffers.values()]
        with torch.no_grad():
            self._gradients(self.batch, self._carried())
            for buffer, kept in zip(self._stack.buffers.values(), buffers, strict=True):
                buffer.copy_(kept)
        for member, before in zip(self._members, states, strict=True):
            member.generator.set_state(before)

    def steps(self, first: int, count: int, *, logged: bool) -> list[dict[str, Tensor | float]]:
        """Do `count` steps from number `first` on; return each member's metrics, (count,) or that of the last step.

        With `logged`, what is only looked at is computed at the last one.
        """
        if self._known != [task.configuration for task in self._tasks]:
            self._group_by_rates()
        found: list[Metrics] = []
        for step in range(first, first + count):
            last = logged and step == first + count - 1
            found.append(self._step(step, logged=last))
        return [
            metrics | {"learning_rate": task.rates(first + count - 1).learning_rate}
            for task, metrics in zip(self._tasks, _by_member(found, len(self._tasks)), strict=True)
        ]

    def _step(self, step: int, *, logged: bool) -> Metrics:
        batch, state = self._next_batch(), self._carried()
        results = self._gradients(batch, state)
        for number, carrier in enumerate(self._carriers):
            carrier.carry(tuple(part[number].clone() for part in results.state))
        rates = [(group, group.rates(step)) for group in self._groups]
        metrics = results.metrics
        if self._clip is not None:
            limits = [limit for group, own in rates for limit in [own.grad_clip] * group.count]
            metrics |= self._clipped(results.gradients, limits, logged=logged)
        for group, own in rates:
            group.step(results.gradients, own)
        return metrics

    # -- batches ----------------------------------------------------------------------------------------------------

    def _first_batch(self) -> Batch:
        """Return the batch that comes next, which is drawn again when it is wanted."""
        states = [task.drawing_state() for task in self._tasks]
        try:
            return self._drawn()
        finally:
            for task, state in zip(self._tasks, states, strict=True):
                kept = torch.get_rng_state()
                task.load_drawing_state(state)
                torch.set_rng_state(kept)

    def _next_batch(self) -> Batch:
        return self._stacked.next() if self._stacked is not None else self._drawn()

    def _drawn(self) -> Batch:
        return tuple(torch.stack(parts) for parts in zip(*(task.next_batch() for task in self._tasks), strict=True))

    def _carried(self) -> tuple[Tensor, ...]:
        each = [carrier.carried() for carrier in self._carriers]
        return tuple(torch.stack(parts) for parts in zip(*each, strict=True))

    # -- clipping and rates -----------------------------------------------------------------------------------------

    def _clipped(self, gradients: list[Tensor], limits: Sequence[float | Tensor | None], *, logged: bool) -> Metrics:
        """Clip each member's gradients by its own limit, as `clip_gradients` does; return their norms (M,) before."""
        clips = any(limit is not None for limit in limits)
        if not (clips or logged):
            return {}
        norm = torch.stack([torch.linalg.vector_norm(one.flatten(1), dim=1) for one in gradients]).norm(dim=0)  # (M,)
        if clips:
            limit = torch.tensor([float("inf") if one is None else float(one) for one in limits], device=norm.device)
            if self._clip == "norm":
                share = (limit / (norm + 1e-6)).clamp(max=1.0)
                torch._foreach_mul_(gradients, [_beside(share, one) for one in gradients])
            else:
                for one in gradients:
                    torch.clamp(one, -_beside(limit, one), _beside(limit, one), out=one)
        return {"grad_norm": norm}

    def _group_by_rates(self) -> None:
        """Put neighbours with the same optimizer and rates together; after a live edit each is stepped by itself."""
        edited = bool(self._known)
        self._known = [task.configuration for task in self._tasks]
        for group in self._groups:
            group.dissolve()
        weights = list(self._stack.weights.values())
        keys = [number if edited else _rates_of(task) for number, task in enumerate(self._tasks)]
        starts = [number for number, key in enumerate(keys) if number == 0 or key != keys[number - 1]]
        self._groups = [
            _AlikeRates(self._tasks, self._members, weights, range(start, end))
            for start, end in zip(starts, [*starts[1:], len(keys)], strict=True)
        ]


def _by_member(found: Sequence[Metrics], members: int) -> list[dict[str, Tensor | float]]:
    """Turn the metrics of steps, (M,) each, into those of members, (steps,) each; what only the last step has stays 0-D."""
    each: list[dict[str, Tensor | float]] = [{} for _ in range(members)]
    for name, last in found[-1].items():
        whole = name in found[0]
        stacked = torch.stack([one[name] for one in found]) if whole else last[None]  # (steps, M)
        for metrics, column in zip(each, stacked.unbind(1), strict=True):
            metrics[name] = column.clone() if whole else column[0].clone()
    return each


def _beside(values: Tensor, like: Tensor) -> Tensor:
    """Return numbers (M,) in a shape that is multiplied with a stack (M, ...)."""
    return values.view(-1, *[1] * (like.dim() - 1))


def _rates_of(task: NeuralTask[Any]) -> Any:
    training = task.configuration.training
    return task.configuration.optimizer, task.configuration.schedule, training.max_steps, task.grad_clip


class _AlikeRates:
    """Neighbours in a stack that have the same rates at every step, and are stepped by one optimizer where that can be."""

    def __init__(
        self, tasks: Sequence[NeuralTask[Any]], members: Sequence[Member], weights: Sequence[Tensor], numbers: range
    ) -> None:
        self._numbers, self.count = numbers, len(numbers)
        self._tasks = [tasks[number] for number in numbers]
        self._weights = [list(members[number].weights.values()) for number in numbers]
        self.rates: Callable[[int], Rates] = self._tasks[0].rates
        own: Optimizers = self._tasks[0].optimizer  # type: ignore[attr-defined]
        self._stacked: Fused | torch.optim.Optimizer | None = None
        self._given: list[Tensor] = []  # the gradients of the step before, which may be the same tensors again
        if self.count > 1 and _is_elementwise(own):
            assert isinstance(own, Fused | torch.optim.Optimizer)
            self._slices = [torch.nn.Parameter(one[numbers.start : numbers.stop]) for one in weights]
            pairs = zip(self._weights[0], self._slices, strict=True)
            self._stacked = moved_onto(own, {id(weight): piece for weight, piece in pairs})
            self._stacked.load_state_dict(_stacked_state([task.optimizer for task in self._tasks]))  # type: ignore[attr-defined]
            for number, task in enumerate(self._tasks):
                task.optimizer = _Share(task.optimizer, self._stacked, number)  # type: ignore[attr-defined]

    def step(self, gradients: Sequence[Tensor], rates: Rates) -> None:
        if self._stacked is not None:
            if len(gradients) != len(self._given) or any(map(operator.is_not, gradients, self._given)):
                self._given = list(gradients)
                for piece, gradient in zip(self._slices, gradients, strict=True):
                    piece.grad = gradient[self._numbers.start : self._numbers.stop]
            set_rates(self._stacked, rates.learning_rate, rates.weight_decay)
            self._stacked.step()
            return
        for number, task, weights in zip(self._numbers, self._tasks, self._weights, strict=True):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient[number]
            optimizer: Optimizers = task.optimizer  # type: ignore[attr-defined]
            set_rates(optimizer, rates.learning_rate, rates.weight_decay)
            optimizer.step()
            for weight in weights:
                weight.grad = None

    def dissolve(self) -> None:
        """Give each member its own optimizer back, with what it has learnt to remember."""
        for task in self._tasks:
            if isinstance(share := task.optimizer, _Share):  # type: ignore[attr-defined]
                share.own.load_state_dict(share.state_dict())
                task.optimizer = share.own  # type: ignore[attr-defined]


def _is_elementwise(optimizer: Optimizers) -> bool:
    return isinstance(optimizer, Fused) or type(optimizer) in _SGD_AND_KIN


def _stacked_state(optimizers: Sequence[Optimizers]) -> dict[str, Any]:
    """Return the state of an optimizer that steps the weights of several in stacks."""
    states = [optimizer.state_dict() for optimizer in optimizers]
    stacked = {
        index: {
            name: torch.stack([state["state"][index][name] for state in states]) if _is_of_weight(value) else value
            for name, value in memory.items()
        }
        for index, memory in states[0]["state"].items()
    }
    return states[0] | {"state": stacked}


def _is_of_weight(value: Any) -> bool:
    """Whether what is remembered has a number for each of a weight; the number of steps has none."""
    return isinstance(value, Tensor) and value.dim() > 0


class _Share:
    """What stands in for a member's optimizer while it is stepped together with others: a checkpoint asks it for its state."""

    def __init__(self, own: Any, stacked: Fused | torch.optim.Optimizer, number: int) -> None:
        self.own, self._stacked, self._number = own, stacked, number

    def state_dict(self) -> dict[str, Any]:
        """Return the member's share of the state, as its own optimizer would."""
        whole = self._stacked.state_dict()
        state = {
            index: {name: self._own_part(value) for name, value in memory.items()}
            for index, memory in whole["state"].items()
        }
        return {"state": state, "param_groups": whole["param_groups"]}

    def _own_part(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return (value[self._number] if _is_of_weight(value) else value).clone()
