"""GPT-2's byte-pair encoding of 50,257 tokens: from local files, tiktoken's cache or the network, and back into files."""

import base64
import binascii
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import data_folder
from torchtty.engine.data.download import RemoteFile, fetch, is_whole
from torchtty.engine.data.files import read_text
from torchtty.engine.data.tokenizers.base import Tokenizer, damaged, read_json, stored_flag
from torchtty.engine.data.tokenizers.byte_pair import ByteLevelTokenizer

TOKENIZER_JSON = "tokenizer.json"  # of Hugging Face's tokenizers
_BYTES = 256  # the tokens that everything is merged from, numbered first
_ONLY = "is no byte-level BPE of GPT-2's form, the only one that is read"

_ADDRESS = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"
MERGES = RemoteFile(
    "gpt2-vocab.bpe",
    _ADDRESS + "vocab.bpe",
    456_318,
    "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
)
VOCABULARY = RemoteFile(
    "gpt2-encoder.json",
    _ADDRESS + "encoder.json",
    1_042_301,
    "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
)
_LOCAL_NAMES = (("vocab.bpe", "encoder.json"), ("merges.txt", "vocab.json"), (MERGES.file, VOCABULARY.file))
_INSTEAD = (
    "Set tokenizer.path to a folder that holds GPT-2's vocab.bpe and encoder.json (or merges.txt and vocab.json, or "
    "tokenizer.json), or choose the tokenizer byte-pair, which learns from your own text."
)


class GPT2Tokenizer(ByteLevelTokenizer):
    """GPT-2's ranks, or another model's in GPT-2's file format; the terminator is `<|endoftext|>`, the last id."""

    kind: ClassVar[str] = "gpt2"

    def __init__(self, ranks: tuple[bytes, ...], terminator: bool = True) -> None:
        self.ranks = ranks
        self.terminator_id = len(ranks) if terminator else None

    @classmethod
    def load(cls, path: Path | str = "") -> "GPT2Tokenizer":
        """Load GPT-2's tokenizer.

        From the folder `path` if given, else from tiktoken's cache, the data folder or a mirror, else from the network
        with short timeouts. Raises a `UserError` that says what to do.
        """
        if path:
            return cls.from_folder(Path(path).expanduser())
        cached = _tiktoken_cache()
        return cls.from_files(*cached or (fetch(file, instead=_INSTEAD) for file in (MERGES, VOCABULARY)))

    @classmethod
    def at_hand(cls) -> "GPT2Tokenizer | None":
        """Load GPT-2's tokenizer if it is on this machine; None where it would have to be downloaded."""
        kept = data_folder() / MERGES.file, data_folder() / VOCABULARY.file
        whole = is_whole(kept[0], MERGES) and is_whole(kept[1], VOCABULARY)
        cached = _tiktoken_cache() or (kept if whole else None)
        return cls.from_files(*cached) if cached else None

    @classmethod
    def from_folder(cls, folder: Path) -> "GPT2Tokenizer":
        """From `vocab.bpe` and `encoder.json`, or `merges.txt` and `vocab.json`, or else `tokenizer.json`, in a folder."""
        if found := _local_files(folder):
            return cls.from_files(*found)
        whole = folder / TOKENIZER_JSON
        if whole.is_file():
            return cls._from(*read_tokenizer_json(whole, cls.terminator_text), whole, whole)
        raise UserError(f"{folder} holds no GPT-2 vocabulary. {_INSTEAD}")

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder holds such files."""
        return os.path.isdir(folder) and (_local_files(folder) is not None or (folder / TOKENIZER_JSON).is_file())

    @classmethod
    def from_files(cls, merges: Path, vocabulary: Path) -> "GPT2Tokenizer":
        """From a file of merges and one of ids, checked against each other."""
        ids = read_json(vocabulary)
        if not isinstance(ids, dict):
            raise UserError(f"{vocabulary} is not a vocabulary of tokens and their ids. Give GPT-2's own file.")
        lines = read_text(merges)[0].split("\n")
        pairs = [line.split(" ") for line in lines if line.strip() and not line.startswith("#version")]
        return cls._from(ids, pairs, merges, vocabulary)

    @classmethod
    def _from(cls, ids: dict[str, Any], pairs: list[list[str]], merges: Path, vocabulary: Path) -> "GPT2Tokenizer":
        """From the ids of tokens and the merges, written with GPT-2's visible bytes, checked against each other."""
        byte_of = {character: byte for byte, character in visible_bytes().items()}
        signs_merged = {sign for pair in pairs for sign in "".join(pair)}
        if any(len(pair) != 2 for pair in pairs) or not signs_merged <= byte_of.keys():
            raise UserError(f"{merges} does not hold merges of GPT-2's form. Give GPT-2's own file.")
        # The bytes in the order of their ids, for nothing is merged into a byte; then one token a merge, in order of merging.
        signs = sorted(byte_of, key=lambda sign: place if isinstance(place := ids.get(sign), int) else 0)
        order = [*signs, *("".join(pair) for pair in pairs)]
        which = (
            f"The vocab and merges of {merges.name}" if merges == vocabulary else f"{merges.name} and {vocabulary.name}"
        )
        wrong = f"{which} in {merges.parent} do not belong together"
        by_merging = set(order)
        for rank, token in enumerate(order):
            if ids.get(token) != rank:
                raise UserError(f"{wrong}: token {rank:,} differs. Give the files of one model.")
        rest = {token: token_id for token, token_id in ids.items() if token not in by_merging}
        if rest not in ({}, {cls.terminator_text: len(order)}):
            raise UserError(f"{wrong}: {len(rest):,} tokens have no merge. Give the files of one model.")
        return cls(tuple(bytes(byte_of[sign] for sign in token) for token in order), terminator=bool(rest))

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "ranks": [base64.b64encode(token).decode("ascii") for token in self.ranks],
            "terminator": self.terminator_id is not None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "GPT2Tokenizer":
        stored = data.get("ranks")
        try:
            if not isinstance(stored, list):
                raise ValueError
            ranks = tuple(base64.b64decode(token, validate=True) for token in stored)
        except (ValueError, TypeError, binascii.Error):
            raise damaged("ranks is not a list of base64 strings") from None
        if len(set(ranks)) != len(ranks) or not {bytes([byte]) for byte in range(256)} <= set(ranks) or b"" in ranks:
            raise damaged("ranks lack a byte or repeat a token")
        return cls(ranks, stored_flag(data, "terminator"))


def visible_bytes() -> dict[int, str]:
    """GPT-2's way to write bytes as visible characters: Latin-1 where that is visible, else U+0100 and up.

    In the order of GPT-2's first 256 ids.
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def _local_files(folder: Path) -> tuple[Path, Path] | None:
    """The files of merges and of ids in a folder, by any of their names."""
    pairs = ((folder / merges, folder / vocabulary) for merges, vocabulary in _LOCAL_NAMES)
    return next((pair for pair in pairs if pair[0].is_file() and pair[1].is_file()), None)


def _tiktoken_cache() -> tuple[Path, Path] | None:
    """The two files in tiktoken's cache, which names them by the SHA-1 of their address, if they are whole."""
    chosen = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if chosen == "":
        return None
    folder = Path(chosen) if chosen else Path(tempfile.gettempdir()) / "data-gym-cache"
    merges, vocabulary = (folder / hashlib.sha1(file.address.encode()).hexdigest() for file in (MERGES, VOCABULARY))
    return (merges, vocabulary) if is_whole(merges, MERGES) and is_whole(vocabulary, VOCABULARY) else None


def read_tokenizer_json(path: Path, terminator: str) -> tuple[dict[str, Any], list[list[str]]]:
    """Return the ids of tokens in a `tokenizer.json`, `terminator` among them if it has one, and the merges.

    Raises `UserError` for other forms than GPT-2's.
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
    if early := [name for name, number in added.items() if isinstance(number, int) and number < _BYTES]:
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
