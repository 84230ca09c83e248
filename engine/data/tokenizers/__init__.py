"""Tokenizers: text to ids and back."""

import json
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers.base import TextStream, Tokenizer, damaged, read_json
from torchtty.engine.data.tokenizers.byte_pair import BytePairTokenizer
from torchtty.engine.data.tokenizers.character import CharacterTokenizer
from torchtty.engine.data.tokenizers.gpt2 import GPT2Tokenizer
from torchtty.engine.data.tokenizers.word import WordTokenizer
from torchtty.engine.data.tokenizers.wordpiece import WordPieceTokenizer

__all__ = [
    "BytePairTokenizer",
    "CharacterTokenizer",
    "GPT2Tokenizer",
    "TextStream",
    "Tokenizer",
    "WordPieceTokenizer",
    "WordTokenizer",
    "load_tokenizer",
    "save_tokenizer",
    "tokenizer_from_json",
]

_KINDS: dict[str, type[Tokenizer]] = {
    tokenizer.kind: tokenizer
    for tokenizer in (CharacterTokenizer, WordTokenizer, BytePairTokenizer, GPT2Tokenizer, WordPieceTokenizer)
}


def tokenizer_from_json(data: Any) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` described. Raises a `UserError` for anything else."""
    if not isinstance(data, dict):
        raise damaged("it is not a table")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise damaged(f"its kind {str(kind)[:40]!r} is unknown")
    return _KINDS[kind].from_json(data)


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write a tokenizer as JSON."""
    path.write_text(json.dumps(tokenizer.to_json(), ensure_ascii=False), encoding="utf-8")


def load_tokenizer(path: Path, vocab_size: int | None = None) -> Tokenizer:
    """Read a tokenizer, and check that it has as many tokens as the model, if that number is given.

    Raises a `UserError` where the file is missing, damaged or belongs to another model.
    """
    tokenizer = tokenizer_from_json(read_json(path))
    if vocab_size is not None and tokenizer.vocab_size != vocab_size:
        raise UserError(
            f"The tokenizer {path} has {tokenizer.vocab_size:,} tokens and the model {vocab_size:,}: "
            "they do not belong together. Use the tokenizer of the model's own checkpoint."
        )
    return tokenizer
