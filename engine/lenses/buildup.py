"""The lens buildup: attention built up in four versions, each checked against the one before, and why its scores are scaled.

The versions are those of Karpathy's lecture "Let's build GPT" (2023), computed on what a layer of the run's own model is called
with: a loop of averages, a matrix of weights, a softmax over masked scores, and a head with queries, keys and values.
"""

import math
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from torchtty.engine.contract.run.events import Progress
from torchtty.engine.lenses.attention import allowed, attention_weights, choices, streams, text_for
from torchtty.engine.lenses.subject import values
from torchtty.engine.training.neural import evaluation_mode
from torchtty.engine.training.task import ReadsText

SHOWN = 8  # numbers of a position's vector
SIZES = (1, 4, 16, 64, 256)  # of queries and keys whose scores are measured
DRAWS, KEYS = 1000, 16  # queries a size, and keys that each looks at


def compute(task: ReadsText, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `tokens`, `versions`, and `scaling`, what the scores' spread does to the weights; `layer` and `head` as shown.

    A version has `name`, `formula`, `weights` (T, T), `output` (T, at most SHOWN numbers of each vector), `seconds`, `same_as` (the
    name of what it must equal, empty where it is new) and `difference` (the largest, to that). The last one is held against
    torch's own kernel, all others against the version before.
    """
    text, idx = text_for(task, options)
    called = streams(task, idx)
    chosen = min(int(options.get("layer", 1)), len(called))
    name, (layer, x) = list(called.items())[chosen - 1]
    head = min(int(options.get("head", 1)), layer.n_head)
    with torch.no_grad(), evaluation_mode(task.model), task.autocast():
        q, k, v = layer.queries_keys_values(x)
    x, q, k, v = x[0].float(), *(part[0, head - 1].float() for part in (q, k, v))  # (T, C), and (T, d) of the head
    shown = len(text.shown)
    versions = []
    outputs: dict[str, Tensor] = {}
    ways = _ways(x, q, k, v, layer.causal)
    outputs["kernel"] = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=layer.causal)[0]
    for number, (version, formula, same_as, way) in enumerate(ways):
        yield Progress(done=number, total=len(ways) + 1)
        began = time.perf_counter()
        weights, output = way()
        seconds = time.perf_counter() - began
        outputs[version] = output
        difference = float((output - outputs[same_as]).abs().max()) if same_as else None
        versions.append(
            {
                "name": version,
                "formula": formula,
                "same_as": same_as,
                "difference": difference,
                "seconds": seconds,
                "weights": values(weights[-shown:, -shown:]),
                "output": values(output[-shown:, :SHOWN]),
            }
        )
    yield Progress(done=len(ways), total=len(ways) + 1)
    return {
        "tokens": list(text.shown),
        "unknown": list(text.unknown),
        "left_out": text.left_out,
        "layer": chosen,
        "layers": len(called),
        "name": name,
        "head": head,
        "heads": layer.n_head,
        "causal": layer.causal,
        "version": str(options.get("version", ways[-1][0])),
        "choices": choices(layer, len(called)),
        "width": x.shape[1],
        "d_k": q.shape[1],
        "versions": versions,
        "scaling": [*map(_measured, SIZES), _measured_here(q, k, layer.causal)],
    }


def _ways(
    x: Tensor, q: Tensor, k: Tensor, v: Tensor, causal: bool
) -> list[tuple[str, str, str, Callable[[], tuple[Tensor, Tensor]]]]:
    """Return the versions, each with name, formula, what it must equal, and what computes its weights (T, T) and output."""
    length = len(x)
    seen = allowed(length, x.device) if causal else torch.ones(length, length, dtype=torch.bool, device=x.device)

    def loop() -> tuple[Tensor, Tensor]:
        weights, output = torch.zeros(length, length, device=x.device), torch.empty_like(x)
        for place in range(length):
            count = place + 1 if causal else length
            weights[place, :count] = 1 / count
            output[place] = x[:count].mean(0)
        return weights, output

    def matrix() -> tuple[Tensor, Tensor]:
        weights = seen.float() / seen.float().sum(1, keepdim=True)
        return weights, weights @ x

    def masked_softmax() -> tuple[Tensor, Tensor]:
        weights = torch.zeros(length, length, device=x.device).masked_fill(~seen, -math.inf).softmax(1)
        return weights, weights @ x

    def one_head() -> tuple[Tensor, Tensor]:
        weights = attention_weights(q, k, causal)
        return weights, weights @ v

    return [
        ("loop", "y[t] = mean of x[0] … x[t]" if causal else "y[t] = mean of all x", "", loop),
        (
            "matrix",
            "y = W x, W the lower triangle, each row / its sum" if causal else "y = W x, W all 1/T",
            "loop",
            matrix,
        ),
        ("softmax", "W = softmax(0, and -inf where masked)" if causal else "W = softmax(0)", "matrix", masked_softmax),
        ("head", "W = softmax(q kᵀ / √d_k), y = W v", "kernel", one_head),
    ]


def _measured(size: int) -> dict[str, Any]:
    """Measure scores of queries and keys of `size` numbers, drawn from N(0, 1) with a generator of its own."""
    generator = torch.Generator().manual_seed(size)
    q = torch.randn(DRAWS, 1, size, generator=generator)
    k = torch.randn(DRAWS, KEYS, size, generator=generator)
    return _spread((q @ k.mT).flatten(0, 1), size) | {"drawn": True}


def _measured_here(q: Tensor, k: Tensor, causal: bool) -> dict[str, Any]:
    """Measure the scores of a head's own queries and keys (T, d)."""
    scores = q @ k.mT
    if causal:
        scores = scores.masked_fill(~allowed(len(scores), scores.device), -math.inf)
    return _spread(scores, q.shape[1]) | {"drawn": False}


def _spread(scores: Tensor, size: int) -> dict[str, Any]:
    """Return what scores (N, T) of `size` numbers each come to: their variance, and the largest weight of a row, on average."""
    scaled = scores / math.sqrt(size)
    known = scores[scores.isfinite()]
    return {
        "d_k": size,
        "variance": round(float(known.var()), 4) if len(known) > 1 else None,
        "scaled_variance": round(float(scaled[scaled.isfinite()].var()), 4) if len(known) > 1 else None,
        "largest": round(float(scores.softmax(1).max(1).values.mean()), 4),
        "scaled_largest": round(float(scaled.softmax(1).max(1).values.mean()), 4),
    }
