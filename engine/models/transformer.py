"""The transformer block as first published: post-norm, ReLU, sinusoidal positions (Vaswani et al., 2017)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.transformer import TransformerModel


def sinusoidal_positions(length: int, width: int) -> Tensor:
    """Return the waves (length, width) that tell positions apart; `width` is even (Vaswani et al., 2017, section 3.5).

    Column 2i holds sin(t / 10000^(2i/width)), column 2i + 1 the cosine of the same angle.
    """
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(10000.0) / width))  # (width/2,)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rate  # (length, width/2)
    return torch.stack((angle.sin(), angle.cos()), 2).flatten(1).to(torch.get_default_dtype())


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in several heads; with `causal`, no position sees what comes after it."""

    def __init__(self, config: TransformerModel) -> None:
        super().__init__()
        self.n_head, self.causal, self.dropout = config.n_head, config.causal, config.dropout
        self.query = nn.Linear(config.d_model, config.n_head * config.d_k)
        self.key = nn.Linear(config.d_model, config.n_head * config.d_k)
        self.value = nn.Linear(config.d_model, config.n_head * config.d_v)
        self.projection = nn.Linear(config.n_head * config.d_v, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.queries_keys_values(x)  # each (B, nh, T, d)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, dropout_p=dropout)  # (B, nh, T, d_v)
        return self.projection(y.transpose(1, 2).flatten(2))  # (B, T, C)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (self._heads(layer(x)) for layer in (self.query, self.key, self.value))
        return q, k, v

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.n_head, -1)).transpose(1, 2)  # (B, T, nh*d) -> (B, nh, T, d)


class PostNormBlock(nn.Module):
    """Attention, add, normalise; feed-forward, add, normalise."""

    def __init__(self, config: TransformerModel) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(config)
        self.norm_1 = nn.LayerNorm(config.d_model)
        self.expand = nn.Linear(config.d_model, config.d_ff)
        self.activation = nn.ReLU()
        self.contract = nn.Linear(config.d_ff, config.d_model)
        self.norm_2 = nn.LayerNorm(config.d_model)
        self.dropout, self.ff_dropout = nn.Dropout(config.dropout), config.ff_dropout

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_1(x + self.dropout(self.attention(x)))
        inner = self.activation(self.expand(x))  # (B, T, F)
        if self.ff_dropout:
            inner = F.dropout(inner, self.ff_dropout, self.training)
        return self.norm_2(x + self.dropout(self.contract(inner)))


class Transformer(nn.Module):
    """Predicts the next token: at every position if causal, otherwise only after a full window of `block_size`.

    Without a mask a position would see the very token it is to predict, so the unmasked form reads a whole window and
    predicts the one token that follows, from its last position.

    Parameters: V·C + L·(nh·(2·d_k + d_v)·(C + 1) + nh·d_v·C + C + 2·C·F + F + C + 4·C) + C·V + V for vocabulary V,
    width C = d_model, feed-forward F = d_ff, heads nh and blocks L.
    """

    waves: Tensor

    def __init__(self, config: TransformerModel, vocab_size: int) -> None:
        super().__init__()
        self.block_size, self.predicts_every_position = config.block_size, config.causal
        self.token_embedding = nn.Embedding(vocab_size, config.d_model)
        waves = torch.zeros(config.block_size, config.d_model)
        if config.positions == "sinusoidal":
            waves = sinusoidal_positions(config.block_size, config.d_model)
        self.register_buffer("waves", waves, persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(PostNormBlock(config) for _ in range(config.n_layer))
        self.head = nn.Linear(config.d_model, vocab_size)
        self._initialise()

    def _initialise(self) -> None:
        """Draw matrices with Glorot's uniform rule (Glorot & Bengio, 2010), embeddings from N(0, 1), biases 0.

        The head starts at N(0, 0.02²): the last norm hands it vectors of length √d_model, and the first predictions should be
        close to even.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name == "head.weight":
                nn.init.normal_(parameter, std=0.02)
            elif parameter.dim() == 2 and name != "token_embedding.weight":
                nn.init.xavier_uniform_(parameter)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits after each position of `idx` (B, T), as (B, T, V), or after the last one, as (B, 1, V).

        The second value is the mean loss against `targets` (B, T) or (B, 1); targets of -1 are left out of it.
        """
        x = self.dropout(self.token_embedding(idx) + self.waves[: idx.shape[1]])  # (B, T, C)
        for block in self.blocks:
            x = block(x)
        logits = self.head(x if self.predicts_every_position else x[:, -1:])  # (B, T, V) or (B, 1, V)
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        return logits, loss
