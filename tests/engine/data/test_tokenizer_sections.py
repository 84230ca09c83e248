"""From a run's tokenizer section to a tokenizer, and what is said where that cannot be."""

from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse, starting_tree, with_value
from torchtty.engine.contract.settings.data import (
    BytePairTokens,
    CharacterTokens,
    GPT2Tokens,
    TextData,
    WordPieceTokens,
)
from torchtty.engine.data.prepared import prepare_text
from torchtty.engine.data.tokenizers import BytePairTokenizer, WordPieceTokenizer, tokenizer_from_json
from torchtty.engine.data.tokenizers.gpt2 import gpt2_files
from torchtty.engine.worker.estimate import prepare

PIECES = "[PAD]\n[UNK]\nan\n##na\nbert\na\n"


@pytest.fixture
def items(tmp_path: Path) -> TextData:
    path = tmp_path / "items.txt"
    path.write_text("\n".join(["anna", "bert", "banana"] * 5))
    return TextData(dataset=str(path))


@pytest.fixture
def text(tmp_path: Path) -> TextData:
    path = tmp_path / "text.txt"
    path.write_text("anna bananas, and bananas again. " * 20)
    return TextData(dataset=str(path), unit="text")


def test_byte_pairs_are_learnt_from_the_corpus(items: TextData, text: TextData) -> None:
    for section in (items, text):
        prepared = prepare_text(section, BytePairTokens(vocab_size=260))
        assert isinstance(prepared.tokenizer, BytePairTokenizer)
        assert prepared.tokenizer.vocab_size == 260
        assert (prepared.terminator is None) == (prepared.corpus.unit == "text")
        assert len(prepared.tokenizer.encode("banana")) < 6


def test_word_pieces_make_one_text_of_items(items: TextData, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text(PIECES)
    prepared = prepare_text(items, WordPieceTokens(path=str(tmp_path / "vocab.txt")))
    assert isinstance(prepared.tokenizer, WordPieceTokenizer)
    assert prepared.corpus.unit == "text"
    assert set(prepared.splits["train"].tolist()) <= {1, 2, 3, 4}


def test_gpt2_files_may_be_named_by_folder_or_by_file(text: TextData, tmp_path: Path) -> None:
    learnt = BytePairTokenizer.train("anna bananas", 258)
    for name, content in gpt2_files(learnt).items():
        (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / "merges.txt"):
        assert prepare_text(text, GPT2Tokens(path=str(path))).tokenizer.encode("banana") == learnt.encode("banana")


def test_items_of_a_vocabulary_without_an_end_are_one_text(items: TextData, tmp_path: Path) -> None:
    for name, content in gpt2_files(BytePairTokenizer([])).items():
        (tmp_path / name).write_bytes(content)
    assert prepare_text(items, GPT2Tokens(path=str(tmp_path))).corpus.unit == "text"


def test_a_checkpoints_tokenizer_is_used_as_it_is(items: TextData) -> None:
    first = prepare_text(items, BytePairTokens(vocab_size=258)).tokenizer
    again = prepare_text(items, BytePairTokens(vocab_size=300), tokenizer_from_json(first.to_json()))
    assert again.tokenizer == first
    assert again.terminator == first.terminator_id


@pytest.mark.parametrize(
    ("tokens", "path"),
    [
        (GPT2Tokens(path="/nowhere/at/all"), "tokenizer.path"),
        (WordPieceTokens(path="/nowhere/vocab.txt"), "tokenizer.path"),
        (BytePairTokens(vocab_size=256), "tokenizer.vocab_size"),
    ],
)
def test_an_error_names_the_setting_it_is_about(items: TextData, tokens: Any, path: str) -> None:
    with pytest.raises(UserError, match=path):
        prepare_text(items, tokens)
    tree = starting_tree("gpt") | {"tokenizer": tokens.model_dump(), "data": items.model_dump()}
    assert [where for where, _ in prepare(tree)["problems"]] == [path]


def test_word_pieces_need_a_vocabulary_file() -> None:
    with pytest.raises(ConfigurationError, match=r"tokenizer\.path is missing: WordPiece needs a vocabulary file"):
        parse(with_value(starting_tree("gpt"), "tokenizer.kind", "wordpiece"))


def test_a_limit_leaves_the_vocabulary_that_of_the_whole_corpus(items: TextData, text: TextData) -> None:
    few = prepare_text(items.model_copy(update={"limit": 2, "val_fraction": 0.0}), CharacterTokens())
    assert len(few.splits["train"]) == 2
    assert few.tokenizer == prepare_text(items, CharacterTokens()).tokenizer
    start = prepare_text(text.model_copy(update={"limit": 10, "val_fraction": 0.0}), CharacterTokens())
    assert start.tokenizer.decode(start.splits["train"]) == "anna banan"
