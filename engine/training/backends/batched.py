"""Loss and gradients of many models of one shape at once: their weights lie in stacks, and a kernel computes for all of them.

For a model of ten thousand weights a kernel takes little longer for ten members than for one. What is called is what `vmap`
of torch.func makes of the model's own code, traced once (see `kernels.py`): a product of matrices becomes a product of stacks of
them. Each member draws its dropout from its own generator, the very numbers that it would draw alone. The sums are added up in
another order than alone, so that members agree with their solo runs to rounding, not to the bit.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, grad, vmap
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from torchtty.engine.training.backends.kernels import simplified
from torchtty.engine.training.backends.selection import Unsuitable
from torchtty.engine.training.step import Batch, Metrics

_ATEN = torch.ops.aten
TOLERANCE = 1e-4
"""How far a gradient may lie from the member's own, as a share of that gradient's largest number. Rounding comes to some 1e-6;
what is wrong differs by more than half."""

TRIALS = 2  # times that both are computed and timed

State = tuple[Tensor, ...]
StatefulLoss = Callable[[Batch, State], tuple[Tensor, Metrics, State]]
"""From a batch and what the step before left behind to the loss that is differentiated, the metrics, and what it leaves behind."""


@dataclass(frozen=True)
class Member:
    """A network with its loss, and the generator that its losses draw from."""

    network: nn.Module
    loss: StatefulLoss
    generator: torch.Generator

    @property
    def weights(self) -> dict[str, Tensor]:
        return {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}

    @property
    def buffers(self) -> dict[str, Tensor]:
        return dict(self.network.named_buffers())


class Stack:
    """The weights and buffers of members, one behind the other; each member's own tensors become slices of it."""

    def __init__(self, members: Sequence[Member]) -> None:
        first = members[0]
        self.weights = {name: _stacked([member.weights[name] for member in members]) for name in first.weights}
        self.buffers = {name: _stacked([member.buffers[name] for member in members]) for name in first.buffers}
        own = self.weights | self.buffers
        for number, member in enumerate(members):
            for name, tensor in (member.weights | member.buffers).items():
                tensor.data = own[name][number]


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([tensor.detach() for tensor in tensors])


@dataclass(frozen=True)
class Results:
    """What one step of all members has computed, each with the members' dimension in front."""

    metrics: Metrics
    gradients: list[Tensor]
    state: State


class BatchedGradients:
    """Computes loss and gradients of all members, for batches shaped like the one it was built with."""

    def __init__(self, members: Sequence[Member], stack: Stack, batch: Batch, state: State) -> None:
        """Trace the step. Raises `Unsuitable`, or what torch raises for what it cannot do for many at once."""
        keeps = [_shares_kept(member, _of(batch, number), _of(state, number)) for number, member in enumerate(members)]
        base = max(range(len(members)), key=lambda number: len(keeps[number]))
        self._values = [*stack.weights.values(), *stack.buffers.values()]
        self._names: list[str] = []
        self._sizes = len(stack.weights), len(state)
        module = self._traced(members[base], stack, batch, state)
        _draw_for_each(module, [_like(keeps[base], keep) for keep in keeps], [member.generator for member in members])
        states = [member.generator.get_state() for member in members]
        buffers = [buffer.clone() for buffer in stack.buffers.values()]
        try:
            self._call = simplified(
                module, (*batch, *state, *self._values), held=len(self._values), fresh=len(self._names)
            )
        finally:
            for member, before in zip(members, states, strict=True):
                member.generator.set_state(before)
            for buffer, kept in zip(stack.buffers.values(), buffers, strict=True):
                buffer.copy_(kept)

    def __call__(self, batch: Batch, state: State) -> Results:
        found = self._call(*batch, *state, *self._values)
        metrics, (weights, _) = len(self._names), self._sizes
        return Results(
            dict(zip(self._names, found, strict=False)),
            list(found[metrics : metrics + weights]),
            tuple(found[metrics + weights :]),
        )

    def _traced(self, member: Member, stack: Stack, batch: Batch, state: State) -> fx.GraphModule:
        from torch.fx.experimental.proxy_tensor import make_fx

        names, held = list(stack.weights), list(stack.buffers)
        whole = _Whole(member)

        def loss(weights: Sequence[Tensor], buffers: Sequence[Tensor], batch: Batch, state: State) -> Any:
            own = dict(zip(names, weights, strict=True)) | dict(zip(held, buffers, strict=True))
            lowered, metrics, after = functional_call(
                whole, {f"network.{k}": v for k, v in own.items()}, (batch, state)
            )
            self._names = list(metrics)
            return lowered, (tuple(metrics.values()), after)

        def step(*arguments: Tensor) -> tuple[Tensor, ...]:
            given, rest = arguments[: len(batch)], arguments[len(batch) :]
            carried, values = rest[: len(state)], rest[len(state) :]
            weights, buffers = list(values[: len(names)]), list(values[len(names) :])
            gradients, (metrics, after) = vmap(grad(loss, has_aux=True), randomness="different")(
                weights, buffers, given, carried
            )
            return *metrics, *(one.contiguous() for one in gradients), *after

        buffers = [buffer.clone() for buffer in stack.buffers.values()]
        drawn = torch.get_rng_state()
        try:
            # oneDNN computes a whole recurrence in one call, of one member only.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is called once a member; whether that pays is timed
                with torch.backends.mkldnn.flags(enabled=False), _WithoutLooking():
                    return make_fx(step)(*batch, *state, *self._values)
        finally:
            torch.set_rng_state(drawn)
            for buffer, kept in zip(stack.buffers.values(), buffers, strict=True):
                buffer.copy_(kept)


class _Whole(nn.Module):
    """A member's network and loss as one module, whose weights can be replaced for a call."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self.network, self._loss = member.network, member.loss

    def forward(self, batch: Batch, state: State) -> tuple[Tensor, Metrics, State]:
        return self._loss(batch, state)


class _WithoutLooking(TorchFunctionMode):
    """Computes one-hot vectors without a look at the numbers, which those of many members do not allow."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.one_hot and len(args) == 2:
            return (args[0].unsqueeze(-1) == torch.arange(args[1], device=args[0].device)).to(torch.int64)
        return func(*args, **(kwargs or {}))


def _of(tensors: Sequence[Tensor], number: int) -> tuple[Tensor, ...]:
    return tuple(tensor[number] for tensor in tensors)


# -- dropout ------------------------------------------------------------------------------------------------------------


class _Draws(TorchDispatchMode):
    """Notes which share of the numbers each dropout keeps, and refuses what else draws."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[float] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (_ATEN.bernoulli_.float, _ATEN.bernoulli.p):
            self.kept.append(float(args[1]))
        elif torch.Tag.nondeterministic_seeded in func.tags:
            before, result = torch.get_rng_state(), func(*args, **(kwargs or {}))
            if not torch.equal(torch.get_rng_state(), before):
                raise Unsuitable(f"the model draws random numbers in another way than by dropout ({func})")
            return result
        return func(*args, **(kwargs or {}))


def _shares_kept(member: Member, batch: Batch, state: State) -> list[float]:
    """Return the share that each dropout of a member keeps, in the order in which they draw."""
    buffers, drawn = [buffer.clone() for buffer in member.buffers.values()], torch.get_rng_state()
    with _Draws() as draws:
        member.loss(batch, state)
    torch.set_rng_state(drawn)
    with torch.no_grad():
        for buffer, kept in zip(member.buffers.values(), buffers, strict=True):
            buffer.copy_(kept)
    return draws.kept


def _like(base: Sequence[float], own: Sequence[float]) -> list[float]:
    """Return the shares kept where the base draws; a member without dropout draws nowhere and keeps all."""
    if own and len(own) != len(base):
        raise Unsuitable("its members do not draw at the same places")
    return list(own) or [1.0] * len(base)


def _draw_for_each(
    module: fx.GraphModule, keeps: Sequence[Sequence[float]], generators: Sequence[torch.Generator]
) -> None:
    """Let each member of a traced step draw its dropout from its own generator.

    Torch draws zeros and ones and divides them by the share it keeps, in place: both are done here, for each member's share.
    """
    places = [node for node in module.graph.nodes if node.target in (_ATEN.bernoulli_.float, _ATEN.bernoulli.p)]
    if len(places) != len(keeps[0]):
        raise Unsuitable("a dropout draws once for all members")
    for place, node in enumerate(places):
        drawn = _Mask([float(keep[place]) for keep in keeps], generators)
        with module.graph.inserting_before(node):
            mask = module.graph.call_function(drawn, (node.args[0],))
        for user in list(node.users):
            if user.target is _ATEN.div_.Scalar:
                user.replace_all_uses_with(mask)
                module.graph.erase_node(user)
        if node.users:
            raise Unsuitable("a dropout is not computed as torch does it on the CPU")
        module.graph.erase_node(node)
    module.recompile()


class _Mask:
    """Draws what the members' numbers are multiplied by in a dropout: 0, or 1 over the share that is kept."""

    def __init__(self, keeps: Sequence[float], generators: Sequence[torch.Generator]) -> None:
        self._keeps, self._generators = keeps, generators
        self.__name__ = "mask"

    def __call__(self, like: Tensor, *, out: Tensor | None = None) -> Tensor:
        mask = torch.empty_like(like) if out is None else out
        for own, keep, generator in zip(mask, self._keeps, self._generators, strict=True):
            if keep < 1:
                own.bernoulli_(keep, generator=generator).div_(keep)
            else:
                own.fill_(1.0)
        return mask


# -- the proof ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """What a batched step was tried against: in what it differs from the members' own by more than rounding, "" where in nothing,
    and the seconds that it and they have taken.
    """

    difference: str
    batched: float
    own: float


def tried(members: Sequence[Member], gradients: BatchedGradients, batch: Batch, state: State) -> Trial:
    """Compute loss and gradients both ways. Nothing has changed afterwards."""
    states = [member.generator.get_state() for member in members]
    buffers = [buffer.clone() for member in members for buffer in member.buffers.values()]
    drawn, difference = torch.get_rng_state(), ""
    batched, own = [], []
    try:
        for _ in range(TRIALS):
            for member, before in zip(members, states, strict=True):
                member.generator.set_state(before)
            _put(members, buffers)
            began = time.perf_counter()
            with torch.no_grad():
                found = gradients(batch, state)
            batched.append(time.perf_counter() - began)
            after = [buffer.clone() for member in members for buffer in member.buffers.values()]
            _put(members, buffers)
            began = time.perf_counter()
            for number, member in enumerate(members):
                torch.set_rng_state(states[number])
                difference = difference or _difference(member, number, found, batch, state)
            own.append(time.perf_counter() - began)
        if not difference and not all(map(_close, [b for m in members for b in m.buffers.values()], after)):
            difference = "running averages"
    finally:
        torch.set_rng_state(drawn)
        for member, before in zip(members, states, strict=True):
            member.generator.set_state(before)
        _put(members, buffers)
    return Trial(difference, min(batched), min(own))


def _difference(member: Member, number: int, found: Results, batch: Batch, state: State) -> str:
    """Compute a member's own loss and gradients, and return what of the batched ones differs from them."""
    lowered, metrics, left = member.loss(_of(batch, number), _of(state, number))
    own = torch.autograd.grad(lowered, list(member.weights.values()))
    if not torch.equal(torch.get_rng_state(), member.generator.get_state()):
        return "random numbers"
    pairs = [("metrics", metrics[name], found.metrics[name][number]) for name in metrics]
    pairs += [("gradients", mine, theirs[number]) for mine, theirs in zip(own, found.gradients, strict=True)]
    pairs += [("state", mine, theirs[number]) for mine, theirs in zip(left, found.state, strict=True)]
    return next((name for name, mine, theirs in pairs if not _close(mine, theirs)), "")


def _put(members: Sequence[Member], buffers: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for own, value in zip([b for member in members for b in member.buffers.values()], buffers, strict=True):
            own.copy_(value)


def _close(expected: Tensor, found: Tensor) -> bool:
    expected, found = expected.detach().double(), found.detach().double()
    scale = float(expected.abs().amax()) if expected.numel() else 0.0
    return bool(((expected - found).abs() <= TOLERANCE * scale + 1e-9).all())
