"""GPT-2's weights: read from a Hugging Face folder, every key and shape accounted for, and written back as one."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import export_target
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.settings.models.gpt2 import UNTRAINED, GPT2Model
from torchtty.engine.data.tokenizers import Tokenizer
from torchtty.engine.data.tokenizers.base import read_json
from torchtty.engine.data.tokenizers.gpt2 import gpt2_files
from torchtty.engine.models.gpt2 import GPT2, Architecture, read_architecture, written_architecture
from torchtty.engine.models.gpt2_hub import weights_folder

# Our layers and the published ones. Those called c_… are the original's Conv1D, which stores its weight transposed: (in, out).
_EMBEDDINGS = {"token_embedding": "wte", "position_embedding": "wpe"}
_A_BLOCK = {
    "norm_1": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "norm_2": "ln_2",
    "feed_forward.expand": "mlp.c_fc",
    "feed_forward.projection": "mlp.c_proj",
}
_MASK = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")  # the causal mask, which old versions stored as a weight
_PREFIX = "transformer."
_HEAD = "lm_head.weight"  # the same as wte.weight, stored by some
UNTRAINED_SHAPE = {"n_embd": 128, "n_layer": 4, "n_head": 4, "n_inner": 4 * 128}
UNTRAINED_POSITIONS = 128  # or as many as a training example has
_ONE, _INDEX = "model.safetensors", "model.safetensors.index.json"


def published_names(shape: Architecture) -> dict[str, tuple[str, bool]]:
    """Return for each of our weights its name in the published files, and whether it is transposed there."""
    layers = {"norm": "ln_f"}
    for number in range(shape.n_layer):
        layers |= {f"blocks.{number}.{ours}": f"h.{number}.{theirs}" for ours, theirs in _A_BLOCK.items()}
    names = {f"{ours}.bias": (f"{theirs}.bias", False) for ours, theirs in layers.items()}
    weights = (_EMBEDDINGS | layers).items()
    return names | {f"{ours}.weight": (f"{theirs}.weight", ".c_" in theirs) for ours, theirs in weights}


def pretrained(config: GPT2Model, vocab_size: int, architecture: dict[str, Any] | None = None) -> GPT2:
    """Return the GPT-2 of `config.weights` for a tokenizer of `vocab_size` tokens.

    With the `architecture` of a checkpoint the model is built without looking at the weights' folder, for the checkpoint's
    own weights to be loaded into it. Raises `UserError` if anything is missing, damaged or does not fit.
    """
    if architecture is None and config.weights == UNTRAINED:
        return untrained(config, vocab_size)
    folder = None if architecture is not None else weights_folder(config.weights)
    if folder is None:
        shape = read_architecture(architecture, "the checkpoint's architecture")
    else:
        shape = read_architecture(_read_json(folder / "config.json"), str(folder / "config.json"))
    if vocab_size > shape.vocab_size:
        raise UserError(
            f"model.weights: {config.weights} knows {shape.vocab_size:,} tokens and the tokenizer has {vocab_size:,}: they do "
            "not belong together. Use the tokenizer gpt2 with the vocabulary files of these weights."
        )
    if config.block_size > shape.n_positions:
        raise UserError(
            f"model.block_size of {config.block_size:,} is more than the {shape.n_positions:,} positions that "
            f"{config.weights} has. Take at most {shape.n_positions:,}."
        )
    with torch.device("meta"):  # shapes only: the weights' memory is filled once, from the file
        model = GPT2(shape, config)
    files = _WeightFiles(folder, model) if folder is not None else None
    model.to_empty(device="cpu")
    if files is not None:
        files.load(model)
    return model


def untrained(config: GPT2Model, vocab_size: int) -> GPT2:
    """Return a small GPT-2 with its first weights, as before pretraining."""
    positions = max(UNTRAINED_POSITIONS, config.block_size)
    shape = Architecture(vocab_size, positions, activation_function="gelu_new", **UNTRAINED_SHAPE)
    model = GPT2(shape, config)
    model.draw_weights()
    return model


def _expected(model: GPT2) -> dict[str, tuple[str, tuple[int, ...], bool]]:
    """Return what the files must hold: published name -> (our name, shape there, whether that is transposed)."""
    names = published_names(model.shape)
    assert names.keys() == model.state_dict().keys()
    found = {}
    for ours, tensor in model.state_dict().items():
        theirs, transposed = names[ours]
        found[theirs] = (ours, tuple(tensor.t().shape if transposed else tensor.shape), transposed)
    return found


class _WeightFiles:
    """The safetensors files of a folder, one or many, with the place of each weight by its name without prefix.

    Their names and shapes are compared with the model's before anything is loaded.
    """

    def __init__(self, folder: Path, model: GPT2) -> None:
        self.folder, self._expected = folder, _expected(model)
        self._places: dict[str, tuple[str, str]] = {}  # name -> (file, key in the file)
        for file in self._files():
            with self._opened(file) as content:
                for key in content.keys():  # noqa: SIM118 - no dictionary
                    self._place(file, key)
        self._check()

    def _files(self) -> list[str]:
        if (self.folder / _ONE).is_file():
            return [_ONE]
        if not (self.folder / _INDEX).is_file():
            raise UserError(f"model.weights: {self.folder} has no {_ONE}{_instead(self.folder)}.")
        index = _read_json(self.folder / _INDEX)
        parts = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(parts, dict) or not parts or not all(_is_plain(name) for name in parts.values()):
            raise UserError(
                f"model.weights: {self.folder / _INDEX} is no index of weight files. Fetch the folder again."
            )
        names = sorted(set(parts.values()))
        if missing := [name for name in names if not (self.folder / name).is_file()]:
            raise UserError(
                f"model.weights: {self.folder} lacks {', '.join(missing[:3])}, {len(missing)} of its {len(names)} weight "
                "files. Fetch the folder again."
            )
        return names

    @contextmanager
    def _opened(self, file: str) -> Iterator[Any]:
        path = self.folder / file
        try:
            with safe_open(path, framework="pt") as content:
                yield content
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise UserError(
                f"model.weights: {path} is damaged or no safetensors file ({reason}). Fetch it again."
            ) from None

    def _place(self, file: str, key: str) -> None:
        name = key.removeprefix(_PREFIX)
        if _MASK.fullmatch(name):
            return
        if name in self._places:
            raise UserError(
                f"model.weights: {self.folder} holds the weight '{_short(name)}' twice. Fetch the folder again."
            )
        self._places[name] = (file, key)

    def _each(self, read: Callable[[Any, str], Any]) -> Iterator[tuple[str, Any]]:
        """Yield every weight's name and what `read` finds of it in its file, one file after the other."""
        for file in sorted({file for file, _ in self._places.values()}):
            with self._opened(file) as content:
                for name, (where, key) in self._places.items():
                    if where == file:
                        yield name, read(content, key)

    def _check(self) -> None:
        expected, here = self._expected, set(self._places) - {_HEAD}
        if missing := sorted(expected.keys() - here):
            raise self._misfit(f"lack '{missing[0]}'{_others(missing)}, which config.json calls for")
        if unknown := sorted(here - expected.keys()):
            raise self._misfit(f"have '{_short(unknown[0])}'{_others(unknown)}, for which GPT-2 has no place")
        for name, has in self._each(lambda content, key: tuple(content.get_slice(key).get_shape())):
            if has != (wanted := expected["wte.weight" if name == _HEAD else name][1]):
                raise self._misfit(f"have '{name}' of shape {has} where config.json makes it {wanted}")

    @torch.no_grad()
    def load(self, model: GPT2) -> None:
        """Fill the model's memory; names and shapes have been checked."""
        own = model.state_dict()
        head = None
        for name, tensor in self._each(lambda content, key: content.get_tensor(key)):
            if not tensor.is_floating_point():
                raise self._misfit(f"have '{name}' as {tensor.dtype}, where numbers with a fraction are needed")
            if name == _HEAD:
                head = tensor
                continue
            ours, _, transposed = self._expected[name]
            own[ours].copy_(tensor.t() if transposed else tensor)
        if head is not None and not torch.equal(head.float(), own["token_embedding.weight"]):
            raise self._misfit(f"have a '{_HEAD}' of their own, and torchtty's GPT-2 uses wte.weight there")

    def _misfit(self, what: str) -> UserError:
        return UserError(
            f"model.weights: the weights in {self.folder} {what}. Give a folder as transformers writes it."
        )


def export_folder(target: Path, model: GPT2, config: GPT2Model, tokenizer: Tokenizer | None) -> list[str]:
    """Write a folder that transformers loads: `config.json`, `model.safetensors`, and the tokenizer where it has GPT-2's form.

    The folder must be new or empty; it appears when it is complete. Returns the names of its files. Raises `UserError`.
    """
    target = export_target(target)
    files = gpt2_files(tokenizer) if tokenizer is not None else {}
    end = tokenizer.terminator_id if tokenizer is not None else None
    about = written_architecture(model.shape) | {
        "embd_pdrop": config.embd_dropout,
        "attn_pdrop": config.attn_dropout,
        "resid_pdrop": config.resid_dropout,
        "bos_token_id": end,
        "eos_token_id": end,
        "torch_dtype": "float32",
    }
    own = model.state_dict()
    weights = {}
    for ours, (theirs, transposed) in published_names(model.shape).items():
        tensor = own[ours].detach().to("cpu", torch.float32)
        weights[_PREFIX + theirs] = (tensor.t() if transposed else tensor).contiguous()
    files |= {
        "config.json": json.dumps(about, indent=2).encode() + b"\n",
        _ONE: save(weights, metadata={"format": "pt"}),
    }
    _write_folder(target, files)
    return sorted(files)


def _write_folder(target: Path, files: dict[str, bytes]) -> None:
    """Write beside the target, wait for the disk, and rename."""
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        temporary.chmod(0o755)
        for name, content in files.items():
            write_atomically(temporary / name, content, durable=True)
        temporary.rename(target)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}. Nothing of it was kept.") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _read_json(path: Path) -> Any:
    try:
        return read_json(path)
    except UserError as error:
        raise UserError(f"model.weights: {error}") from None


def _instead(folder: Path) -> str:
    if any(folder.glob("*.bin")):
        return ", only weights in Python's pickle format, which could run code and are not loaded: convert them to safetensors"
    return ": give a folder that holds config.json and model.safetensors"


def _is_plain(name: Any) -> bool:
    """Whether a name stays inside its folder."""
    return isinstance(name, str) and name.endswith(".safetensors") and Path(name).name == name and "\\" not in name


def _others(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:60] + "…"
