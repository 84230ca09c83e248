"""The multi-layer perceptron language model (Bengio et al., 2003): embed, join, one hidden layer, predict."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.mlp import MLPModel


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of each channel over all other dimensions, for x (B, C) and (B, T, C) (Ioffe & Szegedy, 2015).

    In training it uses the batch's own mean and variance and follows them with a running average (momentum 0.1); in
    evaluation it uses the average, so that what an example gives no longer depends on its neighbours.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, -2)).view_as(x)


class MLP(nn.Module):
    """Predicts the token after a window of `block_size` tokens.

    Parameters: V·E + (T·E·H + H) + (H·V + V) for vocabulary V, context T, embedding E, hidden H. With batch norm the hidden
    layer's biases H, which it would subtract again, give way to its gains and shifts 2·H.
    """

    predicts_every_position = False

    def __init__(self, config: MLPModel, vocab_size: int) -> None:
        super().__init__()
        self.block_size = config.block_size
        self.embedding = nn.Embedding(vocab_size, config.n_embd)
        self.hidden = nn.Linear(config.block_size * config.n_embd, config.n_hidden, bias=not config.batch_norm)
        self.norm = BatchNorm(config.n_hidden) if config.batch_norm else nn.Identity()
        self.activation = nn.Tanh()
        self.head = nn.Linear(config.n_hidden, vocab_size)
        self._initialise(config.initialisation)

    def _initialise(self, scheme: str) -> None:
        """Draw the first weights.

        | scheme   | embedding | hidden weights               | head weights | biases |
        |----------|-----------|------------------------------|--------------|--------|
        | fan-in   | N(0, 1)   | N(0, (5/3)²/fan-in) for tanh | N(0, 0.01²)  | 0      |
        | unscaled | N(0, 1)   | N(0, 1)                      | N(0, 1)      | N(0, 1)|

        Source of the gain 5/3 and the fan-in rule: He et al., 2015, and `torch.nn.init.calculate_gain("tanh")`.
        """
        nn.init.normal_(self.embedding.weight)
        if scheme == "unscaled":
            for layer in (self.hidden, self.head):
                nn.init.normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.normal_(layer.bias)
            return
        nn.init.normal_(self.hidden.weight, std=5 / 3 / math.sqrt(self.hidden.in_features))
        nn.init.normal_(self.head.weight, std=0.01)
        for bias in (self.hidden.bias, self.head.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, 1, V) for the token after each window `idx` (B, T), and the mean loss against `targets` (B, 1)."""
        joined = self.embedding(idx).flatten(1)  # (B, T*E)
        hidden = self.activation(self.norm(self.hidden(joined)))  # (B, H)
        logits = self.head(hidden)  # (B, V)
        loss = None if targets is None else F.cross_entropy(logits, targets.flatten())
        return logits.unsqueeze(1), loss
