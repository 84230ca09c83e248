"""What every tokenizer does: text to ids and back, and a form that travels in a checkpoint."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from torchtty.engine.contract.errors import UserError

Ids = NDArray[np.int64]

_LONGEST_TOKEN = 1_000


class TextStream:
    """Turns ids into text as they come; all pieces together are what `decode` gives for all ids.

    This one is that of a tokenizer whose tokens stand for themselves wherever they occur.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self.tokenizer = tokenizer

    def push(self, token_id: int) -> str:
        """The text that is certain after this id; it may be empty, as in the middle of a character."""
        return self.tokenizer.decode_token(token_id)

    def finish(self) -> str:
        """What was still held back."""
        return ""


class Tokenizer(ABC):
    """Maps text to ids from 0 to `vocab_size` - 1 and back.

    `terminator_id` is the id that ends an item or a document, None where there is none; `encode` never yields it.
    """

    kind: ClassVar[str]
    terminator_id: int | None = None
    tokens: tuple[str, ...] = ()
    """Each token as it is shown by itself; of tokens that are bytes see `ByteLevelTokenizer`."""

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a text. What the vocabulary lacks is left out or becomes the unknown token: see `unknown`."""

    def encode_array(self, text: str) -> Ids:
        """As `encode`, as an array (T,), and fast for a long text."""
        return np.array(self.encode(text), dtype=np.int64)

    def decode_token(self, token_id: int) -> str:
        """One token as it is shown by itself. Ids outside the vocabulary raise an IndexError."""
        self.check_id(token_id)
        return self.tokens[token_id]

    def check_id(self, token_id: int) -> None:
        """Raise an IndexError for an id outside the vocabulary: Python would take a negative one from the other end."""
        if not 0 <= token_id < self.vocab_size:
            raise IndexError(f"token id {token_id} is outside a vocabulary of {self.vocab_size}")

    def stream(self) -> TextStream:
        """A fresh decoder for ids that come one by one."""
        return TextStream(self)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        stream = self.stream()
        return "".join([*(stream.push(int(token_id)) for token_id in ids), stream.finish()])

    @abstractmethod
    def unknown(self, text: str) -> set[str]:
        """The parts of a text (characters or words) that the vocabulary lacks."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to make the tokenizer again, as JSON values; `kind` says which one it is."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> "Tokenizer":
        """The tokenizer of `to_json`. Raises a `UserError` for anything else."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]


def damaged(reason: str) -> UserError:
    """The error for a stored tokenizer that cannot be used."""
    return UserError(
        f"The stored tokenizer is damaged: {reason}. "
        "Use another checkpoint, or start a new run to build the tokenizer anew."
    )


def stored_strings(data: dict[str, Any], field: str) -> list[str]:
    """A list of distinct strings out of stored JSON, checked."""
    value = data.get(field)
    if not isinstance(value, list) or not all(
        isinstance(entry, str) and len(entry) <= _LONGEST_TOKEN for entry in value
    ):
        raise damaged(f"{field} is not a list of strings")
    if len(set(value)) != len(value):
        raise damaged(f"{field} repeats an entry")
    return value


def stored_flag(data: dict[str, Any], field: str) -> bool:
    """A truth value out of stored JSON, checked."""
    value = data.get(field)
    if not isinstance(value, bool):
        raise damaged(f"{field} is neither true nor false")
    return value


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises a `UserError` where it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}. Check the path.") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not JSON. It may be cut short: fetch or write it again.") from None
