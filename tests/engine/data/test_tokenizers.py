"""What all tokenizers promise, and the character and word tokenizers."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    GPT2Tokenizer,
    Tokenizer,
    WordPieceTokenizer,
    WordTokenizer,
    tokenizer_from_json,
)
from torchtty.engine.data.tokenizers.base import read_json

LINE = "If we all sing, listen! (It's «so» — naïve.) 日本 🙂"

EVERY_KIND: list[Tokenizer] = [
    CharacterTokenizer.from_text(LINE),
    CharacterTokenizer.from_items(["anna", "o'neil"]),
    WordTokenizer.from_text(LINE),
    WordTokenizer.from_text(LINE, split="whitespace", lower_case=False, special_tokens=False),
    BytePairTokenizer.train(LINE * 3, 300),
    BytePairTokenizer.train(["anna", "hanna"], 270, terminator=True),
    GPT2Tokenizer(BytePairTokenizer.train(LINE * 3, 280).ranks),
    WordPieceTokenizer(["[PAD]", "[UNK]", "if", "we", "sing", "##ing", "s", "##s", ",", "!"]),
]
every_kind = pytest.mark.parametrize("tokenizer", EVERY_KIND, ids=lambda tokenizer: tokenizer.kind)


@every_kind
def test_it_survives_being_written_as_json(tokenizer: Tokenizer) -> None:
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again == tokenizer
    assert type(again) is type(tokenizer)
    assert again.encode(LINE) == tokenizer.encode(LINE)
    assert again.terminator_id == tokenizer.terminator_id


@every_kind
@given(data=st.data())
@settings(max_examples=50)
def test_a_stream_gives_what_decoding_all_at_once_gives(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=20))
    stream = tokenizer.stream()
    pieces = [stream.push(token_id) for token_id in ids]
    assert "".join(pieces) + stream.finish() == tokenizer.decode(ids)


@every_kind
@given(text=st.text(max_size=60))
@settings(max_examples=50)
def test_any_text_is_encoded_into_ids_of_the_vocabulary(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert all(0 <= token_id < tokenizer.vocab_size for token_id in ids)
    assert tokenizer.terminator_id not in ids
    array = tokenizer.encode_array(text)
    assert array.dtype == np.int64
    assert array.tolist() == ids


@every_kind
def test_an_id_outside_the_vocabulary_is_refused(tokenizer: Tokenizer) -> None:
    for token_id in (-1, tokenizer.vocab_size):
        with pytest.raises(IndexError):
            tokenizer.decode([token_id])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=6,
)


@every_kind
@given(data=st.data())
@settings(max_examples=60)
def test_a_stored_form_with_any_field_replaced_is_used_or_refused_in_words(
    tokenizer: Tokenizer, data: st.DataObject
) -> None:
    stored = json.loads(json.dumps(tokenizer.to_json()))
    stored[data.draw(st.sampled_from(sorted(stored)))] = data.draw(json_values)
    with contextlib.suppress(UserError):
        read = tokenizer_from_json(stored)
        read.decode(read.encode(LINE))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ('{"kind": "character", "symb', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "not a table"),
        ('{"kind": "pickle"}', "kind 'pickle' is unknown"),
        ('{"kind": ["bpe"]}', "is unknown"),
        ('{"kind": "character", "symbols": ["a", "a"], "terminator": true}', "repeats"),
        ('{"kind": "character", "symbols": ["b", "a"], "terminator": true}', "in order"),
        ('{"kind": "character", "symbols": ["ab"], "terminator": true}', "single characters"),
        ('{"kind": "character", "symbols": ["a"], "terminator": 1}', "neither true nor false"),
        ('{"kind": "byte-pair", "merges": [[97, 256]], "terminator": false}', "merge 0 is not a pair of earlier"),
        ('{"kind": "byte-pair", "merges": [[97, 98], [97, 98]], "terminator": false}', "same token"),
        ('{"kind": "gpt2", "ranks": ["YQ=="], "terminator": true}', "lack a byte"),
        ('{"kind": "wordpiece", "tokens": ["a"], "lower_case": true}', r"lack \[UNK\]"),
        ('{"kind": "word", "words": ["<unk>"], "split": "whitespace", "lower_case": true, "special_tokens": true}', "repeat"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=message):
        tokenizer_from_json(read_json(tmp_path / "tokenizer.json"))


def test_merges_that_would_fill_the_memory_are_refused() -> None:
    doubling = [[97, 97], *([256 + step, 256 + step] for step in range(60))]
    with pytest.raises(UserError, match="makes a token of"):
        tokenizer_from_json({"kind": "byte-pair", "merges": doubling, "terminator": False})


@pytest.mark.parametrize("kind", ["byte-pair", "bpe"])
def test_byte_pairs_are_read_under_the_name_of_earlier_checkpoints_too(kind: str) -> None:
    tokenizer = BytePairTokenizer([(97, 98)])
    assert tokenizer.to_json()["kind"] == "byte-pair"  # as in a configuration
    assert tokenizer_from_json({"kind": kind, "merges": [[97, 98]], "terminator": False}) == tokenizer


@every_kind
@pytest.mark.parametrize("text", ["\ud800", "sing\udfff we"])
def test_lone_surrogates_are_encoded_as_any_other_unknown_character(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.encode_array(text).tolist() == ids
    tokenizer.decode(ids).encode()  # raises for what is no Unicode
    if isinstance(tokenizer, BytePairTokenizer | GPT2Tokenizer):
        assert tokenizer.decode(ids) == re.sub("[\ud800\udfff]", "\ufffd", text)


@given(st.text(min_size=1), st.data())
def test_characters_of_the_corpus_survive_the_round_trip(corpus: str, data: st.DataObject) -> None:
    tokenizer = CharacterTokenizer.from_text(corpus)
    text = data.draw(st.text(alphabet=sorted(set(corpus))))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode_array(text)) == text
    assert tokenizer.unknown(text) == set()


def test_items_have_a_terminator_with_id_0_shown_as_a_full_stop() -> None:
    tokenizer = CharacterTokenizer.from_items(["bea", "anna"])
    assert tokenizer.symbols == ("a", "b", "e", "n")
    assert (tokenizer.vocab_size, tokenizer.terminator_id) == (5, 0)
    assert tokenizer.encode("anna") == [1, 4, 4, 1]
    assert tokenizer.decode([1, 4, 4, 1, 0]) == "anna."
    # In a corpus with full stops of its own, the end looks different from them.
    assert CharacterTokenizer.from_items(["st. ives"]).decode([0]) != "."


def test_unknown_characters_are_left_out_and_reported() -> None:
    tokenizer = CharacterTokenizer.from_text("abc")
    assert tokenizer.encode("a\x1b[31mb[é🙂c") == [0, 1, 2]
    assert tokenizer.unknown("a\x1bé") == {"\x1b", "é"}


def test_the_names_have_27_symbols_and_shakespeare_65(corpora: Path) -> None:
    names = (corpora / "names.txt").read_text().split()
    assert CharacterTokenizer.from_items(names).vocab_size == 27
    play = (corpora / "tinyshakespeare.txt").read_text()
    tokenizer = CharacterTokenizer.from_text(play)
    assert tokenizer.vocab_size == 65
    ids = tokenizer.encode_array(play)
    assert len(ids) == 1_115_394
    assert tokenizer.decode(ids[:50_000]) == play[:50_000]


def test_words_are_numbered_after_pad_and_unk() -> None:
    tokenizer = WordTokenizer.from_text("To be, or not to be!")
    assert [tokenizer.decode_token(token_id) for token_id in range(tokenizer.vocab_size)] == (
        ["<pad>", "<unk>", "!", ",", "be", "not", "or", "to"]
    )
    assert tokenizer.encode("To live, TO be") == [7, 1, 3, 7, 4]
    assert tokenizer.unknown("To live, to dream") == {"live", "dream"}


def test_words_join_into_readable_text() -> None:
    line = "it's (so they say) a well-known thing: «yes», no?"
    tokenizer = WordTokenizer.from_text(line)
    assert tokenizer.decode(tokenizer.encode(line)) == line


def test_without_special_tokens_the_vocabulary_is_the_words_alone() -> None:
    tokenizer = WordTokenizer.from_text("if p, q! If r, s!", split="whitespace", special_tokens=False)
    assert tokenizer.words == ("if", "p,", "q!", "r,", "s!")
    assert tokenizer.vocab_size == 5
    assert tokenizer.decode(tokenizer.encode("if never p,")) == "if p,"


@given(st.lists(st.text(alphabet="abcAé'-", min_size=1, max_size=5), min_size=1, max_size=20))
def test_words_split_at_white_space_survive_the_round_trip(words: list[str]) -> None:
    text = " ".join(words)
    tokenizer = WordTokenizer.from_text(text, split="whitespace", lower_case=False)
    assert tokenizer.decode(tokenizer.encode(text)) == text
