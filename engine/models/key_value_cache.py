"""What a transformer remembers between two tokens: the keys and values of the positions it has seen."""

import torch
from torch import Tensor
from torch.nn import functional as F


class LayerCache:
    """The keys and values of one layer, in buffers (B, nh, L, hs) that stay where they are; `length` positions are filled."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values
        self.length = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add `k` and `v` (B, nh, T, hs); return those of all positions so far (B, nh, length, hs)."""
        end = self.length + k.shape[2]
        self.keys[:, :, self.length : end] = k
        self.values[:, :, self.length : end] = v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class KeyValueCache:
    """One `LayerCache` a layer, with room for `length` positions.

    Its positions are numbered from the first token it saw: once a window slides, learned positions move and it is void.
    """

    def __init__(self, n_layer: int, n_head: int, head_size: int, batch: int, length: int, like: Tensor) -> None:
        shape = (batch, n_head, length, head_size)
        self.layers = [LayerCache(like.new_empty(shape), like.new_empty(shape)) for _ in range(n_layer)]
        self._room = length

    @property
    def length(self) -> int:
        """How many positions have been seen."""
        return self.layers[0].length

    @property
    def full(self) -> bool:
        """Whether there is no room for another position."""
        return self.length >= self._room

    def expanded(self, rows: int) -> "KeyValueCache":
        """Turn the cache of one sequence into one of `rows` that all began alike; the buffers become its own."""
        if rows > 1:
            for layer in self.layers:
                layer.keys = layer.keys.repeat(rows, 1, 1, 1)
                layer.values = layer.values.repeat(rows, 1, 1, 1)
        return self


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: float, cache: LayerCache | None) -> Tensor:
    """Return causal attention (B, nh, T, hs) of queries over keys and values, each (B, nh, T, hs), and those in the cache.

    Each position looks at itself and at what came before, softmax(q·kᵀ / √hs)·v (Vaswani et al., 2017, equation 1).
    """
    seen = cache.length if cache is not None else 0
    if cache is not None:
        k, v = cache.append(k, v)  # (B, nh, seen + T, hs)
    if not seen:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
    time = q.shape[2]
    mask = None  # a single new position may look at all there is
    if time > 1:
        mask = torch.ones(time, seen + time, dtype=torch.bool, device=q.device).tril(seen)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
