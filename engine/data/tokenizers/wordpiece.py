"""BERT's WordPiece, from a vocabulary file that the user gives."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.files import read_text
from torchtty.engine.data.tokenizers.base import TextStream, Tokenizer, damaged, stored_flag, stored_strings
from torchtty.engine.data.tokenizers.word import space_between

UNKNOWN, FIRST, LAST = "[UNK]", "[CLS]", "[SEP]"
_LONGEST_WORD = 100
# Chinese characters stand alone; the blocks are those of BERT's tokenization.py.
_CHINESE = re.compile(
    "[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f]"
)


def basic_words(text: str, lower_case: bool) -> list[str]:
    """BERT's basic tokenization (Devlin et al. 2019, tokenization.py).

    Control and format characters go (categories Cc and Cf; unassigned ones stay), white space and punctuation divide, Chinese
    characters stand alone; `lower_case` also strips accents.
    """
    characters = []
    for character in _CHINESE.sub(r" \g<0> ", text):
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            characters.append(" ")
        elif character not in "\0\ufffd" and unicodedata.category(character) not in ("Cc", "Cf"):
            characters.append(character)
    text = "".join(characters)
    if lower_case:
        # Accents go first, so that a capital with one becomes the same small letter.
        text = "".join(
            sign for sign in unicodedata.normalize("NFD", text) if unicodedata.category(sign) != "Mn"
        ).lower()
    return "".join(f" {sign} " if _is_punctuation(sign) else sign for sign in text).split()


def _is_punctuation(character: str) -> bool:
    # All ASCII signs count, also those that Unicode calls symbols, such as $ and ^.
    ascii_sign = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return ascii_sign or unicodedata.category(character).startswith("P")


class WordPieceTokenizer(Tokenizer):
    """A vocabulary of words and of continuations that begin with `##`.

    A word is cut greedily into the longest pieces (Wu et al. 2016). One that cannot be cut becomes `[UNK]` and is
    reported by `unknown`. White space does not survive the round trip, nor do case and accents with `lower_case`.

    With `sentence_marks` every line that is not blank begins with `[CLS]`, and ends with `[SEP]` where it ends with a newline, so
    that a prompt can be gone on with; decoded, `[SEP]` is that newline. BERT's own encoding of a text is that of one line.
    """

    kind: ClassVar[str] = "wordpiece"

    def __init__(self, tokens: Iterable[str], lower_case: bool = True, sentence_marks: bool = False) -> None:
        self.tokens = tuple(tokens)
        self.lower_case, self.sentence_marks = lower_case, sentence_marks
        self._ids = {token: position for position, token in enumerate(self.tokens)}
        assert UNKNOWN in self._ids
        assert len(self._ids) == len(self.tokens)
        self.unknown_id = self._ids[UNKNOWN]

    @classmethod
    def from_file(cls, path: Path, lower_case: bool = True, sentence_marks: bool = False) -> "WordPieceTokenizer":
        """From a file with one token a line; the line's number, from 0, is the token's id."""
        text, _ = read_text(path)
        tokens = text.removesuffix("\n").split("\n")
        if UNKNOWN not in tokens:
            raise UserError(
                f"{path} is no WordPiece vocabulary: it has no line {UNKNOWN}. Give a file such as BERT's vocab.txt."
            )
        if repeated := [token for token, count in Counter(tokens).items() if count > 1]:
            raise UserError(
                f"{path} has the token {repeated[0]!r} twice. Give a vocabulary in which each line is different."
            )
        if sentence_marks and (lacking := [mark for mark in (FIRST, LAST) if mark not in tokens]):
            raise UserError(
                f"{path} has no line {lacking[0]}, which sentence_marks sets. Turn them off, or add the line."
            )
        return cls(tokens, lower_case, sentence_marks)

    def encode(self, text: str) -> list[int]:
        known: dict[str, list[int]] = {}
        if not self.sentence_marks:
            return self._encode(text, known)
        ids: list[int] = []
        lines = text.split("\n")
        for place, line in enumerate(lines):
            if pieces := self._encode(line, known):
                ended = place + 1 < len(lines)
                ids += [self._ids[FIRST], *pieces, *([self._ids[LAST]] if ended else [])]
        return ids

    def _encode(self, text: str, known: dict[str, list[int]]) -> list[int]:
        """Cut the words of a text; `known` holds what words were cut into before."""
        ids: list[int] = []
        for word in basic_words(text, self.lower_case):
            if word not in known:
                known[word] = self._pieces(word) or [self.unknown_id]
            ids += known[word]
        return ids

    def _pieces(self, word: str) -> list[int] | None:
        if len(word) > _LONGEST_WORD:
            return None
        pieces, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if (piece := self._ids.get(prefix + word[start:end])) is not None:
                    pieces.append(piece)
                    start = end
                    break
            else:
                return None
        return pieces

    def stream(self) -> TextStream:
        return _JoinedPieces(self)

    def unknown(self, text: str) -> set[str]:
        return {word for word in set(basic_words(text, self.lower_case)) if self._pieces(word) is None}

    def to_json(self) -> dict[str, Any]:
        marks = {"sentence_marks": True} if self.sentence_marks else {}
        return {"kind": self.kind, "tokens": list(self.tokens), "lower_case": self.lower_case, **marks}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "WordPieceTokenizer":
        tokens = stored_strings(data, "tokens")
        if UNKNOWN not in tokens:
            raise damaged(f"tokens lack {UNKNOWN}")
        marks = "sentence_marks" in data and stored_flag(data, "sentence_marks")  # earlier checkpoints do not say
        if marks and not {FIRST, LAST} <= set(tokens):
            raise damaged(f"tokens lack {FIRST} or {LAST}")
        return cls(tokens, stored_flag(data, "lower_case"), marks)


class _JoinedPieces(TextStream):
    """Sets continuations to their word, and spaces between words as in running text."""

    tokenizer: WordPieceTokenizer
    before: str | None = None

    def push(self, token_id: int) -> str:
        piece = self.tokenizer.decode_token(token_id)
        before, self.before = self.before, piece
        if self.tokenizer.sentence_marks and piece in (FIRST, LAST):
            self.before = None
            return "\n" if piece == LAST else ""
        if piece.startswith("##") and len(piece) > 2:
            return piece[2:]
        return piece if before is None else space_between(before, piece) + piece
