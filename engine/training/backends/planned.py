"""Memory for the results of a graph of kernel calls, planned once: every call writes where it wrote at the step before.

Between kernels of some microseconds, memory asked for anew is what a step waits for: the place that the allocator gives is seldom
the one that a core's cache holds. Here a result goes over the one that is read for the last time, or where one no longer wanted
was; and what only looks at such a place (a view) is made once, no longer at each step.
"""

import inspect
import math
import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

_ATEN = torch.ops.aten
_VIEWS = {
    _ATEN._unsafe_view.default,
    _ATEN.unsafe_chunk.default,
    _ATEN.unsafe_split.Tensor,
    _ATEN.unsafe_split_with_sizes.default,
}
"""They return their argument's memory, though their schemas do not say so."""
BATCH_NORM = _ATEN.native_batch_norm.default  # moves the running averages in its arguments 3 and 4, in training
MOST_WASTE = 2  # times as large as a result a place may be that is given to it

Layout = tuple[int | torch.SymInt, tuple[int, ...], tuple[int, ...], torch.dtype, torch.device]
"""Of a tensor: where in its memory it begins, its shape, its strides, its type and its device."""


def layout_of(tensor: Tensor) -> Layout:
    """Return how a tensor lies in memory."""
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device


def is_view(node: fx.Node) -> bool:
    """Whether a call only shows its argument in another way."""
    if node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and is_view(node.args[0])
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return False
    alias = [one.alias_info for one in schema.returns]
    return node.target in _VIEWS or (len(alias) == 1 and alias[0] is not None and not alias[0].is_write)


def changed_by(node: fx.Node) -> list[fx.Node]:
    """Return the arguments that a call changes in place."""
    if node.op != "call_function":
        return []
    if node.target is BATCH_NORM:
        return [one for one in node.args[3:5] if isinstance(one, fx.Node)] if node.args[5] else []
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return []
    written = [one.alias_info is not None and one.alias_info.is_write for one in schema.arguments]
    return [one for one, writes in zip(node.args, written, strict=False) if writes and isinstance(one, fx.Node)]


def root(node: fx.Node, roots: Mapping[fx.Node, fx.Node]) -> fx.Node:
    """Return the node whose memory a node shows, given those of all nodes before it."""
    if is_view(node):
        return roots[node.all_input_nodes[0]]
    if (changed := changed_by(node)) and node.target is not BATCH_NORM:
        return roots[changed[0]]  # what is changed in place is what is returned
    return node


def plan(module: fx.GraphModule, layouts: dict[fx.Node, Layout], held: Mapping[fx.Node, Tensor], fresh: int) -> None:
    """Give the results of a graph their places.

    `layouts` are those of its nodes; `held` are the arguments that are the same tensors at every call. The first `fresh` results of
    the graph outlive a step and keep memory of their own; the others are overwritten at the next call.
    """
    _Planner(module, layouts, held, fresh).plan()


class _Planner:
    """One pass over a graph, in the order in which its calls are made."""

    def __init__(
        self, module: fx.GraphModule, layouts: dict[fx.Node, Layout], held: Mapping[fx.Node, Tensor], fresh: int
    ) -> None:
        self._module, self._graph, self._layouts = module, module.graph, layouts
        self._values: dict[fx.Node, Any] = dict(held)  # what is the same tensor at every call
        self._roots: dict[fx.Node, fx.Node] = {}
        self._last: dict[fx.Node, fx.Node] = {}  # who reads a root's memory last
        self._places: dict[fx.Node, Tensor] = {}  # of the roots that have one, as bytes
        self._free: list[Tensor] = []  # the latest last
        [results] = self._graph.output_node().args
        several = results if isinstance(results, list | tuple) else [results]
        for node in self._graph.nodes:
            _look_instead_of_turning(node)
            self._roots[node] = root(node, self._roots)
            for one in node.all_input_nodes:
                self._last[self._roots[one]] = node
        self._own = {self._roots[one] for one in several[:fresh] if isinstance(one, fx.Node)}

    def plan(self) -> None:
        for node in list(self._graph.nodes):
            if node.op == "get_attr":
                self._values[node] = getattr(self._module, node.target)
            elif node.op == "call_function":
                self._call(node)
            for base in [base for base in self._places if self._last.get(base) is node]:
                self._free.append(self._places.pop(base))

    def _call(self, node: fx.Node) -> None:
        if is_view(node):
            if all(one in self._values for one in node.all_input_nodes):
                self._show(node)
        elif changed := changed_by(node):
            if node.target is not BATCH_NORM and changed[0] in self._values:
                node.replace_all_uses_with(changed[0])
        elif self._may_have_a_place(node) and (name := _out_name(node)):
            taken = self._taken_over(node)
            place = self._places[node] = self._found(node) if taken is None else taken
            self._values[node] = _shown(place, self._layouts[node])
            self._write_into(node, name)

    def _show(self, node: fx.Node) -> None:
        """Make a view once for all calls."""
        args = fx.map_arg(node.args, self._values.__getitem__)
        kwargs = fx.map_arg(node.kwargs, self._values.__getitem__)
        self._values[node] = node.target(*args, **kwargs)  # type: ignore[operator,misc]
        if isinstance(self._values[node], Tensor):
            node.replace_all_uses_with(self._attribute(node))
        if not node.users:
            self._graph.erase_node(node)

    def _may_have_a_place(self, node: fx.Node) -> bool:
        layout = self._layouts.get(node)
        return layout is not None and node not in self._own and _is_dense(layout)

    # -- places -----------------------------------------------------------------------------------------------------

    def _taken_over(self, node: fx.Node) -> Tensor | None:
        """Return the place of an argument that is read here for the last time, and number by number."""
        if torch.Tag.pointwise not in getattr(node.target, "tags", ()):
            return None
        for one in node.all_input_nodes:
            base = self._roots[one]
            if base not in self._places or self._last[base] is not node:
                continue
            alike = [other for other in node.all_input_nodes if self._roots[other] is base]
            if all(self._layouts.get(other) == self._layouts[node] for other in alike):
                return self._places.pop(base)
        return None

    def _found(self, node: fx.Node) -> Tensor:
        """Return a place that is free, the latest that fits, or a new one."""
        wanted = _bytes(self._layouts[node])
        for number in reversed(range(len(self._free))):
            if wanted <= self._free[number].numel() <= MOST_WASTE * wanted:
                return self._free.pop(number)
        return torch.empty(wanted, dtype=torch.uint8, device=self._layouts[node][4])

    # -- the graph --------------------------------------------------------------------------------------------------

    def _write_into(self, node: fx.Node, name: str) -> None:
        """Let a call write into its place, and others read there."""
        if isinstance(node.target, torch._ops.OpOverload):
            node.target = _out_variant(node.target) or node.target
        place = self._attribute(node)
        node.replace_all_uses_with(place)
        node.update_kwarg(name, place)

    def _attribute(self, node: fx.Node) -> fx.Node:
        """Return a node before this one that stands for its value."""
        name = f"held_{node.name}"
        object.__setattr__(self._module, name, self._values[node])  # read more quickly than a buffer
        with self._graph.inserting_before(node):
            made = self._graph.create_node("get_attr", name)
        self._values[made], self._roots[made] = self._values[node], self._roots[node]
        self._layouts[made] = self._layouts[node]
        return made


def _look_instead_of_turning(node: fx.Node) -> None:
    """Let what turns a tensor itself (`transpose_`) return a view of it: a place is looked at in the same way at every call."""
    if torch.Tag.inplace_view not in getattr(node.target, "tags", ()):
        return
    operation: torch._ops.OpOverload = node.target  # type: ignore[assignment]
    packet = getattr(_ATEN, operation.overloadpacket.__name__.removesuffix("_"))
    node.target = next(
        other for name in packet.overloads() if _given(other := getattr(packet, name)) == _given(operation)
    )


def _bytes(layout: Layout) -> int:
    _, shape, strides, dtype, _ = layout
    last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    return dtype.itemsize * (last + 1) if math.prod(shape) else 0


def _is_dense(layout: Layout) -> bool:
    """Whether no two numbers of a tensor share a place, and none of its places is left out."""
    return _bytes(layout) == layout[3].itemsize * math.prod(layout[1]) > 0


def _shown(place: Tensor, layout: Layout) -> Tensor:
    _, shape, strides, dtype, _ = layout
    return place[: _bytes(layout)].view(dtype).as_strided(shape, strides)


def _out_name(node: fx.Node) -> str:
    """Return the name of the argument into which a call can write, "" where it always asks for memory."""
    if isinstance(node.target, torch._ops.OpOverload):
        variant = _out_variant(node.target)
        return next(one.name for one in variant._schema.arguments if one.is_out) if variant else ""
    return "out" if node.op == "call_function" and "out" in inspect.signature(node.target).parameters else ""  # type: ignore[arg-type]


def _out_variant(operation: torch._ops.OpOverload) -> torch._ops.OpOverload | None:
    """Return the operation that does the same and writes into an argument, if torch has a kernel for it."""
    packet, wanted = operation.overloadpacket, _given(operation)
    for name in packet.overloads():
        other = getattr(packet, name)
        outs = [one for one in other._schema.arguments if one.is_out]
        if len(outs) == 1 and torch.Tag.generated not in other.tags and _given(other) == wanted:
            return other  # type: ignore[no-any-return]
    return None


def _given(operation: torch._ops.OpOverload) -> list[tuple[str, str]]:
    return [(one.name, str(one.type)) for one in operation._schema.arguments if not one.is_out]
