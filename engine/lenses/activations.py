"""The lens activations: what goes through every layer on one batch, whether units are saturated or dead, and how that changed.

Numbers are taken while the forward pass goes by, since some activations work in place. A layer's units are its last
dimension, or the channels of a picture; everything else are examples.
"""

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.memory import is_remembered, remember, remembered
from torchtty.engine.lenses.subject import Moment, apart_over, at_checkpoint, thinned, values

SATURATED = 0.97  # of a unit between -1 and 1: from here on hardly a gradient passes, 1 - 0.97² = 0.06
BINS = 20
MOST_UNITS, MOST_EXAMPLES = 120, 60  # of the map of one layer
CHECKPOINTS = 12  # that are looked at over time
BOUNDED = (nn.Tanh, nn.RNNBase)  # whose outputs lie between -1 and 1
RECTIFIED = (nn.ReLU, nn.GELU, nn.LeakyReLU, nn.SiLU)
EXAMPLES = 1000  # rows that the fan-in demonstration sends through a layer


@dataclass
class Layer:
    """What was measured of the output of a layer, or of what goes into it where no layer gives that."""

    name: str
    type: str
    numbers: dict[str, Any] = field(default_factory=dict)
    units: Tensor = field(default_factory=lambda: torch.empty(0))  # (examples, units), of the layer that is chosen


def compute(task: Any, options: Mapping[str, Any], moment: Moment) -> Generator[Progress, None, dict[str, Any]]:
    """Return `layers`, each with its `mean`, `spread`, `histogram`, and shares `saturated` and `dead`, and what `show` asks for.

    That is the `map` of one layer (units x examples), the course `over` the steps (layers x steps), or the `fan_in` of each
    linear layer.
    """
    run, checkpoint = moment.run, options["step"]
    looked_at = at_checkpoint(task, run, checkpoint) if checkpoint is not None else task
    yield Progress(done=0, total=2)
    layers = measured(looked_at, options["layer"])
    names = [layer.name for layer in layers]
    activations = [layer.name for layer in layers if "saturated" in layer.numbers or "dead" in layer.numbers]
    chosen = options["layer"] or next(iter(activations), names[-1])
    if chosen not in names:
        raise UserError(f"There is no layer '{chosen}'. The layers are {', '.join(names)}.")
    result: dict[str, Any] = {
        "layers": [{"name": layer.name, "type": layer.type, **layer.numbers} for layer in layers],
        "show": options["show"],
        "layer": chosen,
        "choices": {"layer": names},
    }
    if checkpoint is not None:
        result["checkpoint"] = checkpoint
    else:
        remember(run.path, "activations", moment.step, _row(layers))
    if options["show"] == "map":
        if not options["layer"]:
            layers = measured(looked_at, chosen)
        layer = next(layer for layer in layers if layer.name == chosen)
        result["map"] = values(layer.units.T[:MOST_UNITS, :MOST_EXAMPLES], 3)
    elif options["show"] == "time":
        yield from _look_back(task, run)
        result["over"] = remembered(run.path, "activations")
        known = {name for layer in layers for name in ("saturated", "dead") if name in layer.numbers}
        result["measure"] = next((name for name in ("saturated", "dead") if name in known), "spread")
    elif options["show"] == "fan-in":
        result["fan_in"] = fan_in(looked_at)
    return result


def _look_back(task: Any, run: RunDirectory) -> Generator[Progress, None, None]:
    steps = [
        step for step in thinned(run.checkpoints(), CHECKPOINTS) if not is_remembered(run.path, "activations", step)
    ]
    for done, (step, then) in enumerate(apart_over(task, run, steps)):
        yield Progress(done=done, total=len(steps))
        remember(run.path, "activations", step, _row(measured(then, "")))


def _row(layers: list[Layer]) -> dict[str, float]:
    """Return the number that is followed over time: the share saturated, of units dead, or where neither is known the spread."""
    for key in ("saturated", "dead", "spread"):
        if row := {layer.name: layer.numbers[key] for layer in layers if key in layer.numbers}:
            return row
    return {}


def measured(task: Any, keep: str) -> list[Layer]:
    """Send one batch through the model and return what was measured of each layer, in their order; keep the units of one."""
    model: nn.Module = task.model
    leaves = {module: name for name, module in model.named_modules() if not any(module.children())}
    found: dict[str, Layer] = {}
    given: list[Tensor] = []  # what layers gave, held so that no other tensor takes its place

    def into(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        first = arguments[0] if arguments else None
        known = any(first is tensor for tensor in given)
        if isinstance(module, nn.Linear) and isinstance(first, Tensor) and not known:
            add(f"into {leaves[module]}", "", first, module)

    def out_of(module: nn.Module, _: Any, output: Any) -> None:
        tensor = output[0] if isinstance(output, tuple) else output
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.dim() >= 2:
            add(leaves[module], type(module).__name__, tensor, module)
            given.append(tensor)

    def add(name: str, kind: str, tensor: Tensor, module: nn.Module) -> None:
        if name in found or isinstance(module, nn.Identity | nn.Dropout):
            return
        found[name] = layer = Layer(name, kind, _numbers(tensor.detach(), module if kind else None))
        if name == keep:
            layer.units = units_of(tensor.detach()).float().cpu()

    hooks = [module.register_forward_pre_hook(into) for module in leaves]
    hooks += [module.register_forward_hook(out_of) for module in leaves]
    model.train()  # as in training: batch norm uses the batch's own statistics
    try:
        with torch.no_grad(), task.autocast():
            model(*task.example_batch())
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def units_of(tensor: Tensor) -> Tensor:
    """Return a layer's output as examples x units: (B, C, H, W) by its channels, all else by its last dimension."""
    if tensor.dim() == 4:
        tensor = tensor.movedim(1, -1)
    return tensor.flatten(0, -2)


def _numbers(tensor: Tensor, module: nn.Module | None) -> dict[str, Any]:
    """Return mean, spread, histogram, and what share of numbers is saturated and of units dead, where that means something."""
    numbers = units_of(tensor).double()  # (N, units)
    mean, spread = float(numbers.mean()), float(numbers.std(correction=0))
    finite = numbers[numbers.isfinite()].clamp(-torch.finfo(torch.float32).max, torch.finfo(torch.float32).max)
    reach = float(finite.abs().max()) or 1.0 if len(finite) else 1.0
    counts = torch.histc(finite.float(), BINS, -reach, reach)
    found: dict[str, Any] = {
        "shape": list(tensor.shape),
        "mean": values(torch.tensor(mean)),
        "spread": values(torch.tensor(spread)),
        "reach": values(torch.tensor(reach)),
        "histogram": [int(count) for count in counts],
    }
    if isinstance(module, BOUNDED):
        full = numbers.abs() > SATURATED
        found |= {"saturated": values(full.double().mean()), "dead": values(full.all(0).double().mean())}
    elif isinstance(module, RECTIFIED):
        found |= {"dead": values((numbers <= 0).all(0).double().mean())}
    return found


def fan_in(task: Any) -> list[dict[str, Any]]:
    """Show what scaling first weights is for, on every linear layer: inputs of spread 1 through weights of three kinds.

    Weights of N(0, 1) multiply the spread by the root of the fan-in; divided by that root they keep it (He et al., 2015, with no
    gain); `own` are the layer's present weights.
    """
    generator = torch.Generator().manual_seed(1)
    found = []
    for name, module in task.model.named_modules():
        if isinstance(module, nn.Linear):
            x = torch.randn(EXAMPLES, module.in_features, generator=generator)
            weights = torch.randn(module.in_features, module.out_features, generator=generator)
            own = module.weight.detach().float().cpu().T
            root = math.sqrt(module.in_features)
            spreads = {"normal": x @ weights, "scaled": x @ weights / root, "own": x @ own}
            found.append(
                {"name": name, "fan_in": module.in_features, "root": values(torch.tensor(root))}
                | {kind: values(y.std()) for kind, y in spreads.items()}
            )
    return found
