"""The `tokenizer.json` of Hugging Face's tokenizers, read as far as it describes a byte-pair encoding of GPT-2's form."""

from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers.base import read_json

NAME = "tokenizer.json"
BYTES = 256  # the tokens that everything is merged from, numbered first
_ONLY = "is no byte-level BPE of GPT-2's form, the only one that is read"


def read_tokenizer_json(path: Path, terminator: str) -> tuple[dict[str, Any], list[list[str]]]:
    """Return the ids of tokens, `terminator` among them if it has one, and the merges. Raises `UserError` for other kinds.

    Added tokens beside the terminator are left out: no text is ever encoded to them.
    """
    content = read_json(path)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise UserError(f"{path} describes no tokenizer. Fetch it again.")
    if (reason := _other_form(content, model)) is not None:
        raise UserError(f"{path} {_ONLY}: {reason}.")
    vocabulary, merges = model.get("vocab"), model.get("merges")
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in _list(merges)]
    if not isinstance(vocabulary, dict) or not isinstance(merges, list) or not all(map(_are_strings, pairs)):
        raise UserError(f"{path} is damaged: its vocab or its merges cannot be read. Fetch it again.")
    added = {
        str(token.get("content")): token.get("id")
        for token in _list(content.get("added_tokens"))
        if isinstance(token, dict)
    }
    if early := [name for name, number in added.items() if isinstance(number, int) and number < BYTES]:
        raise UserError(f"{path} {_ONLY}: {early[0][:40]} stands before its bytes.")
    return vocabulary | ({terminator: added[terminator]} if terminator in added else {}), pairs


def _other_form(content: dict[str, Any], model: dict[str, Any]) -> str | None:
    """Say in what a tokenizer differs from GPT-2's; None if in nothing."""
    if model.get("type", "BPE") != "BPE":  # files of old leave it out
        return f"its model is {str(model['type'])[:40]}"
    for name in ("continuing_subword_prefix", "end_of_word_suffix", "dropout", "byte_fallback", "ignore_merges"):
        if model.get(name):
            return f"it sets {name}"
    if content.get("normalizer") is not None:
        return "it changes the text before it is cut"
    before = content.get("pre_tokenizer")
    if not isinstance(before, dict) or before.get("type") != "ByteLevel" or not before.get("use_regex", True):
        return "it cuts the text in another way"
    return "it puts a space before the text" if before.get("add_prefix_space") else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _are_strings(pair: Any) -> bool:
    return isinstance(pair, list) and all(isinstance(part, str) for part in pair)
