"""The lens tokens: against the tokenizers' own encoding, and bits by hand."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_models import computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.tokenizers import BytePairTokenizer, CharacterTokenizer, GPT2Tokenizer, WordTokenizer
from torchtty.engine.lenses import tokens
from torchtty.engine.training.task import build_task

TEXT = "the brown dog jumps\n"


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever of GPT-2 is on this machine is not seen."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "none"))


def test_each_tokenizer_cuts_the_text_as_it_does_by_itself(configured: Callable[..., Any], text: Path) -> None:
    task: Any = build_task(configured("gpt"))
    result = computed(tokens.compute, task, {"text": TEXT})
    corpus = text.read_text(encoding="utf-8")
    expected = [
        CharacterTokenizer.from_text(corpus),
        BytePairTokenizer.train(corpus, tokens.MERGED),
        WordTokenizer.from_text(corpus),
    ]
    assert [found["own"] for found in result["tokenizers"]] == [True, False, False]
    for found, tokenizer in zip(result["tokenizers"], expected, strict=True):
        ids = tokenizer.encode(TEXT)
        assert found["name"] == tokenizer.kind
        assert found["ids"] == ids
        assert found["tokens"] == [tokenizer.decode_token(token) for token in ids]
        assert found["vocab_size"] == tokenizer.vocab_size
        assert found["characters_per_token"] == pytest.approx(len(TEXT) / len(ids), abs=1e-3)
        assert found["fixed_bits"] == pytest.approx(len(ids) * math.log2(tokenizer.vocab_size), abs=1e-2)
        counts, read = Counter(tokenizer.encode(corpus)), tokenizer.encode(corpus)
        bits = sum(-math.log2((counts[token] + 1) / (len(read) + tokenizer.vocab_size)) for token in ids)
        assert found["bits"] == pytest.approx(bits, abs=1e-2)
    characters, _, words = result["tokenizers"]
    assert characters["back"] is True
    assert words["back"] is False, "white space does not survive"
    assert "downloads nothing" in result["missing"]["gpt2"]


def test_gpt2s_own_is_shown_where_it_is_on_the_machine(
    configured: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = (*(bytes([value]) for value in range(256)), b"th", b"the")
    monkeypatch.setattr(GPT2Tokenizer, "at_hand", classmethod(lambda cls: cls(ranks)))
    result = computed(tokens.compute, build_task(configured("mlp")), {"text": "the"})
    assert result["tokenizers"][-1]["ids"] == [257]
    assert not result["missing"]


def test_what_a_vocabulary_lacks_is_listed(configured: Callable[..., Any]) -> None:
    result = computed(tokens.compute, build_task(configured("mlp")), {"text": "the €"})
    characters, pairs, words = result["tokenizers"]
    assert characters["unknown"] == ["€"]
    assert words["unknown"] == ["€"]
    assert words["tokens"] == ["the", "<unk>"]
    assert (pairs["unknown"], pairs["back"]) == ([], True), "bytes write any text"


def test_where_the_text_is_gone_the_runs_own_tokenizer_stays(configured: Callable[..., Any], text: Path) -> None:
    task: Any = build_task(configured("mlp"))
    task.forget_training()
    text.unlink()
    result = computed(tokens.compute, task, {"text": "dog"})
    assert [(found["name"], found["tokens"], found["bits"]) for found in result["tokenizers"]] == [
        ("character", ["d", "o", "g"], None)
    ]
    assert "There is no file" in result["missing"]["learnt from the text"]
    with pytest.raises(UserError, match="There is no file"):
        computed(tokens.compute, task, {})
