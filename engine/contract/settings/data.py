"""Settings of the data and its tokenizer."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from torchtty.engine.contract.settings.fields import Section, doubling, setting

DATASET = "data.dataset"  # the setting that names what is learnt from
FIELD = "data.field"


class TextData(Section):
    """Which text is read and how it is split."""

    heading: ClassVar[str] = "data preparation"

    dataset: str = setting(
        "given-names", "A dataset's name, or the path of a text file or of a folder of them.", path=True
    )
    unit: Literal["auto", "items", "text"] = setting(
        "auto", "items: one item a line, such as a name; text: one running text; auto looks at the lines."
    )
    format: Literal["auto", "plain", "json-lines", "csv"] = setting(
        "auto",
        "How a file of yours holds its text; auto goes by the ending: .jsonl and .csv hold records, others text.",
    )
    field: str | None = setting(
        None, "The field of JSON lines or the column of a table that is learnt from; none: the only one, or text."
    )
    encoding: str = setting(
        "auto",
        "How a file of yours is encoded; auto tells UTF-8, UTF-16 and most older encodings.",
        pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*",
        allowed="auto or an encoding such as latin-1",
    )
    val_fraction: float = setting(0.1, "Share kept aside to validate on.", ge=0, le=0.5, step=0.05)
    test_fraction: float = setting(
        0.0, "Share kept aside and never looked at during training.", ge=0, le=0.5, step=0.05
    )
    lower_case: bool = setting(False, "Turn capital letters into small ones.")
    letters_only: bool = setting(
        False, "Text: other characters become one space. Items: an item with others is left out."
    )
    drop_headings: bool = setting(False, "Leave out headings, such as those of the Commedia's cantos.")
    spaces_to_dashes: bool = setting(False, "Turn a space inside an item into a dash.")
    limit: int | None = setting(
        None,
        "Learn from so many items only, always the same ones drawn at random; of a text, from so many characters at its beginning.",
        ge=2,
        step=1000,
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if self.val_fraction + self.test_fraction >= 1:
            yield "test_fraction", "leaves nothing to train on beside val_fraction"


class CharacterTokens(Section):
    """Every character is a token; characters that the corpus lacks are left out of a prompt, and reported."""

    kind: Literal["character"] = "character"


class WordTokens(Section):
    """Every word is a token; words that the corpus lacks become <unk>."""

    kind: Literal["word"] = "word"
    lower_case: bool = setting(True, "Turn capital letters into small ones.")
    split: Literal["whitespace", "punctuation"] = setting(
        "punctuation", "Split at white space only, or make punctuation marks words of their own."
    )
    special_tokens: bool = setting(
        True, "Have <pad> and <unk> in the vocabulary; off: the corpus's words alone, and unknown ones are left out."
    )


class BytePairTokens(Section):
    """Frequent strings are tokens, learnt from the corpus by merging pairs (Sennrich et al., 2016); any text can be written."""

    kind: Literal["byte-pair"] = "byte-pair"
    vocab_size: int = doubling(
        512, "Tokens in all: the 256 bytes and what was merged from them.", ge=256, le=100_000, unit="tokens"
    )


class GPT2Tokens(Section):
    """GPT-2's byte-pair encoding of 50,257 tokens; any text can be written."""

    kind: Literal["gpt2"] = "gpt2"
    path: str = setting(
        "",
        "A folder with vocab.bpe and encoder.json, merges.txt and vocab.json, or tokenizer.json; empty: the weights' own, else a "
        "download.",
        path=True,
    )


class WordPieceTokens(Section):
    """BERT's pieces of words, from a vocabulary file; a word that cannot be cut into pieces becomes [UNK]."""

    kind: Literal["wordpiece"] = "wordpiece"
    path: str = setting("", "A vocabulary file with one token a line, such as BERT's vocab.txt.", path=True)
    lower_case: bool = setting(True, "Turn capital letters into small ones, and take accents off.")
    sentence_marks: bool = setting(
        False, "Set [CLS] where a line begins and [SEP] where it ends, as BERT does around a text; off: words alone."
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.path.strip():
            yield "path", "is missing: WordPiece needs a vocabulary file, such as BERT's vocab.txt"


Tokens = Annotated[
    CharacterTokens | WordTokens | BytePairTokens | GPT2Tokens | WordPieceTokens, Field(discriminator="kind")
]


class ImageData(Section):
    """Which pictures are learnt from. They are cut square around their middle and resized to the model's image_size."""

    heading: ClassVar[str] = "data preparation"

    dataset: str = setting("digits", "A dataset's name, or the path of a folder of PNG, JPEG or WebP files.", path=True)
    limit: int | None = setting(
        None, "Learn from so many of the pictures only, drawn at random; none takes all.", ge=2, step=1000
    )
