"""The lens prediction: the next token at every position of a text, how surprising the true one was, and counting beside it."""

import math
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.devices import finest_float
from torchtty.engine.lenses.subject import values
from torchtty.engine.lenses.text import logits_along, own_text
from torchtty.engine.training.task import ReadsText

MOST_TOKENS = 1000
NATS = math.log(2)  # nats a bit


def compute(task: ReadsText, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `given` (the token that nothing predicts), `positions`, `totals`, and what of the text is `unknown` or `left_out`.

    A position has the true `token`, its `id`, `probability` and `rank` (1 is the likeliest), its surprise in `bits`, the `entropy`
    of the prediction, what counting gives in bits (`unigram`, `bigram`; see `reference_losses`) and the `likeliest` tokens as
    [token, probability]. None stands for an infinity. `totals` has, for model, bigram, unigram and chance, `nats` and `bits` a
    token, and bits a character; counting is left out where the text it counts is gone.
    """
    text = own_text(task, options, MOST_TOKENS)
    yield Progress(done=0, total=2)
    logits = logits_along(task, text.ids)  # (N, V)
    logs = logits.to(finest_float(task.device)).log_softmax(1).cpu()  # (N, V)
    true = torch.tensor(text.ids[1:])  # (N,)
    own = logs.gather(1, true[:, None])[:, 0]  # (N,)
    yield Progress(done=1, total=2)
    tokenizer = task.data.tokenizer
    known = logs[:, : tokenizer.vocab_size]
    top = known.topk(min(max(1, int(options.get("top", 5))), known.shape[1]), 1)
    entropy = -(logs.exp() * logs.clamp_min(-1e4)).sum(1) / NATS
    ranks = (logs > own[:, None]).sum(1) + 1
    counted = _counted(task, text.ids)
    positions = [
        {
            "token": text.shown[place + 1],
            "id": int(true[place]),
            "probability": values(own[place].exp()),
            "bits": values(-own[place] / NATS),
            "rank": int(ranks[place]),
            "entropy": values(entropy[place]),
            **{name: round(float(bits[place]), 4) for name, bits in counted.items()},
            "likeliest": [
                [tokenizer.decode_token(int(token)), values(log.exp())]
                for log, token in zip(top.values[place], top.indices[place], strict=True)
            ],
        }
        for place in range(len(true))
    ]
    ended = task.data.terminator is not None and text.ids[-1] == task.data.terminator
    characters = len(tokenizer.decode(text.ids[1:-1] if ended else text.ids[1:])) + ended  # the end is a symbol too
    bits = {"model": float(-own.sum()) / NATS}
    bits |= {name: float(found.sum()) for name, found in counted.items()}
    bits["chance"] = len(true) * math.log2(logs.shape[1])
    return {
        "given": text.shown[0],
        "positions": positions,
        "totals": {name: _total(total, len(true), characters) for name, total in bits.items()},
        "unknown": list(text.unknown),
        "left_out": text.left_out,
    }


def _total(bits: float, tokens: int, characters: int) -> dict[str, float | None]:
    found = {"nats": bits * NATS / tokens, "bits": bits / tokens, "bits_per_character": bits / max(1, characters)}
    return {name: round(value, 5) if math.isfinite(value) else None for name, value in found.items()}


def _counted(task: ReadsText, ids: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
    """Return the surprise in bits (N,) of each token after the first for who counted pairs or single tokens of the training split.

    See `PairCounts`, from which the reference lines of the charts come too.
    """
    try:
        counts = task.text().pair_counts
    except UserError:  # the text is gone
        counts = None
    if counts is None:
        return {}
    asked = np.asarray(ids, dtype=np.int64)
    return {"bigram": -np.log2(counts.bigram(asked)), "unigram": -np.log2(counts.unigram(asked))}
