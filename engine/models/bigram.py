"""The bigram table learnt by gradient descent."""

from torch import Tensor, nn
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.bigram import BigramModel


class Bigram(nn.Module):
    """Predicts each next token from the one before it alone: row `a` of the table holds the logits of what follows `a`.

    Parameters: V·V for vocabulary V. The best it can learn is what counting pairs gives at once.
    """

    predicts_every_position = True

    def __init__(self, config: BigramModel, vocab_size: int) -> None:
        super().__init__()
        self.block_size = config.block_size
        self.table = nn.Embedding(vocab_size, vocab_size)  # N(0, 1), as `nn.Embedding` draws it

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, T, V) after each position of `idx` (B, T), and the mean loss against `targets` (B, T).

        Targets of -1 are left out of the loss.
        """
        logits = self.table(idx)  # (B, T, V)
        loss = None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        return logits, loss
