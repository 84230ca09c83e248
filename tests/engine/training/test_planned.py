"""Results of a graph of kernel calls in places that are planned once: the same numbers, in little memory, call after call."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from torchtty.engine.training.backends.kernels import simplified

ATEN = torch.ops.aten


def planned(function: Callable[..., object], *arguments: Tensor, held: int = 0, fresh: int = 0) -> fx.GraphModule:
    module = make_fx(function)(*arguments)
    simplified(module, arguments, held=held, fresh=fresh)
    return module


def places(module: fx.GraphModule) -> set[int]:
    """The memory that calls write into."""
    given = [node.kwargs.get("out") for node in module.graph.nodes if node.op == "call_function"]
    return {getattr(module, one.target).untyped_storage().data_ptr() for one in given if isinstance(one, fx.Node)}


def turned(x: Tensor) -> Tensor:
    """What torch's recurrent cells do: turn their result itself, and change parts of what they have cut."""
    rows = torch.stack([x + 1, x * 2])
    rows.transpose_(0, 1)
    first, second = ATEN.unsafe_split(rows * 3, 2, 2)
    first.sigmoid_()
    return first.cumsum(0) + second * rows[..., :2]


def embedded(x: Tensor) -> Tensor:
    idx = (x * 2).long().abs().clamp_max(4)
    rows = ATEN.embedding(torch.arange(20.0).view(5, 4) * 2, idx)
    back = ATEN.embedding_dense_backward(rows * rows, idx, 5, -1, False)
    return back.t().clone() + back.sum(0, keepdim=True).t()


def normed(x: Tensor) -> Tensor:
    found = torch.nn.functional.layer_norm(x + 1, (4,))
    kept = torch.where(found > 0, found, x - 1)
    return torch.cat([kept, found.softmax(-1), torch.log_softmax(kept * kept, -1)]).contiguous()


@pytest.mark.parametrize("function", [turned, embedded, normed])
def test_planned_calls_return_the_same(function: Callable[[Tensor], Tensor]) -> None:
    module = planned(function, torch.randn(3, 4))
    assert places(module)
    for _ in range(3):
        x = torch.randn(3, 4)
        assert torch.equal(module.forward(x), function(x))


def test_numbers_read_for_the_last_time_are_written_over() -> None:
    def function(x: Tensor) -> Tensor:
        return ((x + 1).tanh() * 2).exp().sum(0)

    module = planned(function, torch.randn(30, 40))
    assert len(places(module)) == 2  # that of all in a row, and the sums'
    x = torch.randn(30, 40)
    assert torch.equal(module.forward(x), function(x))


def test_a_place_no_longer_wanted_is_given_to_the_next_that_fits() -> None:
    def function(x: Tensor) -> Tensor:
        for _ in range(6):
            x = (x @ x.t()).softmax(-1)
        return x

    module = planned(function, torch.randn(20, 20))
    assert len(places(module)) == 2
    x = torch.randn(20, 20)
    assert torch.equal(module.forward(x), function(x))


def test_numbers_wanted_later_are_not_written_over() -> None:
    def function(x: Tensor) -> Tensor:
        wanted = x + 1
        part = wanted[:1]  # a view, read later than what it shows
        return wanted.exp() + wanted.tanh().sum(0) * part

    module, x = planned(function, torch.randn(5, 4)), torch.randn(5, 4)
    assert torch.equal(module.forward(x), function(x))


def test_fresh_results_outlive_the_next_call_and_others_do_not() -> None:
    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 2, x * 3

    module = planned(function, torch.zeros(4), fresh=1)
    first = module.forward(torch.ones(4))
    second = module.forward(torch.full((4,), 5.0))
    assert first[0].tolist() == [2.0] * 4
    assert second[0].tolist() == [10.0] * 4
    assert first[1] is second[1]
    assert second[1].tolist() == [15.0] * 4


def test_what_is_held_may_change_between_calls() -> None:
    def function(x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight.t()

    x, weight = torch.randn(2, 3), torch.randn(4, 3)
    module = planned(function, x, weight, held=1)
    assert not [node for node in module.graph.nodes if node.name == "t"]  # the view of it is made once
    weight.add_(1)
    assert torch.equal(module.forward(x, weight), function(x, weight))


def test_what_is_zero_but_for_a_number_is_written_already_scaled() -> None:
    def function(idx: Tensor) -> Tensor:
        return torch.zeros(4, 5).scatter(1, idx, -1.0) * torch.full((4, 5), 0.25)

    module = planned(function, torch.randint(5, (4, 1)))
    assert [str(node.target) for node in module.graph.nodes if node.op == "call_function"] != []
    assert len([node for node in module.graph.nodes if node.op == "call_function"]) == 1
    idx = torch.randint(5, (4, 1))
    assert torch.equal(module.forward(idx), function(idx))
