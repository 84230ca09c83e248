"""One decoder for every autoregressive model: token ids in, token ids out, and how the next one is chosen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

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


@torch.no_grad()
def decode(
    model: nn.Module,
    prompt: Tensor,
    rows: int,
    max_tokens: int,
    choice: Choice,
    generator: torch.Generator,
    start_id: int,
    *,
    vocab_size: int | None = None,
    cached: bool = True,
    fixed: bool | None = None,
) -> Iterator[Tensor]:
    """Yield the next token of every row, (rows,), `max_tokens` times, each going on from `prompt` (T,), T >= 0.

    A model with a fixed window gets its context filled up with `start_id` on the left. Tokens from `vocab_size` on, which
    a model may have more of than its tokenizer, are never drawn. The caller puts the model into evaluation mode.

    The prompt is read once for all rows. With `cached`, a model that has a `new_cache(batch, length)` is then shown one token
    at a time, by `forward(idx, cache=cache)`, which returns the logits after the last position only, (B, 1, V); the text is the
    same. A cache is `expanded(rows)` from one sequence to several that began alike, and once it is `full` the decoder goes on
    without it. With `fixed`, as on a GPU if nothing else is said, one that can be `fix`ed takes the same kernels for each token.
    """
    if max_tokens < 1:
        return
    block_size: int = getattr(model, "longest_context", model.block_size)  # type: ignore[arg-type]
    missing = (1 if model.predicts_every_position else block_size) - len(prompt)
    if missing > 0:
        prompt = torch.cat((prompt.new_full((missing,), start_id), prompt))
    window = prompt[None, max(0, len(prompt) - block_size) :]  # (1, T)
    cache: Any = None
    if cached and hasattr(model, "new_cache"):
        cache = model.new_cache(1, min(block_size, window.shape[1] + max_tokens - 1))  # type: ignore[operator]
        logits = model(window, cache=cache)[0]  # (1, 1, V)
        cache = cache.expanded(rows)
        if hasattr(cache, "fix") and (window.device.type != "cpu" if fixed is None else fixed):
            cache.fix()
    else:
        logits = model(window)[0]
    logits, window = logits.expand(rows, -1, -1), window.expand(rows, -1)
    drawn: list[Tensor] = []  # since the window was last put together
    for remaining in range(max_tokens - 1, -1, -1):
        token = draw(probabilities(logits[:, -1, :vocab_size], choice), generator)
        yield token
        if not remaining:
            return
        drawn.append(token)
        if cache is not None and cache.full:
            cache = None  # the window slides: every token moves to another position
        if cache is None:
            window = torch.cat((window, torch.stack(drawn, 1)), 1)
            window = window[:, max(0, window.shape[1] - block_size) :]
            drawn.clear()
            logits = model(window)[0]
        else:
            logits = model(token[:, None], cache=cache)[0]


def fetched(tokens: Iterator[Tensor], at_once: int) -> Iterator[list[int]]:
    """Yield each token's rows as numbers: the first at once, then `at_once` tokens in one transfer from the device."""
    waiting: list[Tensor] = []
    first = True
    for token in tokens:
        waiting.append(token)
        if first or len(waiting) == at_once:
            first = False
            yield from torch.stack(waiting).tolist()
            waiting.clear()
    if waiting:
        yield from torch.stack(waiting).tolist()
