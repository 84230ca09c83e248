"""The transformer of the GPT family: pre-norm blocks over learned positions (Radford et al., 2019)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LayerCache:
    """The keys and values of one layer, in buffers (B, nh, L, hs) that stay where they are; `length` positions are filled."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values
        self.length = 0
        self.place: Tensor | None = None  # the next position (1,), where it is a number on the device
        self.visible: Tensor | None = None  # which positions (1, L) the token at `place` may look at

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add `k` and `v` (B, nh, T, hs); return those of all positions so far (B, nh, length, hs).

        With a place on the device, T is 1 and the whole buffers are returned (B, nh, L, hs).
        """
        end = self.length + k.shape[2]
        if self.place is not None:
            self.keys.index_copy_(2, self.place, k)
            self.values.index_copy_(2, self.place, v)
            self.length = end
            return self.keys, self.values
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
        self.place: Tensor | None = None

    def fix(self) -> None:
        """Go on token by token with the position as a number on the device, so that each takes the same kernels on all of the
        buffers: a GPU then needs not be told anything new. What is not filled yet becomes zeros, as all of it is computed with.
        """
        device = self.layers[0].keys.device
        self.place = torch.full((1,), self.length, device=device)
        self._positions = torch.arange(self._room, device=device)
        for layer in self.layers:
            layer.keys[:, :, layer.length :] = 0
            layer.values[:, :, layer.length :] = 0
            layer.place = self.place

    def look(self) -> None:
        """Say what the next token may look at: itself, and what came before."""
        if self.place is not None:
            visible = (self._positions <= self.place)[None]  # (1, L)
            for layer in self.layers:
                layer.visible = visible

    def move_on(self) -> None:
        """Go to the next position, once a token is read."""
        if self.place is not None:
            self.place += 1

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
        k, v = cache.append(k, v)  # (B, nh, seen + T, hs), or all there is room for
        if cache.place is not None:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=cache.visible, dropout_p=dropout)
    if not seen:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
    time = q.shape[2]
    mask = None  # a single new position may look at all there is
    if time > 1:
        mask = torch.ones(time, seen + time, dtype=torch.bool, device=q.device).tril(seen)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)


def _gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its tanh approximation (Hendrycks & Gimpel, 2016, section 2)."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class Architecture:
    """The shape of a transformer of the GPT family, in the names of GPT-2's `config.json`."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int  # width of the feed-forward layers
    activation_function: str = "gelu"
    layer_norm_epsilon: float = 1e-5


@dataclass(frozen=True)
class PreNormShape(Architecture):
    """What the transformer is made of. Its dropouts are shares of the embeddings, the attention weights, and what layers add."""

    bias: bool = True  # in linear layers and norms
    qkv_bias: bool = True
    embd_dropout: float = 0.0
    attn_dropout: float = 0.0
    resid_dropout: float = 0.0


class CausalSelfAttention(nn.Module):
    """Every position looks at itself and at what came before (Vaswani et al., 2017)."""

    causal = True

    def __init__(self, shape: PreNormShape) -> None:
        super().__init__()
        self.n_head, self.attn_dropout, self.resid_dropout = shape.n_head, shape.attn_dropout, shape.resid_dropout
        self.query_key_value = nn.Linear(shape.n_embd, 3 * shape.n_embd, bias=shape.qkv_bias)
        self.projection = nn.Linear(shape.n_embd, shape.n_embd, bias=shape.bias)

    def forward(self, x: Tensor, cache: LayerCache | None = None) -> Tensor:
        batch, time, width = x.shape
        q, k, v = self.queries_keys_values(x)  # each (B, nh, T, hs)
        y = attend(q, k, v, self.attn_dropout if self.training else 0.0, cache)  # (B, nh, T, hs)
        y = y.transpose(1, 2).reshape(batch, time, width)  # (B, T, C)
        return F.dropout(self.projection(y), self.resid_dropout, self.training)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, time, width = x.shape
        heads = self.query_key_value(x).view(batch, time, 3, self.n_head, width // self.n_head)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v


class FeedForward(nn.Module):
    """Each position on its own: wider, activation, back."""

    def __init__(self, shape: PreNormShape) -> None:
        super().__init__()
        self.activation, self.dropout = ACTIVATIONS[shape.activation_function], shape.resid_dropout
        self.expand = nn.Linear(shape.n_embd, shape.n_inner, bias=shape.bias)
        self.projection = nn.Linear(shape.n_inner, shape.n_embd, bias=shape.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.projection(self.activation(self.expand(x))), self.dropout, self.training)


class Block(nn.Module):
    """Attention, then feed-forward, each on a normalised copy of the residual stream."""

    def __init__(self, shape: PreNormShape) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(shape.n_embd, shape.layer_norm_epsilon, bias=shape.bias)
        self.attention = CausalSelfAttention(shape)
        self.norm_2 = nn.LayerNorm(shape.n_embd, shape.layer_norm_epsilon, bias=shape.bias)
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
        self.norm = nn.LayerNorm(shape.n_embd, shape.layer_norm_epsilon, bias=shape.bias)

    def draw_weights(self, residual_std: float = 0.02) -> None:
        """Draw the first weights as GPT-2 does (Radford et al., 2019, section 2.3); norms begin at 1.

        | weights                                      | drawn from          |
        |----------------------------------------------|---------------------|
        | embeddings and linear layers                 | N(0, 0.02²)         |
        | the two projections into the residual stream | N(0, residual_std²) |
        | biases                                       | 0                   |
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                nn.init.normal_(parameter, std=residual_std if name.endswith("projection.weight") else 0.02)

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
        if cache is not None and cache.place is not None:
            positions = cache.place
            cache.look()
        else:
            positions = torch.arange(seen, seen + idx.shape[1], device=idx.device)
        x = self.token_embedding(idx) + self.position_embedding(positions)  # (B, T, C)
        x = F.dropout(x, self.dropout, self.training)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache.layers[layer] if cache is not None else None)
        if cache is not None:
            x = x[:, -1:]
            cache.move_on()
        logits = self.head(self.norm(x))  # (B, T, V)
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        return logits, loss
