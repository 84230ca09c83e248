"""The lens filters: the filters of a convolution, and the maps that they make of one picture, or of one noise."""

from collections.abc import Generator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.pictures import packed, signed, stretched
from torchtty.engine.lenses.subject import values
from torchtty.engine.training.neural import evaluation_mode
from torchtty.engine.training.task import ExposesModel

MOST_MAPS = 64
COLOURS = (1, 3)  # channels of what can be shown as a picture
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def compute(task: ExposesModel, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return the `layers`, and of the chosen one its `filters` and `maps` as pictures, and one `map` and `filter` as numbers.

    A layer has `name`, `type`, the channels `takes` and `gives`, `kernel` and the `size` of its maps. Filters are shown with their
    sign where they read or paint colours, else as the root of the mean square over the other side's channels. The maps are those
    before batch norm and activation, of picture number `example` of the batch; a layer that is called twice shows the first
    call, which for a discriminator is that on real pictures; `picture` is the one. Without a choice it is the first layer that
    reads colours. `map` counts from 1.
    """
    model = task.model
    batch = task.example_batch()
    called = _called(task, model, batch)
    if not called:
        raise UserError("This model has no convolution.")
    yield Progress(done=0, total=1)
    names = list(called)
    chosen = str(options.get("layer") or "")
    chosen = chosen if chosen in names else next((name for name in names if _reads_colours(called[name][0])), names[0])
    example = min(max(0, int(options.get("example", 0))), len(batch[0]) - 1)
    layer, output = called[chosen]
    maps = output[example]  # (C, h, w)
    number = min(max(1, int(options.get("map", 1))), len(maps))
    filters = _filters(layer)
    pictures = next((part for part in batch if part.dim() == 4 and part.shape[1] in COLOURS), None)
    pictures = None if isinstance(layer, nn.ConvTranspose2d) else pictures  # such a layer draws and reads none
    own = filters[number - 1] if len(filters) == len(maps) else None  # of a transposed one, a filter is an input's
    return {
        "layers": [_described(name, *called[name]) for name in names],
        "layer": chosen,
        "show": str(options.get("show", "maps")),
        "choices": {"layer": names},
        "example": example,
        "examples": len(batch[0]),
        "filters": packed(signed(filters[:MOST_MAPS])),
        "signed": _shows_colours(layer),
        "maps": packed(stretched(maps[:MOST_MAPS])),
        "strengths": values(maps.abs().mean((1, 2))[:MOST_MAPS]),
        "number": number,
        "map": values(maps[number - 1]),
        "filter": values(own) if own is not None else None,
        "picture": packed(stretched_colours(pictures[example])) if pictures is not None else None,
    }


def stretched_colours(picture: Tensor) -> Any:
    """Turn a picture (C, H, W) between -1 and 1 into bytes (1, H, W, C)."""
    scaled = ((picture.detach().float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return scaled.permute(1, 2, 0)[None].cpu().numpy()


def _called(task: ExposesModel, model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, tuple[nn.Module, Tensor]]:
    """Return the convolutions by name in the order of their first calls, each with what it gave then, (B, C, h, w)."""
    found: dict[str, tuple[nn.Module, Tensor]] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, CONVOLUTIONS):

            def noted(layer: nn.Module, _: Any, output: Tensor, name: str = name) -> None:
                found.setdefault(name, (layer, output.detach().float().clone()))  # what follows may work in place

            hooks.append(module.register_forward_hook(noted))
    with torch.no_grad(), evaluation_mode(model), task.autocast():
        model(*batch)
    for hook in hooks:
        hook.remove()
    return found


def _reads_colours(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.in_channels in COLOURS


def _shows_colours(layer: nn.Module) -> bool:
    assert isinstance(layer, CONVOLUTIONS)
    return (layer.out_channels if isinstance(layer, nn.ConvTranspose2d) else layer.in_channels) in COLOURS


def _filters(layer: nn.Module) -> Tensor:
    """Return a convolution's filters (N, kh, kw, C): one a channel that it gives, or of a transposed one, that it takes."""
    assert isinstance(layer, CONVOLUTIONS)
    weights = layer.weight.detach().float()  # (out, in, kh, kw), or of a transposed one (in, out, kh, kw)
    if _shows_colours(layer):
        return weights.permute(0, 2, 3, 1)
    return weights.square().mean(1).sqrt()[..., None]


def _described(name: str, layer: nn.Module, output: Tensor) -> dict[str, Any]:
    assert isinstance(layer, CONVOLUTIONS)
    return {
        "name": name,
        "type": type(layer).__name__,
        "takes": layer.in_channels,
        "gives": layer.out_channels,
        "kernel": list(layer.kernel_size),
        "size": list(output.shape[2:]),
    }
