"""Loss and gradients of a small model as a list of kernel calls, traced once.

For a model of ten thousand weights, finding the kernels (modules that call modules, autograd that notes what it will need and
walks back over it) takes about as long as running them. Which kernels they are never changes, so they are written down once
and called one after the other from then on. The same kernels on the same numbers give the same bits.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from torchtty.engine.training.backends.selection import Unsuitable, Workload
from torchtty.engine.training.step import Batch, Descent, EagerStep, Loss, Metrics, Rates

SMALL = 1e10  # floating-point operations a step above which the kernels take nearly all of the time
WORTH_TRACING = 2000  # steps to go from which on a trace pays: it takes as long as a thousand or two


class Traced:
    """Computes the same step without autograd, for models that draw no random numbers and keep no running averages."""

    name, device_type = "traced", "cpu"

    def check(self, eager: EagerStep, workload: Workload) -> None:
        if workload.precision != "float32":
            raise Unsuitable("it is for float32")
        if workload.operations > SMALL:
            raise Unsuitable("the model is so large that its kernels take nearly all of the time")
        if workload.steps < WORTH_TRACING:
            raise Unsuitable("too few steps are left for a trace to pay")
        if len(eager.descents) != 1 or not eager.descents[0].pure:
            raise Unsuitable("a step needs more than one batch and one loss")

    def build(self, eager: EagerStep, batch: Batch, rates: Rates) -> "TracedStep":  # noqa: ARG002 - they may change
        [descent] = eager.descents
        drawn, averages = torch.get_rng_state(), _changes(descent)
        eager.gradients(descent, batch)
        descent.optimizer.zero_grad()
        if not torch.equal(torch.get_rng_state(), drawn):
            raise Unsuitable("the model draws random numbers")
        if _changes(descent) != averages:
            raise Unsuitable("the model keeps running averages")
        return TracedStep(descent, batch)


def _changes(descent: Descent) -> int:
    """Return how often what the network keeps beside its weights has been changed."""
    return sum(buffer._version for buffer in descent.network.buffers())


class TracedStep(EagerStep):
    """A step whose gradients come from a trace, for batches shaped like the one it was traced with."""

    def __init__(self, descent: Descent, batch: Batch) -> None:
        super().__init__(descent)
        self._names = list(descent.loss(batch)[1])
        self._call = _traced(descent, batch)
        self._one = torch.ones(())  # the gradient of the loss with respect to itself
        self._values = [
            weight.detach() for weight in descent.weights
        ]  # the same numbers, of which autograd notes nothing

    def gradients(self, descent: Descent, batch: Batch) -> Metrics:
        found = self._call(self._one, *batch, *self._values)
        count = len(self._names)
        for weight, gradient in zip(descent.weights, found[count:], strict=True):
            weight.grad = gradient
        return dict(zip(self._names, found, strict=False))


def _traced(descent: Descent, batch: Batch) -> Callable[..., Any]:
    """Return a call of (1, *batch, *weights) that returns the metrics and the gradients, one a weight."""
    from torch.fx.experimental.proxy_tensor import make_fx

    model, weights = _Whole(descent.network, descent.loss), descent.weights
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]

    def metrics_and_gradients(one: Tensor, *arguments: Tensor) -> tuple[Tensor, ...]:
        values = arguments[len(batch) :]
        parameters = dict(zip(names, values, strict=True))
        loss, metrics = functional_call(model, parameters, arguments[: len(batch)])
        return *metrics.values(), *torch.autograd.grad(loss, values, one)

    module = make_fx(metrics_and_gradients)(torch.ones(()), *batch, *weights)
    _tidy(module)
    return module.forward


class _Whole(nn.Module):
    """A network and its loss as one module, whose weights can be replaced for a call."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network, self._loss = network, loss

    def forward(self, *batch: Tensor) -> tuple[Tensor, Metrics]:
        return self._loss(batch)


def _tidy(module: fx.GraphModule) -> None:
    """Leave out the calls that only matter to autograd, and call the others by torch's own names, which is quicker."""
    aten, graph = torch.ops.aten, module.graph
    for node in list(graph.nodes):
        if node.target in (aten.alias.default, aten.detach.default):
            node.replace_all_uses_with(node.args[0])
        elif node.target is aten.t.default and getattr(node.args[0], "target", None) is aten.t.default:
            node.replace_all_uses_with(node.args[0].args[0])  # turned over twice
    graph.eliminate_dead_code()
    for node in graph.nodes:
        if packet := getattr(node.target, "overloadpacket", None):
            name = packet.__name__
            node.target = getattr(torch, name, None) or getattr(Tensor, name, None) or node.target
    graph.set_codegen(fx.graph.CodeGen())  # arguments one by one, not a tree of them
    module.recompile()
