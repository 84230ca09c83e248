"""How the next token is chosen from the model's logits."""

from dataclasses import dataclass

import torch
from torch import Tensor

from torchtty.engine.devices import finest_float

NOT_A_NUMBER = -1  # drawn in place of a token where the probabilities are NaN


@dataclass(frozen=True)
class Choice:
    """Temperature, top-k and top-p. Temperature 0 is greedy."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None


def probabilities(logits: Tensor, choice: Choice) -> Tensor:
    """Return the distribution (B, V) that tokens are drawn from, given logits (B, V).

    Temperature divides the logits; top-k keeps exactly the k likeliest; top-p keeps the smallest set of likeliest tokens
    whose probability reaches p (Holtzman et al., 2020), the likeliest always among them. A row of logits with a NaN in it has
    NaN for probabilities.
    """
    if choice.temperature == 0:
        greedy = torch.zeros_like(logits).scatter_(1, logits.argmax(1, keepdim=True), 1.0)
        return greedy.masked_fill_(logits.isnan().any(1, keepdim=True), torch.nan)
    scaled = logits.to(finest_float(logits.device)) / choice.temperature
    if choice.top_k and choice.top_k < logits.shape[1]:
        kept = scaled.topk(choice.top_k, dim=1).indices  # scatter, not a threshold: ties must not let in a k+1st
        scaled = torch.full_like(scaled, -torch.inf).scatter_(1, kept, scaled.gather(1, kept))
    result = scaled.softmax(1)
    if choice.top_p is not None and choice.top_p < 1:
        ordered, order = result.sort(stable=True, dim=1, descending=True)
        before = ordered.cumsum(1) - ordered  # probability of all likelier tokens
        ordered = ordered.masked_fill(before >= choice.top_p, 0.0)
        result = torch.zeros_like(result).scatter_(1, order, ordered)
        result = result / result.sum(1, keepdim=True)
    return result


def draw(probability: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one token a row from `probability` (B, V), as (B,), without waiting for the device.

    The largest of p / Exp(1) falls on each token with probability p (the exponential form of the Gumbel trick). Where a
    probability is NaN, `NOT_A_NUMBER` is drawn.
    """
    noise = torch.empty_like(probability).exponential_(generator=generator)
    token = (probability / noise.clamp_min(torch.finfo(noise.dtype).tiny)).argmax(1)
    return token.masked_fill_(probability.isnan().any(1), NOT_A_NUMBER)
