"""The lens counts: how often each token follows each other, against what the model makes of it.

Pairs are counted over the training split, an item's beginning and end included. The model is asked for the distribution after
each token alone, which for a model of pairs is all that it knows.
"""

import itertools
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.lenses.subject import values
from torchtty.engine.lenses.text import log_probabilities_after, shown, text_of, text_task

MOST_SYMBOLS = 100  # rows and columns; of a larger vocabulary the commonest
MOST_PAIRS = 60
SAMPLES, LONGEST = 6, 24  # texts that are drawn for contrast, and tokens of each


def compute(task: Any, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return `symbols` (N), `counts` (N, N), `followed` (N: how often each is followed by any) and the model's `model` (N, N).

    `nats` holds the mean loss over all pairs of the split of what was counted, of the model and of chance; `pairs` the commonest
    as [first, second, count]; `word` those of the typed word, in its order; `samples` what is drawn from each.
    """
    task = text_task(task)
    yield Progress(done=0, total=3)
    data = text_of(task)
    size = data.tokenizer.vocab_size
    stream = torch.from_numpy(np.asarray(data.stream("train"), dtype=np.int64))
    if len(stream) < 2:
        raise UserError("The training split is too short to hold a pair of tokens.")
    codes, counts = torch.unique(stream[:-1] * size + stream[1:], return_counts=True)
    first, second = codes // size, codes % size
    followed = torch.bincount(stream[:-1], minlength=size)
    chosen = _chosen(torch.bincount(stream, minlength=size))
    place = torch.full((size,), -1)
    place[chosen] = torch.arange(len(chosen))
    inside = (place[first] >= 0) & (place[second] >= 0)
    matrix = torch.zeros(len(chosen), len(chosen), dtype=torch.int64)
    matrix[place[first[inside]], place[second[inside]]] = counts[inside]

    yield Progress(done=1, total=3)
    asked = torch.unique(first)
    predicted = log_probabilities_after(task, [[int(token)] for token in _all_of(asked, chosen)])
    rows = {int(token): row for row, token in enumerate(_all_of(asked, chosen))}
    yield Progress(done=2, total=3)
    model = torch.stack([predicted[rows[int(token)]] for token in chosen])[:, chosen].exp()
    by_model = torch.stack([predicted[rows[int(token)]] for token in asked])
    at = torch.searchsorted(asked, first)
    weights = counts.double() / counts.sum()
    nats = {
        "counts": float(-(weights * (counts.double() / followed[first]).log()).sum()),
        "model": float(-(weights * by_model[at, second]).sum()),
        "uniform": float(np.log(size)),
    }
    order = counts.argsort(descending=True, stable=True)[:MOST_PAIRS]
    names = {int(token): name for token, name in zip(chosen, shown(data, chosen.tolist()), strict=True)}
    pairs = [[*shown(data, (first[one], second[one])), int(counts[one])] for one in order]
    known = {(int(a), int(b)): int(count) for a, b, count in zip(first, second, counts, strict=True)}
    return {
        "symbols": list(names.values()),
        "vocabulary": size,
        "counts": matrix.tolist(),
        "followed": followed[chosen].tolist(),
        "model": values(model, 3),
        "nats": {name: round(value, 4) for name, value in nats.items() if np.isfinite(value)},
        "total": int(counts.sum()),
        "pairs": pairs,
        "word": _word(data, options["word"], known, followed, predicted, rows),
        "samples": _samples(data, matrix, model, chosen, options["seed"]),
        "show": options["show"],
        "items": data.terminator is not None,
    }


def _chosen(occurrences: torch.Tensor) -> torch.Tensor:
    """Return the tokens that get a row: all in their order, or of a large vocabulary the commonest."""
    if len(occurrences) <= MOST_SYMBOLS:
        return torch.arange(len(occurrences))
    return occurrences.argsort(descending=True, stable=True)[:MOST_SYMBOLS]


def _all_of(*tokens: torch.Tensor) -> torch.Tensor:
    return torch.unique(torch.cat(tokens))


def _word(
    data: PreparedText,
    word: str,
    known: Mapping[tuple[int, int], int],
    followed: torch.Tensor,
    predicted: torch.Tensor,
    rows: Mapping[int, int],
) -> list[list[Any]]:
    """Return the pairs of a word as [first, second, count, share of those that follow, the model's probability]."""
    if not word:
        return []
    tokens = data.tokenizer.encode(word)
    if data.terminator is not None:
        tokens = [data.terminator, *tokens, data.terminator]
    found = []
    for one, other in itertools.pairwise(tokens):
        count = known.get((one, other), 0)
        share = count / int(followed[one]) if followed[one] else 0.0
        by_model = float(predicted[rows[one], other].exp()) if one in rows else None
        found.append([*shown(data, (one, other)), count, float(f"{share:.4g}"), by_model and float(f"{by_model:.4g}")])
    return found


def _samples(
    data: PreparedText, counts: torch.Tensor, model: torch.Tensor, chosen: torch.Tensor, seed: int
) -> dict[str, list[str]]:
    """Draw texts pair by pair: from what was counted, from the model's pairs, and from chance, each with the same seed."""
    start = (chosen == data.start_id).nonzero()
    if not len(start):
        return {}
    tables = {"counts": counts.double(), "model": model.double(), "uniform": torch.ones_like(model)}
    return {name: _drawn(data, table, chosen, int(start[0]), seed) for name, table in tables.items()}


def _drawn(data: PreparedText, table: torch.Tensor, chosen: torch.Tensor, start: int, seed: int) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    texts = []
    for _ in range(SAMPLES if data.terminator is not None else 2):
        place, tokens = start, []
        for _ in range(LONGEST):
            row = table[place].nan_to_num()
            row = row if row.sum() > 0 else torch.ones_like(row)
            place = int(torch.multinomial(row, 1, generator=generator))
            if int(chosen[place]) == data.terminator:
                break
            tokens.append(int(chosen[place]))
        texts.append(data.tokenizer.decode(tokens))
    return texts
