"""Byte-pair encoding: learning, GPT-2's files, and the round trip of any text."""

import hashlib
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers import BytePairTokenizer, GPT2Tokenizer
from torchtty.engine.data.tokenizers.gpt2 import visible_bytes

CORPUS = "low lower lowest newer newest wider widest, it's the lowest and the newest.\n" * 4


@pytest.fixture(scope="module")
def learnt() -> BytePairTokenizer:
    return BytePairTokenizer.train(CORPUS, 300)


TRAINED = BytePairTokenizer.train(CORPUS, 300)


@given(st.text())
def test_any_text_survives_the_round_trip(text: str) -> None:
    assert TRAINED.decode(TRAINED.encode(text)) == text
    assert TRAINED.decode(TRAINED.encode_array(text)) == text
    assert TRAINED.unknown(text) == set()


@pytest.mark.parametrize(
    "text", [" " * 300_000 + "a", ("\t" * 9_999 + "a") * 20, "x" * 200_000, "\n \n" * 50_000 + "."]
)
def test_long_runs_survive_and_take_no_time(text: str) -> None:
    started = time.perf_counter()
    assert TRAINED.decode(TRAINED.encode_array(text)) == text
    assert time.perf_counter() - started < 5  # 0.3 s; a backtracking pattern takes minutes or fails


def test_the_most_frequent_pair_is_merged_first() -> None:
    # a b occurs 4 times, then (ab) c 3 times; nothing else twice
    tokenizer = BytePairTokenizer.train("abc abc abcab", 1_000)
    assert tokenizer.ranks[256:258] == (b"ab", b"abc")
    assert tokenizer.encode("abcab") == [257, 256]


def test_learning_equals_recounting_everything_at_every_step(corpora: Path) -> None:
    text = (corpora / "tinyshakespeare.txt").read_text()[:20_000]
    assert BytePairTokenizer.train(text, 356).ranks[256:] == tuple(slowly_learnt(text, 100))


def slowly_learnt(text: str, wanted: int) -> list[bytes]:
    """Byte-pair encoding by its definition: count all pairs of all words, merge the first of the most frequent, repeat."""
    import regex

    from torchtty.engine.data.tokenizers.byte_pair import SPLIT_PATTERN

    words = [[bytes([byte]) for byte in piece.encode()] for piece in regex.findall(SPLIT_PATTERN, text)]
    ids = {bytes([byte]): byte for byte in range(256)}
    while len(ids) < 256 + wanted:
        counts: dict[tuple[bytes, bytes], int] = {}
        for word in words:
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        first, second = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        ids.setdefault(first + second, len(ids))
        for word in words:
            position = 0
            while position < len(word) - 1:
                if (word[position], word[position + 1]) == (first, second):
                    word[position : position + 2] = [first + second]
                position += 1
    return list(ids)[256:]


def test_a_play_is_learnt_in_seconds_and_more_than_halved(corpora: Path) -> None:
    play = (corpora / "tinyshakespeare.txt").read_text()
    started = time.perf_counter()
    tokenizer = BytePairTokenizer.train(play, 1_000)
    assert time.perf_counter() - started < 15  # 1.3 s on two idle cores
    assert tokenizer.vocab_size == 1_000
    ids = tokenizer.encode_array(play)
    assert len(ids) < 0.45 * len(play)
    assert tokenizer.decode(ids) == play


def test_a_small_corpus_gives_a_smaller_vocabulary_than_asked_for() -> None:
    assert BytePairTokenizer.train("abcd", 500).vocab_size == 256


@pytest.mark.parametrize("size", [0, 255, 100_001])
def test_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(UserError, match="Choose a size from 256 to 100,000"):
        BytePairTokenizer.train(CORPUS, size)


def test_items_have_a_terminator_that_no_text_contains() -> None:
    tokenizer = BytePairTokenizer.train(["anna", "hanna", "johanna"], 260, terminator=True)
    assert tokenizer.terminator_id == tokenizer.vocab_size - 1
    assert tokenizer.terminator_id not in tokenizer.encode("<|endoftext|>")
    assert tokenizer.decode(tokenizer.encode("<|endoftext|>")) == "<|endoftext|>"


def test_a_character_split_over_tokens_appears_when_it_is_whole() -> None:
    tokenizer = BytePairTokenizer([])
    stream = tokenizer.stream()
    assert [stream.push(byte) for byte in "é🙂".encode()] == ["", "é", "", "", "", "🙂"]
    assert stream.finish() == ""
    assert stream.push(0xF0) == ""
    assert stream.finish() == "\N{REPLACEMENT CHARACTER}"


@pytest.fixture
def gpt2_folder(tmp_path: Path, learnt: BytePairTokenizer) -> Path:
    """A small vocabulary in the files of GPT-2."""
    sign = visible_bytes()
    order = list(sign)  # ids of the bytes are in another order there

    def shown(token: bytes) -> str:
        return "".join(sign[byte] for byte in token)

    tokens = [sign[byte] for byte in order] + [shown(token) for token in learnt.ranks[256:]]
    merges = [f"{shown(learnt.ranks[first])} {shown(learnt.ranks[second])}" for first, second in learnt.merges]
    (tmp_path / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate([*tokens, "<|endoftext|>"])}))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    return tmp_path


def test_gpt2_files_are_read_as_transformers_reads_them(gpt2_folder: Path) -> None:
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = GPT2Tokenizer.load(gpt2_folder)
    oracle = ByteLevelBPETokenizer(str(gpt2_folder / "vocab.json"), str(gpt2_folder / "merges.txt"))
    assert tokenizer.vocab_size == oracle.get_vocab_size()
    assert tokenizer.terminator_id == oracle.token_to_id("<|endoftext|>")
    for text in (CORPUS, "  It's   naïve — 12345 日本🙂\n\n\tnewest's ", "…"):
        assert tokenizer.encode(text) == oracle.encode(text).ids
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_openai_and_hugging_face_file_names_are_both_accepted(gpt2_folder: Path) -> None:
    first = GPT2Tokenizer.load(gpt2_folder)
    (gpt2_folder / "vocab.json").rename(gpt2_folder / "encoder.json")
    (gpt2_folder / "merges.txt").rename(gpt2_folder / "vocab.bpe")
    assert GPT2Tokenizer.load(gpt2_folder) == first


@pytest.fixture
def tokenizer_json(gpt2_folder: Path) -> Path:
    """The same vocabulary as Hugging Face's library writes it today, and nothing else in the folder."""
    from tokenizers import ByteLevelBPETokenizer

    oracle = ByteLevelBPETokenizer(str(gpt2_folder / "vocab.json"), str(gpt2_folder / "merges.txt"))
    oracle.add_special_tokens(["<|endoftext|>", "<pad>"])
    path = gpt2_folder / "alone" / "tokenizer.json"
    path.parent.mkdir()
    oracle.save(str(path))
    return path


@pytest.mark.parametrize("merges_of_old", [False, True])
def test_a_tokenizer_json_alone_is_the_same_tokenizer(
    gpt2_folder: Path, tokenizer_json: Path, merges_of_old: bool
) -> None:
    from tokenizers import Tokenizer

    if merges_of_old:
        content = json.loads(tokenizer_json.read_text())
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
        tokenizer_json.write_text(json.dumps(content))
    tokenizer, oracle = GPT2Tokenizer.load(tokenizer_json.parent), Tokenizer.from_file(str(tokenizer_json))
    assert tokenizer == GPT2Tokenizer.load(gpt2_folder)
    assert tokenizer.terminator_id == oracle.token_to_id("<|endoftext|>")
    for text in (CORPUS, "  It's   naïve — 12345 日本🙂\n\n\tnewest's "):
        assert tokenizer.encode(text) == oracle.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content["model"].update(type="Unigram"), "its model is Unigram"),
        (lambda content: content["model"].update(end_of_word_suffix="</w>"), "it sets end_of_word_suffix"),
        (lambda content: content.update(normalizer={"type": "Lowercase"}), "it changes the text before it is cut"),
        (lambda content: content.update(pre_tokenizer={"type": "Whitespace"}), "it cuts the text in another way"),
        (lambda content: content["pre_tokenizer"].update(use_regex=False), "it cuts the text in another way"),
        (lambda content: content["pre_tokenizer"].update(add_prefix_space=True), "it puts a space before the text"),
        (lambda content: content["added_tokens"][1].update(id=0), "<pad> stands before its bytes"),
    ],
)
def test_a_tokenizer_json_of_another_form_is_refused_with_what_is_other(
    tokenizer_json: Path, change: Callable[[Any], None], said: str
) -> None:
    content = json.loads(tokenizer_json.read_text())
    change(content)
    tokenizer_json.write_text(json.dumps(content))
    with pytest.raises(UserError) as raised:
        GPT2Tokenizer.load(tokenizer_json.parent)
    assert str(raised.value) == (
        f"{tokenizer_json} is no byte-level BPE of GPT-2's form, the only one that is read: {said}."
    )


def test_a_damaged_tokenizer_json_is_refused(tokenizer_json: Path) -> None:
    content = json.loads(tokenizer_json.read_text())
    for spoilt, said in (
        ([], "describes no tokenizer"),
        (content | {"model": content["model"] | {"merges": None}}, "its vocab or its merges cannot be read"),
        (content | {"model": content["model"] | {"merges": [[1, 2]]}}, "its vocab or its merges cannot be read"),
        (content | {"model": content["model"] | {"merges": [["a"]]}}, "does not hold merges of GPT-2's form"),
        (content | {"model": content["model"] | {"merges": []}}, "do not belong together: .* tokens have no merge"),
    ):
        tokenizer_json.write_text(json.dumps(spoilt))
        with pytest.raises(UserError, match=said):
            GPT2Tokenizer.load(tokenizer_json.parent)


def test_files_that_do_not_belong_together_are_refused(gpt2_folder: Path) -> None:
    vocabulary = gpt2_folder / "vocab.json"
    ids = json.loads(vocabulary.read_text())
    for spoilt, message in [
        ({**ids, "newest": 7777}, "1 tokens have no merge|2 tokens have no merge"),
        ({token: 1 - token_id for token, token_id in ids.items()}, "token 0 differs"),
        ([1, 2], "not a vocabulary of tokens"),
    ]:
        vocabulary.write_text(json.dumps(spoilt))
        with pytest.raises(UserError, match=message):
            GPT2Tokenizer.load(gpt2_folder)
    vocabulary.write_text(json.dumps(ids)[:1000])
    with pytest.raises(UserError, match="is not JSON"):
        GPT2Tokenizer.load(gpt2_folder)
    (gpt2_folder / "merges.txt").write_text("a b c\n")
    vocabulary.write_text(json.dumps(ids))
    with pytest.raises(UserError, match="does not hold merges of GPT-2's form"):
        GPT2Tokenizer.load(gpt2_folder)
    (gpt2_folder / "merges.txt").unlink()
    with pytest.raises(UserError, match=r"holds no GPT-2 vocabulary.*tokenizer\.path"):
        GPT2Tokenizer.load(gpt2_folder)


def test_without_files_and_network_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("TORCHTTY_MIRROR", "http://127.0.0.1:9")  # nobody listens there
    started = time.perf_counter()
    with pytest.raises(UserError, match=r"could not be downloaded.*no connection.*Set tokenizer\.path.*bpe"):
        GPT2Tokenizer.load()
    assert time.perf_counter() - started < 3


def test_a_tiktoken_cache_with_other_contents_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchtty.engine.data.tokenizers.gpt2 import MERGES, VOCABULARY

    for file in (MERGES, VOCABULARY):
        (tmp_path / hashlib.sha1(file.address.encode()).hexdigest()).write_text("{}")
    # The names by which tiktoken keeps the two files.
    assert sorted(path.name[:8] for path in tmp_path.iterdir() if path.is_file()) == ["6c7ea1a7", "6d1cbeee"]
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("TORCHTTY_MIRROR", str(tmp_path))
    with pytest.raises(UserError, match=r"has no gpt2-vocab\.bpe"):
        GPT2Tokenizer.load()
