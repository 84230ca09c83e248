"""The hierarchical network: neighbours are fused in pairs, level by level (after WaveNet, van den Oord et al., 2016)."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.wavenet import WaveNetModel
from torchtty.engine.models.mlp import BatchNorm

HEAD_SCALE = 0.1  # of the last layer's first weights, so that the first predictions are close to even


class FusePairs(nn.Module):
    """Joins each two neighbours, so that half as many places stay, each twice as wide."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, 2)).flatten(2)  # (B, T, C) -> (B, T/2, 2C)


class Level(nn.Module):
    """Fuse, linear without bias, batch norm, tanh."""

    def __init__(self, width: int, n_hidden: int) -> None:
        super().__init__()
        self.fuse = FusePairs()
        self.linear = nn.Linear(2 * width, n_hidden, bias=False)  # batch norm has shifts of its own
        self.norm = BatchNorm(n_hidden)
        self.activation = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.linear(self.fuse(x))))  # (B, T/2, H)


class WaveNet(nn.Module):
    """Predicts the token after a window of `block_size` = 2^L tokens through L levels.

    Parameters: V·E + (2·E·H + 2·H) + (L - 1)·(2·H·H + 2·H) + (H·V + V) for vocabulary V, embedding E, hidden H.
    """

    predicts_every_position = False

    def __init__(self, config: WaveNetModel, vocab_size: int) -> None:
        super().__init__()
        self.block_size = config.block_size
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        widths = [config.n_embd] + [config.n_hidden] * (config.block_size.bit_length() - 2)
        self.levels = nn.ModuleList(Level(width, config.n_hidden) for width in widths)
        self.head = nn.Linear(config.n_hidden, vocab_size)
        self._initialise()

    def _initialise(self) -> None:
        """Draw the first weights: embeddings N(0, 1), layers N(0, 1/fan-in), the head a tenth of that, its biases 0."""
        nn.init.normal_(self.embedding.weight)
        for level in self.levels:
            linear: nn.Linear = level.linear  # type: ignore[assignment]
            nn.init.normal_(linear.weight, std=1 / math.sqrt(linear.in_features))
        nn.init.normal_(self.head.weight, std=HEAD_SCALE / math.sqrt(self.head.in_features))
        nn.init.zeros_(self.head.bias)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, 1, V) for the token after each window `idx` (B, T), and the mean loss against `targets` (B, 1)."""
        x = self.embedding(idx)  # (B, T, E)
        for level in self.levels:
            x = level(x)  # T halves: (B, T/2, H), (B, T/4, H), … (B, 1, H)
        logits = self.head(x)  # (B, 1, V)
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return logits, loss
