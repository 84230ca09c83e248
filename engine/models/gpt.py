"""A GPT: token and position embeddings, pre-norm transformer blocks, a linear head (Radford et al., 2019)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.contract.models.gpt import GPTModel
from engine.models.key_value_cache import KeyValueCache, LayerCache, attend


class CausalSelfAttention(nn.Module):
    """Every position looks at itself and at what came before (Vaswani et al., 2017)."""

    def __init__(self, config: GPTModel) -> None:
        super().__init__()
        self.n_head, self.dropout = config.n_head, config.dropout
        self.query_key_value = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.qkv_bias)
        self.projection = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor, cache: LayerCache | None = None) -> Tensor:
        batch, time, width = x.shape
        heads = self.query_key_value(x).view(batch, time, 3, self.n_head, width // self.n_head)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, nh, T, hs)
        y = attend(q, k, v, self.dropout if self.training else 0.0, cache)  # (B, nh, T, hs)
        y = y.transpose(1, 2).reshape(batch, time, width)  # (B, T, C)
        return F.dropout(self.projection(y), self.dropout, self.training)


class FeedForward(nn.Module):
    """Each position on its own: four times as wide, GELU, back."""

    def __init__(self, config: GPTModel) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.expand = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.projection = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.projection(F.gelu(self.expand(x))), self.dropout, self.training)


class Block(nn.Module):
    """Attention, then feed-forward, each on a normalised copy of the residual stream."""

    def __init__(self, config: GPTModel) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.attention = CausalSelfAttention(config)
        self.norm_2 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, cache: LayerCache | None = None) -> Tensor:
        x = x + self.attention(self.norm_1(x), cache)
        return x + self.feed_forward(self.norm_2(x))


class GPT(nn.Module):
    """Predicts the next token at every position of a window of up to `block_size` tokens."""

    predicts_every_position = True

    def __init__(self, config: GPTModel, vocab_size: int) -> None:
        super().__init__()
        self.block_size, self.dropout = config.block_size, config.dropout
        self._layers = (config.n_layer, config.n_head, config.n_embd // config.n_head)  # what a cache is made for
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.head = nn.Linear(config.n_embd, vocab_size, bias=config.bias and not config.tie_weights)
        if config.tie_weights:
            self.head.weight = self.token_embedding.weight
        self._initialise(config.n_layer)

    def _initialise(self, n_layer: int) -> None:
        """Draw the first weights as GPT-2 does (Radford et al., 2019, section 2.3).

        | weights                                    | drawn from                |
        |--------------------------------------------|---------------------------|
        | embeddings and linear layers               | N(0, 0.02²)               |
        | the two projections into the residual stream | N(0, 0.02² / (2·n_layer)) |
        | biases                                     | 0                         |
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "norm" not in name:
                std = 0.02 / math.sqrt(2 * n_layer) if name.endswith("projection.weight") else 0.02
                nn.init.normal_(parameter, std=std)

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
