"""WordPiece against the `tokenizers` library."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers import WordPieceTokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghi,.!$'日本", *(f"##{sign}" for sign in "abcdefghij"),
          "bad", "##bad", "ab", "##ab", "##cd", "cafe", "big", "##ge"]  # fmt: skip


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("lower_case", [True, False])
def test_every_text_is_cut_as_the_tokenizers_library_cuts_it(vocabulary: Path, lower_case: bool) -> None:
    from tokenizers import BertWordPieceTokenizer

    ours = WordPieceTokenizer.from_file(vocabulary, lower_case)
    oracle = BertWordPieceTokenizer(str(vocabulary), lowercase=lower_case)

    @given(st.text(alphabet="abcdefghij,.!$' \n\tÀéCAFÉ日本\u00ad\u2003#[]\U0001fae8\u0378", max_size=30))
    @settings(max_examples=300, deadline=None)
    def equal(text: str) -> None:
        assert ours.encode(text) == oracle.encode(text, add_special_tokens=False).ids

    equal()


def test_marks_around_a_line_are_those_that_the_tokenizers_library_sets(vocabulary: Path) -> None:
    from tokenizers import BertWordPieceTokenizer

    ours = WordPieceTokenizer.from_file(vocabulary, sentence_marks=True)
    oracle = BertWordPieceTokenizer(str(vocabulary))
    lines = ["Badge, café bad!", "ab a", "日本"]
    whole = [oracle.encode(line, add_special_tokens=True).ids for line in lines]
    assert ours.encode("\n".join(lines) + "\n\n") == [token for ids in whole for token in ids]
    prompt = ours.encode("ab a\nbad")
    assert [ours.decode_token(token) for token in prompt] == ["[CLS]", "ab", "a", "[SEP]", "[CLS]", "bad"]
    assert ours.decode(prompt) == "ab a\nbad"
    assert WordPieceTokenizer.from_json(ours.to_json()).encode("ab\n") == ours.encode("ab\n")


def test_marks_that_the_vocabulary_lacks_are_named(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\n[CLS]\na\n")
    with pytest.raises(UserError, match=r"no line \[SEP\], which sentence_marks sets"):
        WordPieceTokenizer.from_file(path, sentence_marks=True)


@pytest.mark.parametrize("character", ["\U0001fae8", "\u0378", "\ue000"])
def test_unassigned_and_private_characters_are_unknown_and_not_dropped(vocabulary: Path, character: str) -> None:
    tokenizer = WordPieceTokenizer.from_file(vocabulary)
    assert tokenizer.encode(f"a {character}") == [*tokenizer.encode("a"), tokenizer.unknown_id]
    assert tokenizer.unknown(character) == {character}
    assert tokenizer.encode("a\u200b\x07") == tokenizer.encode("a")  # format and control characters are dropped


def test_pieces_are_joined_and_unknown_words_reported(vocabulary: Path) -> None:
    tokenizer = WordPieceTokenizer.from_file(vocabulary)
    ids = tokenizer.encode("Badge, Café bad!")
    assert [tokenizer.decode_token(token_id) for token_id in ids] == ["bad", "##ge", ",", "cafe", "bad", "!"]
    assert tokenizer.decode(ids) == "badge, cafe bad!"
    assert tokenizer.unknown("badge xylophone " + "a" * 101) == {"xylophone", "a" * 101}
    assert tokenizer.encode("xylophone") == [tokenizer.unknown_id]


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("just\nwords\n")
    with pytest.raises(UserError, match=r"no line \[UNK\]"):
        WordPieceTokenizer.from_file(path)
    path.write_text("[UNK]\na\nb\na\n")
    with pytest.raises(UserError, match="token 'a' twice"):
        WordPieceTokenizer.from_file(path)
    with pytest.raises(UserError, match="There is no file"):
        WordPieceTokenizer.from_file(tmp_path / "nowhere.txt")
