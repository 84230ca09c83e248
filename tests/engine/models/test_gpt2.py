"""GPT-2's weights: what is accepted, what is refused and how it is said, fine-tuning, checkpoints."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from gpt2_folders import CONFIG, tiny_tokenizer, tiny_weights, write_folder
from safetensors.torch import save_file

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.contract.settings.tasks import LanguageConfiguration
from torchtty.engine.models.families import parameter_count
from torchtty.engine.models.gpt2_weights import export_folder, pretrained
from torchtty.engine.sampling.text import SampleRequest, SampleResult
from torchtty.engine.training.checkpoint import Saved, read_checkpoint, write_checkpoint
from torchtty.engine.training.pretrained import PretrainedTask
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.estimate import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


def _load(folder: Path, vocab_size: int = 261, block_size: int = 8) -> Any:
    return pretrained(GPT2Model(weights=str(folder), block_size=block_size), vocab_size)


def _tree(folder: Path, text: Path, **training: Any) -> dict[str, Any]:
    tree = starting_tree("gpt2")
    tree["model"] |= {"weights": str(folder), "block_size": 8}
    tree["data"] |= {"dataset": str(text), "unit": "text", "val_fraction": 0.0}
    tree["training"] |= {"device": "cpu", "batch_size": 4} | training
    return tree


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the lower the newer, the wider the lowest " * 3)
    return path


def _task(folder: Path, text: Path, **training: Any) -> PretrainedTask:
    task = build_task(parse(_tree(folder, text, **training)))
    assert isinstance(task, PretrainedTask)
    return task


def test_a_folder_is_read_with_every_parameter(folder: Path) -> None:
    assert parameter_count(_load(folder)) == sum(tensor.numel() for tensor in tiny_weights().values())


def test_masks_and_a_head_of_their_own_name_are_no_weights(tmp_path: Path) -> None:
    weights = tiny_weights(prefix="")
    for layer in range(2):
        weights[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 32, 32, dtype=torch.uint8)
        weights[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    weights["lm_head.weight"] = weights["wte.weight"].clone()
    model = _load(write_folder(tmp_path / "old", weights))
    assert torch.equal(model.token_embedding.weight, weights["wte.weight"])


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    halves = {name: tensor.half() for name, tensor in tiny_weights().items()}
    model = _load(write_folder(tmp_path / "half", halves))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.norm.bias, halves["transformer.ln_f.bias"].float())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt_neo"}, "of type 'gpt_neo', not gpt2"),
        ({"model_type": None}, "of type None"),
        ({"activation_function": "mish"}, "activation_function = 'mish'.*gelu_new"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx = True"),
        ({"reorder_and_upcast_attn": True}, "reorder_and_upcast_attn = True"),
        ({"add_cross_attention": True}, "add_cross_attention = True"),
        ({"scale_attn_weights": False}, "scale_attn_weights = False"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings = False"),
        ({"n_head": 3}, "n_embd of 16 is no multiple of n_head of 3"),
        ({"n_layer": 10**9}, "n_layer = 1000000000; it is a whole number from 1"),
        ({"n_layer": "2"}, "n_layer = '2'"),
        ({"n_positions": None}, "lacks n_positions"),
        ({"layer_norm_epsilon": "small"}, "layer_norm_epsilon = 'small'"),
        ({"n_layer": 3}, r"lack 'h\.2\.attn\.c_attn\.bias' and 11 more"),
        ({"n_layer": 1}, r"have 'h\.1\.attn\.c_attn\.bias' and 11 more, for which"),
        ({"n_inner": 63}, r"of shape \(64,\) where config\.json makes it \(63,\)"),
    ],
)
def test_another_kind_of_model_is_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = write_folder(tmp_path / "other", tiny_weights(), CONFIG | change)
    with pytest.raises(UserError, match=rf"^model\.weights: .*{message}"):
        _load(folder)


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def _noise(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 4)


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _whole_numbers(folder: Path) -> None:
    weights = tiny_weights()
    weights["transformer.ln_f.bias"] = torch.zeros(16, dtype=torch.int64)
    save_file(weights, folder / "model.safetensors")


def _twice(folder: Path) -> None:
    weights = tiny_weights()
    save_file(weights | {"wte.weight": weights["transformer.wte.weight"].clone()}, folder / "model.safetensors")


def _other_head(folder: Path) -> None:
    save_file(tiny_weights() | {"lm_head.weight": torch.zeros(300, 16)}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, "damaged or no safetensors file"),
        (_noise, "damaged or no safetensors file"),
        (_pickled, "pickle format, which could run code"),
        (_no_config, r"config\.json cannot be read: No such file"),
        (_whole_numbers, r"'ln_f\.bias' as torch\.int64"),
        (_twice, r"'wte\.weight' twice"),
        (_other_head, r"'lm_head\.weight' of their own"),
    ],
)
def test_a_spoilt_folder_is_one_sentence(folder: Path, spoil: Any, message: str) -> None:
    spoil(folder)
    with pytest.raises(UserError, match=message) as error:
        _load(folder)
    assert "\n" not in str(error.value)


def _sharded(folder: Path) -> Path:
    weights = sorted(tiny_weights().items())
    (folder / "model.safetensors").unlink()
    parts = {"model-00001-of-00002.safetensors": weights[:9], "model-00002-of-00002.safetensors": weights[9:]}
    for name, part in parts.items():
        save_file(dict(part), folder / name)
    index = {"weight_map": {key: name for name, part in parts.items() for key, _ in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards_make_the_same_model_as_one_file(folder: Path, tmp_path: Path) -> None:
    whole = _load(folder).state_dict()
    shards = _load(_sharded(folder)).state_dict()
    assert all(torch.equal(whole[name], shards[name]) for name in whole)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (_sharded(folder) / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks model-00002-of-00002\.safetensors, 1 of its 2 weight files"):
        _load(folder)


def test_an_index_does_not_lead_out_of_its_folder(folder: Path) -> None:
    shutil.move(_sharded(folder) / "model-00002-of-00002.safetensors", folder.parent / "outside.safetensors")
    index = {"weight_map": {"wte.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="is no index of weight files"):
        _load(folder)


def test_a_vocabulary_larger_than_the_weights_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="knows 300 tokens and the tokenizer has 301"):
        _load(folder, vocab_size=301)


def test_a_block_longer_than_the_positions_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"model\.block_size of 33 is more than the 32 positions"):
        _load(folder, block_size=33)


def test_a_name_that_is_neither_folder_nor_published_is_said_so() -> None:
    with pytest.raises(UserError, match=r"^model\.weights: there is no folder gpt3.*distilgpt2, gpt2"):
        _load(Path("gpt3"))


def test_without_a_network_a_published_name_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHTTY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCHTTY_MIRROR", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(
        UserError, match=r"^model\.weights: gpt2/config\.json could not be downloaded.*Set model\.weights"
    ):
        _load(Path("gpt2"))
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_mirror_serves_a_published_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(tmp_path))
    write_folder(tmp_path / "gpt2")
    assert _load(Path("gpt2")).shape.n_layer == 2


def test_choosing_a_published_model_downloads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHTTY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("TORCHTTY_MIRROR", raising=False)
    answer = prepare(starting_tree("gpt2"))
    assert answer["parameters"] == 124_439_808
    assert "498 MB, are downloaded when training begins" in answer["notes"][0]


def test_preparing_shows_a_problem_beside_the_weights(folder: Path, text: Path) -> None:
    _cut(folder)
    problems = prepare(_tree(folder, text))["problems"]
    assert [path for path, _ in problems] == ["model.weights"]


def test_the_tokenizer_beside_the_weights_is_taken(folder: Path, text: Path) -> None:
    task = _task(folder, text)
    tokenizer = tiny_tokenizer()
    assert task.data.tokenizer.encode("the lowest") == tokenizer.encode("the lowest")
    assert task.facts.vocab_size == 261


def test_fine_tuning_lowers_the_loss_on_the_text(folder: Path, text: Path) -> None:
    tree = _tree(folder, text)
    tree["optimizer"]["learning_rate"] = 1e-2
    task = build_task(parse(tree))
    before = task.evaluate()["train_eval_loss"]
    for step in range(30):
        task.train_step(step)
    assert task.evaluate()["train_eval_loss"] < 0.7 * before


def test_dropout_silences_only_while_training(folder: Path) -> None:
    model = _load(folder)
    idx = torch.arange(8)[None]
    assert not torch.equal(model(idx)[0], model(idx)[0])
    model.eval()
    assert torch.equal(model(idx)[0], model(idx)[0])


def test_tokens_that_only_the_weights_have_are_never_drawn(folder: Path, text: Path) -> None:
    task = _task(folder, text)
    with torch.no_grad():
        task.model.token_embedding.weight[261:] *= 100  # type: ignore[index, union-attr, operator]
    result = SampleResult()
    for _ in task.sample(SampleRequest("the", 2, 60, 1.0, None, None, 3), result):
        pass
    assert len(result.texts[0]) > 3


def _checkpoint(task: PretrainedTask, run: RunDirectory, step: int) -> None:
    weights, state = task.weights(), {"task": task.training_state()}
    write_checkpoint(run, Saved(step, weights, task.tokenizer_json(), state, {}, task.architecture()))


def test_a_checkpoint_goes_on_exactly_without_the_folder_it_began_from(
    folder: Path, text: Path, tmp_path: Path
) -> None:
    configuration = parse(_tree(folder, text))
    task = _task(folder, text)
    for step in range(3):
        task.train_step(step)
    run = create(configuration, root=tmp_path / "runs")
    _checkpoint(task, run, 3)
    expected = [float(task.train_step(step)["train_loss"]) for step in range(3, 6)]
    shutil.rmtree(folder)
    saved = read_checkpoint(run, 3, with_training=True)
    again = build_task(configuration, saved.tokenizer, saved.architecture)
    again.load_weights(saved.weights)
    again.load_training_state(saved.training["task"])
    assert [float(again.train_step(step)["train_loss"]) for step in range(3, 6)] == expected


def test_a_vocabulary_that_is_not_the_checkpoints_is_one_sentence(folder: Path, text: Path) -> None:
    configuration = parse(_tree(folder, text))
    assert isinstance(configuration, LanguageConfiguration)
    task = _task(folder, text)
    other = build_task(configuration, task.tokenizer_json(), task.architecture() | {"vocab_size": 270})
    with pytest.raises(UserError, match=r"vocabulary of 300 tokens.*270") as error:
        other.load_weights(task.weights())
    assert "\n" not in str(error.value)


def test_an_export_never_overwrites(folder: Path, tmp_path: Path) -> None:
    model, section = _load(folder), GPT2Model(weights=str(folder))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        export_folder(tmp_path / "there", model, section, None)
    with pytest.raises(UserError, match="There is no folder"):
        export_folder(tmp_path / "no" / "where", model, section, None)


def test_an_export_the_disk_refuses_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"cannot be written: No space left.*Nothing of it was kept"):
        export_folder(out / "model", _load(folder), GPT2Model(weights=str(folder)), tiny_tokenizer())
    assert list(out.iterdir()) == []


def test_an_export_is_read_again_as_it_was(folder: Path, tmp_path: Path) -> None:
    section = GPT2Model(weights=str(folder))
    model = _load(folder)
    export_folder(tmp_path / "again", model, section, tiny_tokenizer())
    again = _load(tmp_path / "again")
    assert again.shape == model.shape
    own, read = model.state_dict(), again.state_dict()
    assert all(torch.equal(own[name], read[name]) for name in own)


def test_an_untrained_one_starts_at_chance_and_learns(text: Path) -> None:
    tree = _tree(Path("untrained"), text)
    tree["tokenizer"] = {"kind": "byte-pair", "vocab_size": 260}
    tree["optimizer"]["learning_rate"] = 3e-3
    task = build_task(parse(tree))
    before = task.evaluate()["train_eval_loss"]
    assert before == pytest.approx(math.log(task.facts.vocab_size), abs=0.3)
    for step in range(30):
        task.train_step(step)
    assert task.evaluate()["train_eval_loss"] < before - 1.0
