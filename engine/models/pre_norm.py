"""The transformer of the GPT family: pre-norm blocks over learned positions (Radford et al., 2019)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.models.key_value_cache import KeyValueCache, LayerCache, attend


@dataclass(frozen=True)
class PreNormShape:
    """What the transformer is made of. Its dropouts are shares of the embeddings, the attention weights, and what layers add."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int  # width of the feed-forward layers
    activation: Callable[[Tensor], Tensor] = F.gelu
    bias: bool = True  # in linear layers and norms
    qkv_bias: bool = True
    norm_epsilon: float = 1e-5
    embd_dropout: float = 0.0
    attn_dropout: float = 0.0
    resid_dropout: float = 0.0


class CausalSelfAttention(nn.Module):
    """Every position looks at itself and at what came before (Vaswani et al., 2017)."""

    def __init__(self, shape: PreNormShape) -> None:
        super().__init__()
        self.n_head, self.attn_dropout, self.resid_dropout = shape.n_head, shape.attn_dropout, shape.resid_dropout
        self.query_key_value = nn.Linear(shape.n_embd, 3 * shape.n_embd, bias=shape.qkv_bias)
        self.projection = nn.Linear(shape.n_embd, shape.n_embd, bias=shape.bias)

    def forward(self, x: Tensor, cache: LayerCache | None = None) -> Tensor:
        batch, time, width = x.shape
        heads = self.query_key_value(x).view(batch, time, 3, self.n_head, width // self.n_head)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, nh, T, hs)
        y = attend(q, k, v, self.attn_dropout if self.training else 0.0, cache)  # (B, nh, T, hs)
        y = y.transpose(1, 2).reshape(batch, time, width)  # (B, T, C)
        return F.dropout(self.projection(y), self.resid_dropout, self.training)


class FeedForward(nn.Module):
    """Each position on its own: wider, activation, back."""

    def __init__(self, shape: PreNormShape) -> None:
        super().__init__()
        self.activation, self.dropout = shape.activation, shape.resid_dropout
        self.expand = nn.Linear(shape.n_embd, shape.n_inner, bias=shape.bias)
        self.projection = nn.Linear(shape.n_inner, shape.n_embd, bias=shape.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.projection(self.activation(self.expand(x))), self.dropout, self.training)


class Block(nn.Module):
    """Attention, then feed-forward, each on a normalised copy of the residual stream."""

    def __init__(self, shape: PreNormShape) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(shape.n_embd, shape.norm_epsilon, bias=shape.bias)
        self.attention = CausalSelfAttention(shape)
        self.norm_2 = nn.LayerNorm(shape.n_embd, shape.norm_epsilon, bias=shape.bias)
        self.feed_forward = FeedForward(shape)

    def forward(self, x: Tensor, cache: LayerCache | None = None) -> Tensor:
        x = x + self.attention(self.norm_1(x), cache)
        return x + self.feed_forward(self.norm_2(x))


class PreNormTransformer(nn.Module):
    """Predicts the next token at every position, through the `head` that a family gives it."""

    predicts_every_position = True
    head: Callable[[Tensor], Tensor]
    """From the last norm (B, T, C) to logits (B, T, V)."""

    def __init__(self, shape: PreNormShape) -> None:
        super().__init__()
        self.dropout = shape.embd_dropout
        self._layers = (shape.n_layer, shape.n_head, shape.n_embd // shape.n_head)  # what a cache is made for
        self.token_embedding = nn.Embedding(shape.vocab_size, shape.n_embd)
        self.position_embedding = nn.Embedding(shape.n_positions, shape.n_embd)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layer))
        self.norm = nn.LayerNorm(shape.n_embd, shape.norm_epsilon, bias=shape.bias)

    def new_cache(self, batch: int, length: int) -> KeyValueCache:
        """Return an empty memory for `length` positions of `batch` sequences."""
        return KeyValueCache(*self._layers, batch, length, self.token_embedding.weight)

    def forward(
        self, idx: Tensor, targets: Tensor | None = None, cache: KeyValueCache | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, T, V) after each position of `idx` (B, T), and the mean loss against `targets` (B, T).

        Targets of -1 are left out of the loss. With a cache, `idx` goes on from what it holds, and only the logits after
        the last position (B, 1, V) are returned.
        """
        seen = cache.length if cache is not None else 0
        positions = torch.arange(seen, seen + idx.shape[1], device=idx.device)
        x = self.token_embedding(idx) + self.position_embedding(positions)  # (B, T, C)
        x = F.dropout(x, self.dropout, self.training)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache.layers[layer] if cache is not None else None)
        if cache is not None:
            x = x[:, -1:]
        logits = self.head(self.norm(x))  # (B, T, V)
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        return logits, loss
