"""The lens tokens: a text as every tokenizer cuts it, with ids and counts, and what writing it costs in bits."""

import math
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Progress
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    GPT2Tokenizer,
    Tokenizer,
    WordTokenizer,
)
from torchtty.engine.training.task import ReadsText

MOST_CHARACTERS = 2000  # of a text
LEARNT_FROM = 200_000  # characters that tokenizers are learnt from and tokens are counted in
MERGED = 512  # tokens of the byte-pair encoding that is learnt beside the run's own
PIECE = 120  # characters of the text learnt from that stand for a person's own where they gave none


def compute(task: ReadsText, options: Mapping[str, Any]) -> Generator[Progress, None, dict[str, Any]]:
    """Return the `text` and `tokenizers`, the run's own first; `missing` says why one is not there.

    A tokenizer has `name`, `own`, `vocab_size`, the text's `tokens` (each as it is shown) and `ids`, `characters_per_token`,
    `fixed_bits` (of a code that gives every token of the vocabulary the same length), `bits` (by how often each occurs in the
    text learnt from, -log2 (n + 1) / (N + V)), what of the text is `unknown`, and whether decoding gives the text `back`.
    Tokenizers other than the run's own are learnt from LEARNT_FROM characters of what the run learns from.
    """
    own, missing = task.data.tokenizer, {}
    text, learnt_from = str(options.get("text") or ""), ""
    try:
        data = task.text()
        learnt_from, text = _running_text(data), text or _example(data)
    except UserError as error:
        missing["learnt from the text"] = str(error)
        if not text:
            raise
    text = text[:MOST_CHARACTERS]
    ways: list[tuple[str, bool, Callable[[], Tokenizer | None]]] = [(own.kind, True, lambda: own)]
    if learnt_from:
        others = _learnt(learnt_from)
        ways += [
            (name, False, way) for name, way in others.items() if name != own.kind or name == BytePairTokenizer.kind
        ]
    if own.kind != GPT2Tokenizer.kind:
        ways.append((GPT2Tokenizer.kind, False, GPT2Tokenizer.at_hand))
    found = []
    for number, (name, is_own, way) in enumerate(ways):
        yield Progress(done=number, total=len(ways))
        tokenizer = way()
        if tokenizer is None:
            missing[name] = "its vocabulary is not on this machine, and a lens downloads nothing"
        else:
            found.append(cut(tokenizer, text, learnt_from) | {"own": is_own})
    return {"text": text, "tokenizers": found, "missing": missing}


def cut(tokenizer: Tokenizer, text: str, learnt_from: str) -> dict[str, Any]:
    """Return what a tokenizer makes of a text, as `compute` describes it; counts are those of `learnt_from`, if there is any."""
    ids, size = tokenizer.encode(text), tokenizer.vocab_size
    bits = None
    if learnt_from:
        counts = np.bincount(tokenizer.encode_array(learnt_from), minlength=size)
        bits = round(float(-np.log2((counts[ids] + 1) / (counts.sum() + size)).sum()), 3) if ids else 0.0
    return {
        "name": tokenizer.kind,
        "vocab_size": size,
        "tokens": [tokenizer.decode_token(token) for token in ids],
        "ids": ids,
        "characters_per_token": round(len(text) / len(ids), 3) if ids else None,
        "fixed_bits": round(len(ids) * math.log2(size), 3),
        "bits": bits,
        "unknown": sorted(tokenizer.unknown(text)),
        "back": tokenizer.decode(ids) == text,
    }


def _running_text(data: PreparedText) -> str:
    """Return the beginning of what is learnt from, items one a line."""
    corpus = data.corpus
    return (corpus.text if corpus.unit == "text" else "\n".join(corpus.items))[:LEARNT_FROM]


def _example(data: PreparedText) -> str:
    """Return the longest item of the validation split, or the beginning of its running text; without one, of training."""
    part = data.splits.get("val")
    part = data.splits["train"] if part is None or not len(part) else part
    ids = max(part, key=len) if data.terminator is not None else part[:PIECE]
    return data.tokenizer.decode(ids)[:PIECE]


def _learnt(text: str) -> dict[str, Callable[[], Tokenizer]]:
    """Return what learns the other tokenizers from a text."""
    return {
        CharacterTokenizer.kind: lambda: CharacterTokenizer.from_text(text),
        BytePairTokenizer.kind: lambda: BytePairTokenizer.train(text, MERGED),
        WordTokenizer.kind: lambda: WordTokenizer.from_text(text),
    }
