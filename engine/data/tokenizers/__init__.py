"""Tokenizers: text to ids and back."""

from typing import Any

from torchtty.engine.data.tokenizers.base import Tokenizer, damaged
from torchtty.engine.data.tokenizers.byte_pair import BytePairTokenizer
from torchtty.engine.data.tokenizers.character import CharacterTokenizer
from torchtty.engine.data.tokenizers.gpt2 import GPT2Tokenizer
from torchtty.engine.data.tokenizers.word import WordTokenizer
from torchtty.engine.data.tokenizers.wordpiece import WordPieceTokenizer

_KINDS: dict[str, type[Tokenizer]] = {
    tokenizer.kind: tokenizer
    for tokenizer in (CharacterTokenizer, WordTokenizer, BytePairTokenizer, GPT2Tokenizer, WordPieceTokenizer)
}
_KINDS["bpe"] = BytePairTokenizer  # its name in earlier checkpoints


def tokenizer_from_json(data: Any) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_json` described. Raises a `UserError` for anything else."""
    if not isinstance(data, dict):
        raise damaged("it is not a table")
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise damaged(f"its kind {str(kind)[:40]!r} is unknown")
    return _KINDS[kind].from_json(data)
