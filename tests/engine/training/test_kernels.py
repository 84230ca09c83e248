"""The list of kernels of a batched step: shorter than its trace, and the same to rounding whichever way each is computed."""

import pytest
import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from torchtty.engine.training.backends import ways
from torchtty.engine.training.backends.kernels import simplified


def traced(function: object, *arguments: Tensor) -> fx.GraphModule:
    return make_fx(function)(*arguments)  # type: ignore[no-any-return,arg-type]


def calls(module: fx.GraphModule) -> list[str]:
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def test_views_that_change_nothing_and_equal_results_are_left_out() -> None:
    def function(x: Tensor) -> Tensor:
        same = x.view(x.shape).expand(4, 6).permute(0, 1).t().t()
        return (same + 1) * (x + 1) * 1

    x = torch.randn(4, 6)
    module = traced(function, x)
    before = len(calls(module))
    call = simplified(module, (x,))
    assert torch.equal(call(x), function(x))
    assert len(calls(module)) == 2 < before


def test_what_is_the_same_at_every_step_is_computed_once() -> None:
    def function(idx: Tensor, table: Tensor) -> Tensor:
        offsets = torch.arange(0, 30, 10).view(3, 1)
        return table[idx + offsets] + torch.ones_like(table)[:3, :1].unsqueeze(-1)

    idx, table = torch.randint(10, (3, 5)), torch.randn(30, 2)
    module = traced(function, idx, table)
    call = simplified(module, (idx, table))
    assert "aten.arange" not in "".join(calls(module))
    other = torch.randint(10, (3, 5))
    assert torch.equal(call(other, table), function(other, table))


def test_what_is_changed_in_place_is_changed_and_read_afterwards() -> None:
    def function(x: Tensor, average: Tensor) -> Tensor:
        before = average + 1
        average.mul_(0.5).add_(x)
        return torch.stack([before, average + 1])

    x, average = torch.randn(3), torch.randn(3)
    twin = average.clone()
    expected = function(x, twin)
    call = simplified(traced(function, x, average.clone()), (x, average.clone()))
    assert torch.equal(call(x, average), expected)
    assert torch.equal(average, twin)


@pytest.mark.parametrize("other", [False, True])
def test_each_kernel_gives_the_same_in_either_way(other: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "_is_quicker", lambda *_: other)
    aten = torch.ops.aten

    def function(a: Tensor, b: Tensor, gradient: Tensor, idx: Tensor) -> Tensor:
        rows = aten.embedding_dense_backward(gradient, idx, 9, -1, False)
        return torch.cat([torch.bmm(a, b.transpose(1, 2)).tanh().flatten(), rows.flatten()])

    a, b = torch.randn(3, 16, 5), torch.randn(3, 7, 5)
    gradient, idx = torch.randn(4, 6, 2), torch.randint(9, (4, 6))
    module = traced(function, a, b, gradient, idx)
    call = simplified(module, (a, b, gradient, idx))
    assert ("transposed_product" in "".join(calls(module))) == other
    assert torch.allclose(call(a, b, gradient, idx), function(a, b, gradient, idx), atol=1e-6)
