"""Small folders of the kind that transformers writes, made without it."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from torchtty.engine.data.tokenizers import BytePairTokenizer
from torchtty.engine.data.tokenizers.gpt2 import gpt2_files

CONFIG: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": 300,
    "n_positions": 32,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
}


def tiny_weights(config: dict[str, Any] = CONFIG, prefix: str = "transformer.") -> dict[str, Tensor]:
    """Random weights in the published names and shapes."""
    width, inner = config["n_embd"], config["n_inner"] or 4 * config["n_embd"]
    shapes = {"wte.weight": (config["vocab_size"], width), "wpe.weight": (config["n_positions"], width)}
    for layer in range(config["n_layer"]):
        shapes |= {
            f"h.{layer}.{name}": shape
            for name, shape in {
                "ln_1.weight": (width,),
                "ln_1.bias": (width,),
                "attn.c_attn.weight": (width, 3 * width),
                "attn.c_attn.bias": (3 * width,),
                "attn.c_proj.weight": (width, width),
                "attn.c_proj.bias": (width,),
                "ln_2.weight": (width,),
                "ln_2.bias": (width,),
                "mlp.c_fc.weight": (width, inner),
                "mlp.c_fc.bias": (inner,),
                "mlp.c_proj.weight": (inner, width),
                "mlp.c_proj.bias": (width,),
            }.items()
        }
    shapes |= {"ln_f.weight": (width,), "ln_f.bias": (width,)}
    generator = torch.Generator().manual_seed(3)
    return {prefix + name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def tiny_tokenizer() -> BytePairTokenizer:
    """A vocabulary of 261 tokens."""
    return BytePairTokenizer.train("the lower the newer, the wider the lowest", 261)


def write_folder(
    folder: Path, weights: dict[str, Tensor] | None = None, config: dict[str, Any] = CONFIG, tokenizer: bool = True
) -> Path:
    """Write config, weights in one file, and the tokenizer's files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tiny_weights(config) if weights is None else weights, folder / "model.safetensors", {"format": "pt"})
    if tokenizer:
        for name, content in gpt2_files(tiny_tokenizer()).items():
            (folder / name).write_bytes(content)
    return folder
