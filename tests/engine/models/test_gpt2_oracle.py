"""GPT-2 against transformers: logits, greedy text, and an exported folder read back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from gpt2_folders import tiny_tokenizer
from torch import Tensor
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.models.gpt2_weights import export_folder, pretrained
from torchtty.engine.sampling.decoder import Choice, decode

SHAPES: list[dict[str, Any]] = [
    {"vocab_size": 261, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2},
    {"vocab_size": 97, "n_positions": 33, "n_embd": 30, "n_layer": 3, "n_head": 5, "n_inner": 44},
    {"vocab_size": 40, "n_positions": 8, "n_embd": 12, "n_layer": 1, "n_head": 1, "activation_function": "gelu"},
    {"vocab_size": 50, "n_positions": 16, "n_embd": 24, "n_layer": 4, "n_head": 12, "layer_norm_epsilon": 1e-2},
]


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape['n_layer']}x{shape['n_embd']}")
def oracle(request: pytest.FixtureRequest) -> GPT2LMHeadModel:
    torch.manual_seed(11)
    config = GPT2Config(**request.param, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config)
    # Its own start has biases of 0 and gains of 1, which would hide mistakes. With this spread the other GELU moves logits by
    # 6e-4 and more, rounding by 2e-6.
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def _logits(model: GPT2LMHeadModel, idx: Tensor) -> Tensor:
    with torch.no_grad():
        return model(idx).logits


def _section(folder: Path) -> GPT2Model:
    return GPT2Model(weights=str(folder), block_size=4)


@pytest.mark.parametrize("stored", ["whole", "sharded", "without prefix"])
def test_logits_equal_those_of_transformers(oracle: GPT2LMHeadModel, tmp_path: Path, stored: str) -> None:
    saved = oracle.transformer if stored == "without prefix" else oracle
    saved.save_pretrained(tmp_path, max_shard_size="5KB" if stored == "sharded" else "1GB")
    assert (tmp_path / "model.safetensors.index.json").exists() == (stored == "sharded")
    vocab, positions = oracle.config.vocab_size, oracle.config.n_positions
    ours = pretrained(_section(tmp_path), vocab).eval()
    idx = torch.randint(vocab, (3, positions), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        logits = ours(idx)[0]
    assert torch.allclose(logits, _logits(oracle, idx), atol=1e-4, rtol=0)


def test_greedy_text_is_the_same_token_for_token(oracle: GPT2LMHeadModel, tmp_path: Path) -> None:
    oracle.save_pretrained(tmp_path)
    ours = pretrained(_section(tmp_path), oracle.config.vocab_size).eval()
    prompt, positions = torch.tensor([3, 1, 4]), oracle.config.n_positions
    drawn = [int(t) for t in decode(ours, prompt, 1, positions - 3, Choice(0), torch.Generator(), 0)]
    expected = prompt[None]
    for _ in range(positions - 3):
        expected = torch.cat((expected, _logits(oracle, expected)[:, -1].argmax(1, keepdim=True)), 1)
    assert drawn == expected[0, 3:].tolist()


def test_a_trained_model_is_exported_so_that_transformers_computes_the_same(
    oracle: GPT2LMHeadModel, tmp_path: Path
) -> None:
    oracle.save_pretrained(tmp_path / "before")
    section = _section(tmp_path / "before")
    ours = pretrained(section, oracle.config.vocab_size)
    optimizer = torch.optim.AdamW(ours.parameters(), lr=1e-2)
    idx = torch.randint(oracle.config.vocab_size, (4, 5), generator=torch.Generator().manual_seed(1))
    ours(idx[:, :-1], idx[:, 1:])[1].backward()
    optimizer.step()
    tokenizer = tiny_tokenizer()
    files = export_folder(tmp_path / "after", ours, section, tokenizer)
    assert sorted(path.name for path in (tmp_path / "after").iterdir()) == files
    read_back, report = GPT2LMHeadModel.from_pretrained(tmp_path / "after", output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert read_back.config.n_inner == oracle.config.n_inner
    assert json.loads((tmp_path / "after" / "config.json").read_text())["model_type"] == "gpt2"
    with torch.no_grad():
        trained = ours.eval()(idx)[0]
    assert torch.allclose(_logits(read_back.eval(), idx), trained, atol=1e-4, rtol=0)
    assert not torch.allclose(trained, _logits(oracle, idx), atol=1e-2)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "after")
    for text in ("the lower, the newest", "  naïve\n🙂"):
        assert theirs(text)["input_ids"] == tokenizer.encode(text)
    assert theirs.vocab_size == tokenizer.vocab_size
