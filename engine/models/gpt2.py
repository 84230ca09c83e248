"""GPT-2 as it was published: a GPT with biases everywhere, a tied head and its own GELU (Radford et al., 2019)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.models.pre_norm import PreNormShape, PreNormTransformer


def _gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its tanh approximation (Hendrycks & Gimpel, 2016, section 2)."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class Architecture:
    """The shape of a GPT-2, in the names of its `config.json`."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int  # width of the feed-forward layers
    activation_function: str
    layer_norm_epsilon: float


class GPT2(PreNormTransformer):
    """Predicts the next token at every position; its weights come from elsewhere and are not drawn here.

    It is trained on windows of `block_size` tokens, and sampled from with all `longest_context` positions it has.
    """

    def __init__(self, shape: Architecture, config: GPT2Model) -> None:
        super().__init__(
            PreNormShape(
                vocab_size=shape.vocab_size,
                n_positions=shape.n_positions,
                n_embd=shape.n_embd,
                n_layer=shape.n_layer,
                n_head=shape.n_head,
                n_inner=shape.n_inner,
                activation=ACTIVATIONS[shape.activation_function],
                norm_epsilon=shape.layer_norm_epsilon,
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
