"""A graph of kernel calls, as a trace leaves it, without the calls that compute nothing new, each computed in its quickest way.

A trace writes down all that was called: views that show the same numbers as an earlier one, constants made anew at each step,
the same result asked for twice. Between kernels of a few microseconds these take most of the time.
"""

import math
import operator
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

_ATEN = torch.ops.aten
NEVER_A_TARGET = -100  # what cross-entropy leaves out where it is not told otherwise; our targets are -1 or tokens
_VIEWS = {_ATEN._unsafe_view.default}  # returns its argument's memory, though its schema does not say so
_MADE_LIKE = {_ATEN.ones_like.default, _ATEN.zeros_like.default}
_BATCH_NORM = _ATEN.native_batch_norm.default  # moves the running averages in its arguments 3 and 4, in training


def simplified(module: fx.GraphModule, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """Return a quicker call that returns the same as the module, for arguments shaped like these, which it may change."""
    shapes = _Shapes(module)
    shapes.run(*arguments)
    _Simplifier(module, shapes.found).simplify()
    _take_quicker_ways(module, shapes.found)
    _call_by_quicker_names(module)
    return module.forward


class _Shapes(fx.Interpreter):
    """Runs a graph and notes what each node returned."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n] = result.storage_offset(), tuple(result.shape), result.stride(), result.dtype, result.device
        return result


class _Simplifier:
    """One pass over a graph, from its arguments to its results."""

    def __init__(self, module: fx.GraphModule, layouts: dict[fx.Node, Any]) -> None:
        self._module, self._graph, self._layouts = module, module.graph, layouts
        self._roots: dict[fx.Node, fx.Node] = {}  # whose memory a node shows
        self._constants: dict[fx.Node, Tensor] = {}
        self._all_true: set[fx.Node] = set()
        for node in self._graph.nodes:
            self._roots[node] = self._root(node)
        self._changed = {self._roots[one] for node in self._graph.nodes for one in _changed_by(node)}
        self._seen: dict[Any, fx.Node] = {}

    def simplify(self) -> None:
        for node in list(self._graph.nodes):
            if node.op == "call_function" and (other := self._stand_in(node)) is not None:
                node.replace_all_uses_with(other)
        self._graph.eliminate_dead_code(is_impure_node=_has_effects)
        self._make_constants()
        self._graph.set_codegen(fx.graph.CodeGen())  # arguments one by one, not a tree of them

    def _root(self, node: fx.Node) -> fx.Node:
        if _is_view(node):
            return self._roots[node.all_input_nodes[0]]
        if node.op == "call_function" and (changed := _changed_by(node)) and node.target is not _BATCH_NORM:
            return self._roots[changed[0]]  # what is changed in place is what is returned
        return node

    def _stand_in(self, node: fx.Node) -> fx.Node | None:
        """Return an earlier node that gives what this one does, if there is one."""
        if _changed_by(node) or _draws(node):
            return None
        self._roots[node] = self._root(node)  # an earlier node may have come in before it
        if _is_view(node):
            return self._same_view(node)
        if self._roots[node] in self._changed:
            return None
        inputs = node.all_input_nodes
        if node.target is _ATEN.ne.Scalar and node.args[1] == NEVER_A_TARGET:
            self._all_true.add(node)
            self._constants[node] = torch.ones(self._layouts[node][1], dtype=torch.bool, device=self._layouts[node][4])
        elif node.target in _MADE_LIKE or (node in self._layouts and all(one in self._constants for one in inputs)):
            self._constants[node] = self._computed(node)
        elif node.target is _ATEN.where.self and node.args[0] in self._all_true:
            kept = node.args[1]
            if isinstance(kept, fx.Node) and self._layouts[kept][1] == self._layouts[node][1]:
                return kept
        elif node.target in (_ATEN.mul.Scalar, _ATEN.mul.Tensor) and type(node.args[1]) is int and node.args[1] == 1:
            return node.args[0]  # type: ignore[return-value]
        if any(self._roots[one] in self._changed for one in inputs):
            return None
        return self._same((node.target, _hashable(node.args), _hashable(node.kwargs)), node)

    def _same(self, key: Any, node: fx.Node) -> fx.Node | None:
        found = self._seen.setdefault(key, node)
        return found if found is not node else None

    def _same_view(self, node: fx.Node) -> fx.Node | None:
        if node not in self._layouts:
            return None  # several views at once
        root, source = self._roots[node], node.all_input_nodes[0]
        if source in self._constants and root not in self._changed:
            self._constants[node] = self._computed(node)
        if root in self._layouts:  # what is looked at may already look like this
            self._seen.setdefault(("view", root, self._layouts[root]), root)
        return self._same(("view", root, self._layouts[node]), node)

    def _computed(self, node: fx.Node) -> Tensor:
        def value(one: fx.Node) -> Tensor:
            if one in self._constants:
                return self._constants[one]
            _, shape, _, dtype, device = self._layouts[one]
            return torch.empty(shape, dtype=dtype, device=device)  # only its shape is asked for

        args, kwargs = fx.map_arg(node.args, value), fx.map_arg(node.kwargs, value)
        result: Tensor = node.target(*args, **kwargs)  # type: ignore[operator,misc]
        return result

    def _make_constants(self) -> None:
        """Hold what is the same at every step beside the graph."""
        for number, (node, value) in enumerate(self._constants.items()):
            if not node.users or node not in set(self._graph.nodes):
                continue
            name = f"constant_{number}"
            object.__setattr__(
                self._module, name, value
            )  # as a plain attribute, which is read more quickly than a buffer
            with self._graph.inserting_before(node):
                node.replace_all_uses_with(self._graph.create_node("get_attr", name))
        self._graph.eliminate_dead_code(is_impure_node=_has_effects)


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_hashable(one) for one in value)
    if isinstance(value, dict):
        return tuple((name, _hashable(one)) for name, one in sorted(value.items()))
    return type(value), value


def _is_view(node: fx.Node) -> bool:
    if node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and _is_view(node.args[0])
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return False
    alias = [one.alias_info for one in schema.returns]
    return node.target in _VIEWS or (len(alias) == 1 and alias[0] is not None and not alias[0].is_write)


def _changed_by(node: fx.Node) -> list[fx.Node]:
    """Return the arguments that a call changes in place."""
    if node.op != "call_function":
        return []
    if node.target is _BATCH_NORM:
        return [one for one in node.args[3:5] if isinstance(one, fx.Node)] if node.args[5] else []
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return []
    written = [one.alias_info is not None and one.alias_info.is_write for one in schema.arguments]
    return [one for one, writes in zip(node.args, written, strict=False) if writes and isinstance(one, fx.Node)]


def _is_python(node: fx.Node) -> bool:
    """Whether a node calls a function of Python, and no kernel."""
    is_kernel = node.target is operator.getitem or hasattr(node.target, "overloadpacket")
    return node.op == "call_function" and not is_kernel


def _draws(node: fx.Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return _is_python(node) or (node.op == "call_function" and torch.Tag.nondeterministic_seeded in tags)


def _has_effects(node: fx.Node) -> bool:
    return node.op in ("placeholder", "output") or bool(_changed_by(node)) or _draws(node)


# -- other ways to compute the same, to rounding ---------------------------------------------------------------------------


def _transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """Products (M, R, N) of stacks of matrices, computed as (BᵀAᵀ)ᵀ: libraries are slow where N is small and no multiple of 16."""
    return torch.bmm(b.transpose(1, 2), a.transpose(1, 2)).transpose(1, 2).contiguous()


def _tanh(x: Tensor) -> Tensor:
    """tanh(x) = 2·sigmoid(2x) - 1: torch's own tanh took ten times as long as its sigmoid on one CPU."""
    return torch.sigmoid(x * 2).mul_(2).sub_(1)


def _added_rows(gradient: Tensor, idx: Tensor, rows: int, padding: int, scale: bool) -> Tensor:
    """The gradient of an embedding's weights, row by row."""
    assert padding < 0
    assert not scale
    width = gradient.shape[-1]
    total = gradient.new_zeros(rows, width)
    return total.index_add_(0, idx.reshape(-1), gradient.reshape(-1, width))


_WAYS: dict[Any, Callable[..., Tensor]] = {
    _ATEN.bmm.default: _transposed_product,
    _ATEN.tanh.default: _tanh,
    _ATEN.embedding_dense_backward.default: _added_rows,
}
REPETITIONS = 5  # of a kernel that is timed
WORTH_TIMING = 4096  # numbers that a kernel takes or returns, below which all ways take as long as the call


def _take_quicker_ways(module: fx.GraphModule, layouts: dict[fx.Node, Any]) -> None:
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


def _is_quicker(other: Callable[..., Tensor], node: fx.Node, layouts: dict[fx.Node, Any]) -> bool:
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


def _sample(layout: Any) -> Tensor:
    """Return numbers in a layout; those that number something are all 0."""
    _, shape, stride, dtype, device = layout
    made = torch.empty_strided(shape, stride, dtype=dtype, device=device)
    return made.uniform_(-1, 1, generator=torch.Generator().manual_seed(0)) if dtype.is_floating_point else made.zero_()


_METHODS = {"view", "expand"}  # kernels that torch has as methods only, by the same name


def _call_by_quicker_names(module: fx.GraphModule) -> None:
    """Call kernels by torch's own names, which find them sooner than `torch.ops` does."""
    for node in module.graph.nodes:
        if packet := getattr(node.target, "overloadpacket", None):
            name = packet.__name__
            method = getattr(Tensor, name, None) if name in _METHODS or name.endswith("_") else None
            node.target = getattr(torch, name, None) or method or node.target
    module.recompile()
