"""The lens shapes: every layer with the shapes of its inputs and outputs, its parameters, its memory and its time; or each step.

Step by step it is every operation of the forward pass on tensors, in order, as the models' source calls them: what a layer that
fuses neighbours, or splits one matrix into heads, does to a shape.

It works on a copy of the model and puts torch's generators back, so that training goes on bit for bit as if nobody had looked.

A forward pass on one batch notes what every module is called with. Then each is timed alone on these inputs: its forward pass,
and `torch.autograd.grad` from its outputs to its inputs and parameters, several times, of which the least counts. Backward
hooks would be cheaper, but they fail on layers that work in place or take integers. The times of the layers need not add up to
that of the layer around them, which also does what is written in its own `forward`, such as attention.
"""

import copy
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.devices import random_state_kept, synchronise
from torchtty.engine.models.families import parameter_count
from torchtty.engine.training.task import ExposesModel

REPETITIONS = 5
VIEWS = ("T", "H", "mT", "mH")  # attributes of a tensor that are tensors of another shape
LONGEST_ARGUMENTS = 60  # characters
PATIENCE = 0.3  # seconds spent on one layer, after which two repetitions are enough


@dataclass
class _Call:
    """The first call of a module: `depth` counts the calls around it. Inputs are detached."""

    name: str
    module: nn.Module
    depth: int
    inputs: tuple[Any, dict[str, Any]]
    differentiated: set[int]  # which of the input tensors, in their order, a gradient is wanted of
    outputs: list[Tensor] = field(default_factory=list)  # on the device `meta`: shapes without numbers
    count: int = 1


def compute(task: ExposesModel, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `layers` in the order in which they are called, `totals`, `batch` (the shapes of the model's inputs) and `device`.

    A layer has `name` (empty for the model), `type`, `depth`, `inputs` and `outputs` (lists of shapes), `parameters` (those of
    layers within it included), `parameter_bytes`, `output_bytes`, `forward_seconds`, `backward_seconds` (None where nothing is
    learnt) and `calls` (a forward pass; shapes and times are those of the first).

    With the option `steps` there are `operations` instead of `layers` and `totals`: each with the `layer` in which it is done
    (empty for the model), its `name`, the `arguments` that are no tensors, and the shapes of its `inputs` and `outputs`.
    """
    if not isinstance(task, ExposesModel):
        raise UserError("The lens shapes passes a batch through a model, and this one offers none.")
    model = copy.deepcopy(task.model).train()
    if options.get("steps"):
        yield Progress(done=0, total=1)
        with random_state_kept():
            batch = task.example_batch()
            return {"operations": _operations(task, model, batch), "batch": _shapes(batch), "device": str(task.device)}
    with random_state_kept():
        batch = task.example_batch()
        calls = _calls(task, model, batch)
    layers = []
    for index, call in enumerate(calls):
        yield Progress(done=index, total=len(calls))
        with random_state_kept():
            forward, backward = _times(task, call)
        layers.append(
            _described(call) | {"forward_seconds": forward, "backward_seconds": backward, "calls": call.count}
        )
    following = [*(layer["depth"] for layer in layers[1:]), 0]
    innermost = [layer for layer, depth in zip(layers, following, strict=True) if depth <= layer["depth"]]
    summed = ("parameters", "parameter_bytes", "forward_seconds", "backward_seconds")
    totals = {name: layers[0][name] for name in summed}
    totals["parameters"] = parameter_count(model)  # of a model that counts: its counts
    totals["output_bytes"] = sum(layer["output_bytes"] * layer["calls"] for layer in innermost)
    return {
        "layers": layers,
        "totals": totals,
        "batch": _shapes(batch),
        "device": str(task.device),
    }


def _calls(task: ExposesModel, model: nn.Module, batch: tuple[Tensor, ...]) -> list[_Call]:
    """Note the calls of a forward pass, the outer ones before those within."""
    names = {module: name for name, module in model.named_modules()}
    found: dict[nn.Module, _Call] = {}
    depth = 0

    def enter(module: nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        nonlocal depth
        if module in found:
            found[module].count += 1
        else:
            inputs = list(_tensors((arguments, named)))
            wanted = {index for index, tensor in enumerate(inputs) if tensor.requires_grad}
            detached = _mapped(lambda tensor, _: tensor.detach(), (arguments, named))
            found[module] = _Call(names[module], module, depth, detached, wanted)
        depth += 1

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        nonlocal depth
        depth -= 1
        found[module].outputs = found[module].outputs or [tensor.detach().to("meta") for tensor in _tensors(output)]

    hooks = [module.register_forward_pre_hook(enter, with_kwargs=True) for module in names]
    hooks += [module.register_forward_hook(leave) for module in names]
    with torch.enable_grad(), task.autocast():
        model(*batch)
    for hook in hooks:
        hook.remove()
    return list(found.values())


class _Noting(TorchFunctionMode):
    """Notes every call of a function of torch that gives tensors, but not those within such a function."""

    def __init__(self, within: list[str]) -> None:
        super().__init__()
        self.within = within  # the names of the layers around, the innermost last
        self.found: list[dict[str, Any]] = []

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        named = named or {}
        result = function(*arguments, **named)
        name = function.__name__
        if name == "__get__":  # an attribute, of which some are other views of a tensor
            name = getattr(getattr(function, "__self__", None), "__name__", "")
            if name not in VIEWS:
                return result
        inputs, outputs = _shapes(_tensors((arguments, named))), _shapes(_tensors(result))
        # A number made of numbers, such as the count of batches, has no shape to follow.
        if outputs and (any(inputs) or any(outputs)):
            self.found.append(
                {
                    "layer": self.within[-1],
                    "name": name.strip("_"),
                    "arguments": _plain(arguments, named),
                    "inputs": inputs,
                    "outputs": outputs,
                }
            )
        return result


def _operations(task: ExposesModel, model: nn.Module, batch: tuple[Tensor, ...]) -> list[dict[str, Any]]:
    """Return the operations of a forward pass, as `compute` describes them."""
    within = [""]
    hooks = []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: within.append(name)))
        hooks.append(module.register_forward_hook(lambda *_: within.pop() and None))
    with torch.no_grad(), task.autocast(), _Noting(within) as noting:
        model(*batch)
    for hook in hooks:
        hook.remove()
    return noting.found


def _plain(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    """Write the arguments that are no tensors, as in a call; of the named ones whole numbers and what is turned on."""
    plain = [_written(value) for value in arguments if value is not None and _is_plain(value)]
    plain += [f"{name}={value}" for name, value in named.items() if isinstance(value, int) and value is not False]
    text = ", ".join(plain)
    return text if len(text) <= LONGEST_ARGUMENTS else text[: LONGEST_ARGUMENTS - 1] + "…"


def _written(value: Any) -> str:
    """Write an argument, slices as in an index."""
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop)]
        return ":".join(ends if value.step is None else [*ends, str(value.step)])
    if isinstance(value, tuple | list):
        inner = ", ".join(map(_written, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(part) for part in value)
    return isinstance(value, bool | int | float | str | slice | None)


def _shapes(tensors: Iterable[Tensor]) -> list[list[int]]:
    return [list(tensor.shape) for tensor in tensors]


def _times(task: ExposesModel, call: _Call) -> tuple[float, float | None]:
    """Return the seconds of a layer's forward and backward pass, the least of several; None for the latter without gradients."""
    parameters = [parameter for parameter in call.module.parameters() if parameter.requires_grad]
    forward = backward = math.inf
    began = time.perf_counter()
    for repetition in range(REPETITIONS):
        leaves: list[Tensor] = []

        def given(tensor: Tensor, index: int) -> Tensor:
            if index not in call.differentiated:
                return tensor
            leaves.append(tensor.detach().requires_grad_())  # noqa: B023 - called within this repetition
            return leaves[-1].clone()  # noqa: B023 - a layer that works in place may not do so on a leaf

        arguments, named = _mapped(given, call.inputs)
        with torch.enable_grad(), task.autocast():
            seconds, output = _timed(lambda: call.module(*arguments, **named), task.device)  # noqa: B023
        forward = min(forward, seconds)
        outputs = [tensor for tensor in _tensors(output) if tensor.requires_grad]
        outputs = [loss for loss in outputs if not loss.dim()] or outputs  # a number is the loss: all begins with it
        if outputs and (wanted := leaves + parameters):
            ones = [torch.ones_like(tensor) for tensor in outputs]
            seconds, _ = _timed(lambda: torch.autograd.grad(outputs, wanted, ones, allow_unused=True), task.device)  # noqa: B023
            backward = min(backward, seconds)
        if repetition and time.perf_counter() - began > PATIENCE:
            break
    return forward, backward if backward < math.inf else None


def _timed(work: Callable[[], Any], device: torch.device) -> tuple[float, Any]:
    synchronise(device)
    began = time.perf_counter()
    result = work()
    synchronise(device)
    return time.perf_counter() - began, result


def _described(call: _Call) -> dict[str, Any]:
    parameters = list(call.module.parameters())  # one that two layers share is counted once
    return {
        "name": call.name,
        "type": type(call.module).__name__,
        "depth": call.depth,
        "inputs": _shapes(_tensors(call.inputs)),
        "outputs": _shapes(call.outputs),
        "parameters": sum(parameter.numel() for parameter in parameters),
        "parameter_bytes": sum(parameter.nbytes for parameter in parameters),
        "output_bytes": sum(tensor.nbytes for tensor in call.outputs),
    }


def _tensors(value: Any) -> Iterator[Tensor]:
    """Go through the tensors in nested tuples, lists and mappings, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))


def _mapped(change: Callable[[Tensor, int], Tensor], value: Any) -> Any:
    """Return nested tuples, lists and mappings with every tensor changed, given it and its place in the order of `_tensors`."""
    places = iter(range(sum(1 for _ in _tensors(value))))

    def mapped(part: Any) -> Any:
        if isinstance(part, Tensor):
            return change(part, next(places))
        if isinstance(part, tuple | list):
            return type(part)(map(mapped, part))
        if isinstance(part, Mapping):
            return {name: mapped(inner) for name, inner in part.items()}
        return part

    return mapped(value)
