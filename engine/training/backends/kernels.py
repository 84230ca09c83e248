"""A graph of kernel calls, as a trace leaves it, without the calls that compute nothing new, each computed in its quickest way.

A trace writes down all that was called: views that show the same numbers as an earlier one, constants made anew at each step,
the same result asked for twice. Between kernels of a few microseconds these take most of the time.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from torchtty.engine.training.backends.planned import Layout, changed_by, is_view, layout_of, plan, root
from torchtty.engine.training.backends.ways import can_write_into_places, take_quicker_ways

_ATEN = torch.ops.aten
NEVER_A_TARGET = -100  # what cross-entropy leaves out where it is not told otherwise; our targets are -1 or tokens
_MADE_LIKE = {_ATEN.ones_like.default, _ATEN.zeros_like.default}


def simplified(
    module: fx.GraphModule, arguments: Sequence[Tensor], *, held: int = 0, fresh: int | None = None
) -> Callable[..., Any]:
    """Return a quicker call that returns the same as the module, for arguments shaped like these, which it may change.

    The last `held` arguments are the same tensors at every call. All but the first `fresh` results are overwritten at the next
    call; with None, none is.
    """
    shapes = _Shapes(module)
    shapes.run(*arguments)
    _Simplifier(module, shapes.found).simplify()
    take_quicker_ways(module, shapes.found)
    if fresh is not None:
        nodes = module.graph.find_nodes(op="placeholder")
        same = zip(nodes[len(nodes) - held :], arguments[len(arguments) - held :], strict=True)
        can_write_into_places(module)
        plan(module, shapes.found, dict(same), fresh)
    _call_by_quicker_names(module)
    return module.forward


class _Shapes(fx.Interpreter):
    """Runs a graph and notes what each node returned."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, Layout] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n] = layout_of(result)
        return result


class _Simplifier:
    """One pass over a graph, from its arguments to its results."""

    def __init__(self, module: fx.GraphModule, layouts: dict[fx.Node, Any]) -> None:
        self._module, self._graph, self._layouts = module, module.graph, layouts
        self._roots: dict[fx.Node, fx.Node] = {}  # whose memory a node shows
        self._constants: dict[fx.Node, Tensor] = {}
        self._all_true: set[fx.Node] = set()
        for node in self._graph.nodes:
            self._roots[node] = root(node, self._roots)
        self._changed = {self._roots[one] for node in self._graph.nodes for one in changed_by(node)}
        self._seen: dict[Any, fx.Node] = {}

    def simplify(self) -> None:
        for node in list(self._graph.nodes):
            if node.op == "call_function" and (other := self._stand_in(node)) is not None:
                node.replace_all_uses_with(other)
        self._graph.eliminate_dead_code(is_impure_node=_has_effects)
        self._make_constants()
        self._graph.set_codegen(fx.graph.CodeGen())  # arguments one by one, not a tree of them

    def _stand_in(self, node: fx.Node) -> fx.Node | None:
        """Return an earlier node that gives what this one does, if there is one."""
        if changed_by(node) or _draws(node):
            return None
        self._roots[node] = root(node, self._roots)  # an earlier node may have come in before it
        if is_view(node):
            return self._same_view(node)
        if self._roots[node] in self._changed:
            return None
        inputs = node.all_input_nodes
        if node.target is _ATEN.ne.Scalar and node.args[1] == NEVER_A_TARGET:
            self._all_true.add(node)
            self._constants[node] = torch.ones(self._layouts[node][1], dtype=torch.bool, device=self._layouts[node][4])
        elif node.target in _MADE_LIKE or (node in self._layouts and all(one in self._constants for one in inputs)):
            self._constants[node] = self._computed(node)
        elif (scattered := self._scaled(node)) is not None:
            return scattered
        elif node.target is _ATEN.where.self and node.args[0] in self._all_true:
            kept = node.args[1]
            if isinstance(kept, fx.Node) and self._layouts[kept][1] == self._layouts[node][1]:
                return kept
        elif node.target in (_ATEN.mul.Scalar, _ATEN.mul.Tensor) and type(node.args[1]) is int and node.args[1] == 1:
            return node.args[0]  # type: ignore[return-value]
        if any(self._roots[one] in self._changed for one in inputs):
            return None
        return self._same((node.target, _hashable(node.args), _hashable(node.kwargs)), node)

    def _scaled(self, node: fx.Node) -> fx.Node | None:
        """Return what is zero but for a number in some places, times a constant, with that number times the constant."""
        if node.target is not _ATEN.mul.Tensor or len(node.all_input_nodes) != 2:
            return None
        scattered, share = node.all_input_nodes
        if scattered.target is not _ATEN.scatter.value or len(scattered.users) > 1 or share not in self._constants:
            return None
        zeros, by = self._constants.get(scattered.args[0]), self._constants[share]  # type: ignore[arg-type]
        if (
            zeros is None
            or zeros.any()
            or (by != by.flatten()[0]).any()
            or self._layouts[node] != self._layouts[scattered]
        ):
            return None
        scattered.update_arg(3, float(scattered.args[3] * by.flatten()[0]))  # type: ignore[operator,arg-type]
        return scattered

    def _same(self, key: Any, node: fx.Node) -> fx.Node | None:
        found = self._seen.setdefault(key, node)
        return found if found is not node else None

    def _same_view(self, node: fx.Node) -> fx.Node | None:
        if node not in self._layouts:
            return None  # several views at once
        base, source = self._roots[node], node.all_input_nodes[0]
        if source in self._constants and base not in self._changed:
            self._constants[node] = self._computed(node)
        if base in self._layouts:  # what is looked at may already look like this
            self._seen.setdefault(("view", base, self._layouts[base]), base)
        return self._same(("view", base, self._layouts[node]), node)

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


def _is_python(node: fx.Node) -> bool:
    """Whether a node calls a function of Python, and no kernel."""
    is_kernel = node.target is operator.getitem or hasattr(node.target, "overloadpacket")
    return node.op == "call_function" and not is_kernel


def _draws(node: fx.Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return _is_python(node) or (node.op == "call_function" and torch.Tag.nondeterministic_seeded in tags)


def _has_effects(node: fx.Node) -> bool:
    return node.op in ("placeholder", "output") or bool(changed_by(node)) or _draws(node)


_METHODS = {"view", "expand"}  # kernels that torch has as methods only, by the same name


def _call_by_quicker_names(module: fx.GraphModule) -> None:
    """Call kernels by torch's own names, which find them sooner than `torch.ops` does."""
    for node in module.graph.nodes:
        packet = getattr(node.target, "overloadpacket", None)
        if packet and "grad_input" not in node.kwargs:  # which torch's own functions do not take
            name = packet.__name__
            method = getattr(Tensor, name, None) if name in _METHODS or name.endswith("_") else None
            node.target = getattr(torch, name, None) or method or node.target
    module.recompile()
