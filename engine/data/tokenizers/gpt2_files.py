"""Writing a byte-pair tokenizer in the files of GPT-2, which transformers reads."""

import json

from torchtty.engine.data.tokenizers.base import Tokenizer
from torchtty.engine.data.tokenizers.byte_level import ByteLevelTokenizer
from torchtty.engine.data.tokenizers.gpt2 import visible_bytes


def gpt2_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """Return the contents of `vocab.json`, `merges.txt` and `tokenizer_config.json`; none for a tokenizer of another form."""
    if not isinstance(tokenizer, ByteLevelTokenizer):
        return {}
    sign = visible_bytes()

    def shown(token: bytes) -> str:
        return "".join(sign[byte] for byte in token)

    ids = {shown(token): rank for rank, token in enumerate(tokenizer.ranks)}
    about = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False}
    if tokenizer.terminator_id is not None:
        ids[tokenizer.terminator_text] = tokenizer.terminator_id
        about |= dict.fromkeys(("bos_token", "eos_token", "unk_token"), tokenizer.terminator_text)
    merges = "".join(f"{shown(first)} {shown(second)}\n" for first, second in merged_pairs(tokenizer.ranks))
    return {
        "vocab.json": json.dumps(ids, ensure_ascii=False).encode(),
        "merges.txt": b"#version: 0.2\n" + merges.encode(),
        "tokenizer_config.json": json.dumps(about, indent=2).encode() + b"\n",
    }


def merged_pairs(ranks: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """Return which two tokens each token behind the bytes was merged from, in order.

    A token is what is left when its own bytes are merged by the ranks below its own: two parts.
    """
    rank_of = {token: rank for rank, token in enumerate(ranks)}
    pairs = []
    for rank, token in enumerate(ranks):
        parts = [token[place : place + 1] for place in range(len(token))]
        while len(parts) > 2:
            joined = [rank_of.get(parts[place] + parts[place + 1], rank) for place in range(len(parts) - 1)]
            best = min(range(len(joined)), key=joined.__getitem__)
            assert joined[best] < rank, "a token that no merge makes"
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        if len(parts) == 2:
            pairs.append((parts[0], parts[1]))
    return pairs
