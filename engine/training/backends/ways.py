"""Other ways to compute what a kernel computes, the same to rounding, and the quicker one of two by timing them."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from torchtty.engine.training.backends.planned import Layout

_ATEN = torch.ops.aten


def _transposed_product(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products (M, R, N) of stacks of matrices, computed as (BᵀAᵀ)ᵀ: libraries are slow where N is small and no multiple of 16."""
    product = torch.bmm(b.transpose(1, 2), a.transpose(1, 2)).transpose(1, 2)
    return product.contiguous() if out is None else out.copy_(product)


def _tanh(x: Tensor, *, out: Tensor | None = None) -> Tensor:
    """tanh(x) = 2·sigmoid(2x) - 1: torch's own tanh took ten times as long as its sigmoid on one CPU."""
    return torch.mul(x, 2, out=out).sigmoid_().mul_(2).sub_(1)


def _added_rows(
    gradient: Tensor, idx: Tensor, rows: int, padding: int, scale: bool, *, out: Tensor | None = None
) -> Tensor:
    """The gradient of an embedding's weights, row by row."""
    assert padding < 0
    assert not scale
    width = gradient.shape[-1]
    total = gradient.new_zeros(rows, width) if out is None else out.zero_()
    return total.index_add_(0, idx.reshape(-1), gradient.reshape(-1, width))


def _rows_of(weight: Tensor, idx: Tensor, *of_the_gradient: Any, out: Tensor | None = None) -> Tensor:
    """An embedding of `idx`, as torch looks it up."""
    if out is None:
        return torch.embedding(weight, idx, *of_the_gradient)
    torch.index_select(weight, 0, idx.reshape(-1), out=out.view(-1, weight.shape[1]))
    return out


def _copied(x: Tensor, *, memory_format: torch.memory_format | None = None, out: Tensor | None = None) -> Tensor:
    return x.clone(memory_format=memory_format) if out is None else out.copy_(x)


_CAN_WRITE: dict[Any, Callable[..., Tensor]] = {_ATEN.embedding.default: _rows_of, _ATEN.clone.default: _copied}
"""What does the same as kernels of torch's that cannot write where they are told to."""

_WAYS: dict[Any, Callable[..., Tensor]] = {
    _ATEN.bmm.default: _transposed_product,
    _ATEN.tanh.default: _tanh,
    _ATEN.embedding_dense_backward.default: _added_rows,
}
REPETITIONS = 5  # of a kernel that is timed
WORTH_TIMING = 4096  # numbers that a kernel takes or returns, below which all ways take as long as the call


def take_quicker_ways(module: fx.GraphModule, layouts: Mapping[fx.Node, Layout]) -> None:
    """Compute each kernel that can be computed in two ways in the one that is quicker here, timed on numbers laid out alike."""
    chosen: dict[Any, bool] = {}
    for node in module.graph.nodes:
        other = _WAYS.get(node.target)
        layout = layouts.get(node)
        if other is None or layout is None or layout[3:] != (torch.float32, torch.device("cpu")):
            continue
        if node.target is _ATEN.embedding_dense_backward.default and (node.args[3] >= 0 or node.args[4]):
            continue
        if not all(one in layouts for one in node.all_input_nodes):  # a constant
            continue
        key = node.target, tuple(layouts[one][1:] if isinstance(one, fx.Node) else one for one in node.args)
        if key not in chosen:
            chosen[key] = _is_quicker(other, node, layouts)
        if chosen[key]:
            node.target = other


def _is_quicker(other: Callable[..., Tensor], node: fx.Node, layouts: Mapping[fx.Node, Layout]) -> bool:
    if max(math.prod(layouts[one][1]) for one in (node, *node.all_input_nodes)) < WORTH_TIMING:
        return False
    args = fx.map_arg(node.args, lambda one: _sample(layouts[one]))
    ways: tuple[Any, ...] = (node.target, other)
    seconds = [float("inf")] * len(ways)
    for _ in range(REPETITIONS):
        for number, way in enumerate(ways):
            began = time.perf_counter()
            way(*args)
            seconds[number] = min(seconds[number], time.perf_counter() - began)
    return seconds[1] < seconds[0]


def _sample(layout: Layout) -> Tensor:
    """Return numbers in a layout; those that number something are all 0."""
    _, shape, stride, dtype, device = layout
    made = torch.empty_strided(shape, stride, dtype=dtype, device=device)
    return made.uniform_(-1, 1, generator=torch.Generator().manual_seed(0)) if dtype.is_floating_point else made.zero_()


def can_write_into_places(module: fx.GraphModule) -> None:
    """Let kernels that always ask for memory be computed in a way that can write where it is told to."""
    for node in module.graph.nodes:
        node.target = _CAN_WRITE.get(node.target, node.target)
