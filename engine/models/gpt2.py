"""GPT-2 as it was published: a GPT with biases everywhere, a tied head and its own GELU (Radford et al., 2019)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.contract.models.gpt2 import GPT2Model
from engine.models.key_value_cache import KeyValueCache, LayerCache, attend


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
    """The shape of a GPT-2, in the names of its `config.json`."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int  # width of the feed-forward layers
    activation_function: str
    layer_norm_epsilon: float


class Attention(nn.Module):
    """Every position looks at itself and at what came before (Vaswani et al., 2017)."""

    def __init__(self, shape: Architecture, config: GPT2Model) -> None:
        super().__init__()
        self.n_head, self.attn_dropout, self.resid_dropout = shape.n_head, config.attn_dropout, config.resid_dropout
        self.query_key_value = nn.Linear(shape.n_embd, 3 * shape.n_embd)
        self.projection = nn.Linear(shape.n_embd, shape.n_embd)

    def forward(self, x: Tensor, cache: LayerCache | None) -> Tensor:
        batch, time, width = x.shape
        heads = self.query_key_value(x).view(batch, time, 3, self.n_head, width // self.n_head)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, nh, T, hs)
        y = attend(q, k, v, self.attn_dropout if self.training else 0.0, cache)  # (B, nh, T, hs)
        y = y.transpose(1, 2).reshape(batch, time, width)  # (B, T, C)
        return F.dropout(self.projection(y), self.resid_dropout, self.training)


class FeedForward(nn.Module):
    """Each position on its own: wider, activation, back."""

    def __init__(self, shape: Architecture, config: GPT2Model) -> None:
        super().__init__()
        self.dropout = config.resid_dropout
        self.activation = ACTIVATIONS[shape.activation_function]
        self.expand = nn.Linear(shape.n_embd, shape.n_inner)
        self.projection = nn.Linear(shape.n_inner, shape.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.projection(self.activation(self.expand(x))), self.dropout, self.training)


class Block(nn.Module):
    """Attention, then feed-forward, each on a normalised copy of the residual stream."""

    def __init__(self, shape: Architecture, config: GPT2Model) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(shape.n_embd, eps=shape.layer_norm_epsilon)
        self.attention = Attention(shape, config)
        self.norm_2 = nn.LayerNorm(shape.n_embd, eps=shape.layer_norm_epsilon)
        self.feed_forward = FeedForward(shape, config)

    def forward(self, x: Tensor, cache: LayerCache | None) -> Tensor:
        x = x + self.attention(self.norm_1(x), cache)
        return x + self.feed_forward(self.norm_2(x))


class GPT2(nn.Module):
    """Predicts the next token at every position; its weights come from elsewhere and are not drawn here.

    It is trained on windows of `block_size` tokens, and sampled from with all `longest_context` positions it has.
    """

    predicts_every_position = True

    def __init__(self, shape: Architecture, config: GPT2Model) -> None:
        super().__init__()
        self.shape, self.dropout = shape, config.embd_dropout
        self.block_size, self.longest_context = config.block_size, shape.n_positions
        self.token_embedding = nn.Embedding(shape.vocab_size, shape.n_embd)
        self.position_embedding = nn.Embedding(shape.n_positions, shape.n_embd)
        self.blocks = nn.ModuleList(Block(shape, config) for _ in range(shape.n_layer))
        self.norm = nn.LayerNorm(shape.n_embd, eps=shape.layer_norm_epsilon)

    def new_cache(self, batch: int, length: int) -> KeyValueCache:
        """Return an empty memory for `length` positions of `batch` sequences."""
        head_size = self.shape.n_embd // self.shape.n_head
        return KeyValueCache(
            self.shape.n_layer, self.shape.n_head, head_size, batch, length, self.token_embedding.weight
        )

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
        logits = F.linear(self.norm(x), self.token_embedding.weight)  # (B, T, V), the head being the embedding
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        return logits, loss
