"""Loss and gradients of a small model as a list of kernel calls, traced once.

For a model of ten thousand weights, finding the kernels (modules that call modules, autograd that notes what it will need and
walks back over it) takes about as long as running them. Which kernels they are never changes, so they are written down once
and called one after the other from then on. The same kernels on the same numbers give the same bits; whether they do is
tried out before it is relied upon.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

Gradients = Callable[[Tensor, Tensor], Tensor]
"""Leaves the gradients of a batch (x, y) in the weights, which have none, and returns its mean loss, 0-D."""

SMALL = 1e8  # floating-point operations a step above which the kernels take nearly all of the time
TRIALS = 10  # steps timed either way


def by_autograd(model: nn.Module) -> Gradients:
    """Return what any model can do: a pass forward and one back."""

    def gradients(x: Tensor, y: Tensor) -> Tensor:
        loss: Tensor = model(x, y)[1]
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradients


def quickest(model: nn.Module, x: Tensor, y: Tensor) -> Gradients:
    """Return what leaves the gradients of batches shaped like `x` and `y` in the weights soonest.

    The model's weights may change afterwards, their number and place may not. They have no gradients before or after.
    """
    usual, by_trace = by_autograd(model), traced(model, x, y)
    if by_trace is None:
        return usual
    weights = _learned(model)
    return min((by_trace, usual), key=lambda gradients: _seconds(gradients, weights, x, y))


def traced(model: nn.Module, x: Tensor, y: Tensor) -> Gradients | None:
    """Return autograd's gradients without autograd, to the bit, for batches shaped like `x` and `y`; None if they differ.

    A model that draws random numbers or keeps running averages is not traced.
    """
    if any(True for _ in model.buffers()):
        return None
    weights, usual, drawn = _learned(model), by_autograd(model), torch.get_rng_state()
    try:
        usual(x, y)
        _forget(weights)
        if not torch.equal(torch.get_rng_state(), drawn):
            return None
        by_trace = _without_autograd(model, x, y)
        batches = (x, y), (x.flip(0), y.flip(0))
        return by_trace if all(_same(usual, by_trace, weights, *batch) for batch in batches) else None
    except (RuntimeError, TypeError, NotImplementedError):
        # What torch raises for an operation that cannot be traced and for a weight that nothing depends on. A fault of the
        # model itself comes again, and is told, in the step by autograd that follows.
        return None
    finally:
        torch.set_rng_state(drawn)
        _forget(weights)


def _learned(model: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in model.parameters() if weight.requires_grad]


def _without_autograd(model: nn.Module, x: Tensor, y: Tensor) -> Gradients:
    from torch.fx.experimental.proxy_tensor import make_fx

    weights = _learned(model)
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    one = torch.ones(())  # the gradient of the loss with respect to itself

    def loss_and_gradients(one: Tensor, x: Tensor, y: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        loss = functional_call(model, dict(zip(names, values, strict=True)), (x, y))[1]
        return loss, *torch.autograd.grad(loss, values, one)

    module = make_fx(loss_and_gradients)(one, x, y, *weights)
    _tidy(module)
    call = module.forward

    @torch.no_grad()
    def gradients(x: Tensor, y: Tensor) -> Tensor:
        loss, *found = call(one, x, y, *weights)
        for weight, gradient in zip(weights, found, strict=True):
            weight.grad = gradient
        return loss  # type: ignore[no-any-return]

    return gradients


def _tidy(module: fx.GraphModule) -> None:
    """Leave out the calls that only matter to autograd, and call the others by torch's own names, which is quicker."""
    aten, graph = torch.ops.aten, module.graph
    for node in list(graph.nodes):
        if node.target in (aten.alias.default, aten.detach.default):
            node.replace_all_uses_with(node.args[0])
        elif node.target is aten.t.default and getattr(node.args[0], "target", None) is aten.t.default:
            node.replace_all_uses_with(node.args[0].args[0])  # turned over twice
        elif packet := getattr(node.target, "overloadpacket", None):
            name = packet.__name__
            node.target = getattr(torch, name, None) or getattr(Tensor, name, None) or node.target
    graph.eliminate_dead_code()
    graph.set_codegen(fx.graph.CodeGen())  # arguments one by one, not a tree of them
    module.recompile()


def _same(usual: Gradients, by_trace: Gradients, weights: list[nn.Parameter], x: Tensor, y: Tensor) -> bool:
    """Whether both give the same bits, in the same order in memory, and no two weights the same memory."""
    found: list[list[Any]] = []
    for gradients in (usual, by_trace):
        loss = gradients(x, y)
        found.append([loss, *(weight.grad for weight in weights)])
        _forget(weights)
    alike = all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(*found, strict=True))
    return alike and len({tensor.data_ptr() for tensor in found[1]}) == len(found[1])


def _seconds(gradients: Gradients, weights: list[nn.Parameter], x: Tensor, y: Tensor) -> float:
    """Return how long a step takes when nothing else is in the way."""
    times = []
    for _ in range(TRIALS):
        began = time.perf_counter()
        gradients(x, y)
        times.append(time.perf_counter() - began)
        _forget(weights)
    return min(times)


def _forget(weights: list[nn.Parameter]) -> None:
    for weight in weights:
        weight.grad = None
