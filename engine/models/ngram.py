"""The n-gram model: probabilities by counting which token follows which n - 1 others."""

from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.models.ngram import NGramModel


class NGram(nn.Module):
    """Predicts the token after a window of n - 1 tokens from how often it followed that window.

    P(next | context) = (count(context, next) + s) / (count(context) + s·V), with smoothing s and vocabulary V. A context that
    was never seen says nothing without smoothing, and is taken as uniform then.

    Only the sequences that occur are stored, each as one number in base V, sorted: `codes` (G,) and `counts` (G,).
    """

    predicts_every_position = False
    codes: Tensor
    counts: Tensor

    def __init__(self, config: NGramModel, vocab_size: int) -> None:
        super().__init__()
        if vocab_size**config.n >= 2**63:
            raise UserError(
                f"model.n of {config.n} is too long for {vocab_size:,} different tokens: "
                "the sequences cannot be numbered. Take a smaller n, or a tokenizer with fewer tokens."
            )
        self.block_size, self.vocab_size, self.smoothing = config.n - 1, vocab_size, config.smoothing
        self.register_buffer("codes", torch.empty(0, dtype=torch.int64))
        self.register_buffer("counts", torch.empty(0, dtype=torch.int64))

    def count(self, windows: Tensor) -> None:
        """Replace the counts by those of `windows` (N, n), each a context and the token that follows."""
        self.codes, self.counts = torch.unique(self._encode(windows), return_counts=True)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Make room for as many sequences as the weights hold."""
        for name in ("codes", "counts"):
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def _encode(self, tokens: Tensor) -> Tensor:
        code = torch.zeros(tokens.shape[0], dtype=torch.int64, device=tokens.device)
        for position in range(tokens.shape[1]):
            code = code * self.vocab_size + tokens[:, position]
        return code

    def follower_counts(self, idx: Tensor) -> Tensor:
        """Return how often each token followed each context `idx` (B, n - 1), as (B, V)."""
        first = self._encode(idx) * self.vocab_size  # (B,)
        wanted = first[:, None] + torch.arange(self.vocab_size, device=idx.device)  # (B, V)
        if not len(self.codes):
            return torch.zeros_like(wanted)
        place = torch.searchsorted(self.codes, wanted).clamp_max(len(self.codes) - 1)
        return torch.where(self.codes[place] == wanted, self.counts[place], 0)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return log-probabilities (B, 1, V) after each context `idx` (B, n - 1), and the mean loss against `targets` (B, 1).

        Without smoothing a sequence that was never seen has log-probability -inf.
        """
        counts = self.follower_counts(idx).double() + self.smoothing  # (B, V)
        total = counts.sum(1, keepdim=True)
        counts = torch.where(total > 0, counts, 1.0)
        logits = (counts / counts.sum(1, keepdim=True)).log()  # (B, V)
        loss = None if targets is None else -logits.gather(1, targets).mean()
        return logits.unsqueeze(1), loss
