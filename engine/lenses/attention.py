"""The lens attention: how much each position of a text looks at each other, in every layer and head.

The weights are computed from what an attention layer is called with, softmax(q·kᵀ / √d_k) (Vaswani et al., 2017, equation 1):
the kernels that models run on give only their product with the values.
"""

import math
from collections.abc import Generator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.subject import values
from torchtty.engine.lenses.text import OwnText, context_of, own_text
from torchtty.engine.models.parts import Attends
from torchtty.engine.training.neural import evaluation_mode
from torchtty.engine.training.task import ReadsText

MOST_TOKENS = 96  # of a text: more are not read on a screen


def compute(task: ReadsText, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `tokens`, `layers`, `layer` and `head` (those shown, from 1), and `weights` of the shown layer (heads, T, T).

    A layer has `name`, `causal`, `d_k`, `n_head` and `heads`, each with `entropy` (bits, the mean over positions), and the mean
    weight on the position `itself`, on the one `before` it and on the `first` one.
    """
    model = task.model
    text, idx = text_for(task, options)
    called = streams(task, idx)
    chosen = min(int(options.get("layer", 1)), len(called))
    described, shown = [], torch.empty(0)
    for number, (name, (layer, x)) in enumerate(called.items(), 1):
        yield Progress(done=number - 1, total=len(called))
        with torch.no_grad(), evaluation_mode(model), task.autocast():
            q, k, _ = layer.queries_keys_values(x)
        weights = attention_weights(q, k, layer.causal)[0]  # (nh, T, T)
        weights = weights[:, -len(text.shown) :, -len(text.shown) :]  # without what a window was filled up with
        heads = [described_head(head) for head in weights]
        described.append(
            {"name": name, "causal": layer.causal, "d_k": q.shape[-1], "n_head": layer.n_head, "heads": heads}
        )
        if number == chosen:
            shown = weights
    return {
        "tokens": list(text.shown),
        "unknown": list(text.unknown),
        "left_out": text.left_out,
        "layers": described,
        "layer": chosen,
        "head": min(int(options.get("head", 1)), len(shown)),
        "choices": choices(list(called.values())[chosen - 1][0], len(called)),
        "weights": values(shown),
    }


def choices(layer: Attends, layers: int) -> dict[str, list[int]]:
    """Return the numbers of the layers, and of a layer's heads, that the options may take."""
    return {"layer": list(range(1, layers + 1)), "head": list(range(1, layer.n_head + 1))}


def text_for(task: ReadsText, options: Mapping[str, Any]) -> tuple[OwnText, Tensor]:
    """Return a person's text and what the model is to read of it, (1, T): a model of a fixed window gets a full one."""
    text = own_text(task, options, min(MOST_TOKENS, context_of(task)))
    missing = 0 if task.model.predicts_every_position else context_of(task) - len(text.ids)
    filled = [task.data.start_id] * max(0, missing) + list(text.ids)
    return text, torch.tensor([filled], dtype=torch.int64, device=task.device)


def streams(task: ReadsText, idx: Tensor) -> dict[str, tuple[Attends, Tensor]]:
    """Return the model's attention layers by name, each with what it is called with (1, T, C) where the model reads `idx`."""
    layers = {name: module for name, module in task.model.named_modules() if isinstance(module, Attends)}
    if not layers:
        raise UserError("This model has no attention layer.")
    found: dict[str, tuple[Attends, Tensor]] = {}
    hooks = []
    for name, layer in layers.items():
        assert isinstance(layer, nn.Module)

        def noted(_: nn.Module, inputs: tuple[Any, ...], name: str = name, layer: Attends = layer) -> None:
            found[name] = layer, inputs[0]

        hooks.append(layer.register_forward_pre_hook(noted))
    with torch.no_grad(), evaluation_mode(task.model), task.autocast():
        task.model(idx)
    for hook in hooks:
        hook.remove()
    return found


def attention_weights(q: Tensor, k: Tensor, causal: bool, *, scaled: bool = True) -> Tensor:
    """Return softmax(q·kᵀ / √d_k) (…, T, T) of queries and keys (…, T, d_k), in float32 at least.

    A causal row is 0 after its own place.
    """
    q, k = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (q, k))
    scores = q @ k.mT
    if scaled:
        scores = scores / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(~allowed(scores.shape[-1], scores.device), -math.inf)
    return scores.softmax(-1)


def allowed(time: int, device: torch.device) -> Tensor:
    """Return the lower triangle (T, T): which positions may be looked at."""
    return torch.ones(time, time, dtype=torch.bool, device=device).tril()


def described_head(weights: Tensor) -> dict[str, float]:
    """Sum up the weights of a head (T, T)."""
    entropy = -(weights * weights.clamp_min(1e-30).log2()).sum(1).mean()
    before = weights.diagonal(-1).mean() if len(weights) > 1 else torch.zeros(())
    summed = {
        "entropy": entropy,
        "itself": weights.diagonal().mean(),
        "before": before,
        "first": weights[:, 0].mean(),
    }
    return {name: round(float(value), 4) for name, value in summed.items()}
