"""Settings of the data and its tokenizer."""

from typing import Annotated, Literal

from pydantic import Field

from engine.contract.fields import Section, setting


class TextData(Section):
    """Which text is read and how it is split."""

    dataset: str = setting("given-names", "A dataset's name, or the path of a UTF-8 text file.", path=True)
    unit: Literal["auto", "items", "text"] = setting(
        "auto", "items: one item a line, such as a name; text: one running text; auto looks at the lines."
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


Tokens = Annotated[CharacterTokens | WordTokens, Field(discriminator="kind")]
