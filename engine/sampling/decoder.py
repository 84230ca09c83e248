"""One decoder for every autoregressive model: token ids in, token ids out."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from engine.sampling.settings import Choice, draw, probabilities


@torch.no_grad()
def decode(
    model: nn.Module, context: Tensor, max_tokens: int, choice: Choice, generator: torch.Generator, start_id: int
) -> Iterator[Tensor]:
    """Yield the next token of every row (B,), `max_tokens` times, going on from `context` (B, T), T >= 0.

    A model with a fixed window gets its context filled up with `start_id` on the left. The caller puts the model into
    evaluation mode.
    """
    block_size: int = model.block_size  # type: ignore[assignment]
    rows = context.shape[0]
    missing = (1 if model.predicts_every_position else block_size) - context.shape[1]
    if missing > 0:
        padding = torch.full((rows, missing), start_id, dtype=torch.int64, device=context.device)
        context = torch.cat((padding, context), 1)
    for _ in range(max_tokens):
        window = context[:, context.shape[1] - block_size :] if context.shape[1] > block_size else context
        logits = model(window)[0][:, -1]  # (B, V)
        token = draw(probabilities(logits, choice), generator)
        yield token
        context = torch.cat((context, token[:, None]), 1)
