"""GPT-2 as it was published: biases everywhere, a tied head, its own GELU (Radford et al., 2019); and its `config.json`."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.models.pre_norm import ACTIVATIONS, Architecture, PreNormShape, PreNormTransformer


class GPT2(PreNormTransformer):
    """Predicts the next token at every position; its weights come from elsewhere and are not drawn here.

    It is trained on windows of `block_size` tokens, and sampled from with all `longest_context` positions it has.
    """

    def __init__(self, shape: Architecture, config: GPT2Model) -> None:
        super().__init__(
            PreNormShape(
                **asdict(shape),
                embd_dropout=config.embd_dropout,
                attn_dropout=config.attn_dropout,
                resid_dropout=config.resid_dropout,
            )
        )
        self.shape = shape
        self.block_size, self.longest_context = config.block_size, shape.n_positions

    def head(self, x: Tensor) -> Tensor:
        """Return logits (B, T, V): the head is the embedding."""
        return F.linear(x, self.token_embedding.weight)


def rebuilt(config: GPT2Model, architecture: Mapping[str, Any]) -> GPT2:
    """Return a GPT-2 of the shape that stands in a checkpoint's `architecture.json`, for the checkpoint's weights."""
    sizes = {field.name: architecture[field.name] for field in fields(Architecture)}
    return GPT2(Architecture(**sizes | {"n_inner": sizes["n_inner"] or 4 * sizes["n_embd"]}), config)


# Variants of the family that are computed in another way: what a config.json must say of them, if anything.
_REQUIRED: dict[str, Any] = {
    "add_cross_attention": False,
    "reorder_and_upcast_attn": False,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "tie_word_embeddings": True,
}
# A size beyond these is a damaged file, and would fill the memory before anything else noticed.
_LARGEST = {
    "vocab_size": 2**22,
    "n_positions": 2**20,
    "n_embd": 2**16,
    "n_layer": 2**10,
    "n_head": 2**10,
    "n_inner": 2**20,
}


def read_architecture(config: Any, source: str) -> Architecture:
    """Take the architecture out of the contents of a `config.json`; `source` is what an error calls it.

    Raises `UserError` that names a variant this GPT-2 does not compute, or a value that cannot be.
    """
    if not isinstance(config, Mapping):
        raise UserError(f"model.weights: {source} is not a table of settings. Give the folder of a GPT-2.")
    kind = config.get("model_type")
    if kind != "gpt2":
        raise UserError(f"model.weights: {source} describes a model of type {_shown(kind)}, not gpt2. Give a GPT-2.")
    for name, required in _REQUIRED.items():
        if config.get(name, required) != required:
            raise UserError(
                f"model.weights: {source} has {name} = {_shown(config[name])}, a variant of GPT-2 that torchtty does not "
                "compute. Give weights of the ordinary GPT-2."
            )
    activation = config.get("activation_function", "gelu_new")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise UserError(
            f"model.weights: {source} has activation_function = {_shown(activation)}, which torchtty does not know. "
            f"It knows {', '.join(ACTIVATIONS)}."
        )
    sizes = {name: _size(config, name, source) for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")}
    if sizes["n_embd"] % sizes["n_head"]:
        raise UserError(
            f"model.weights: {source} cannot be: n_embd of {sizes['n_embd']} is no multiple of n_head of {sizes['n_head']}."
        )
    inner = 4 * sizes["n_embd"] if config.get("n_inner") is None else _size(config, "n_inner", source)
    epsilon = config.get("layer_norm_epsilon", 1e-5)
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < 1:
        raise UserError(
            f"model.weights: {source} has layer_norm_epsilon = {_shown(epsilon)}, which is no small number."
        )
    return Architecture(**sizes, n_inner=inner, activation_function=activation, layer_norm_epsilon=float(epsilon))


def written_architecture(shape: Architecture) -> dict[str, Any]:
    """Return the `config.json` of an architecture, which `read_architecture` and transformers read."""
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        **asdict(shape),
        "n_ctx": shape.n_positions,
        "n_inner": None if shape.n_inner == 4 * shape.n_embd else shape.n_inner,
        **_REQUIRED,
    }


def _size(config: Mapping[str, Any], name: str, source: str) -> int:
    value = config.get(name)
    if type(value) is not int or not 1 <= value <= _LARGEST[name]:
        said = f"lacks {name}" if value is None else f"has {name} = {_shown(value)}"
        raise UserError(f"model.weights: {source} {said}; it is a whole number from 1 to {_LARGEST[name]:,}.")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:60]
