"""Settings of the GPT."""

from collections.abc import Iterator
from typing import Literal

from torchtty.engine.contract.settings.family import Feature, ModelSection
from torchtty.engine.contract.settings.fields import doubling, setting
from torchtty.engine.contract.settings.tasks import language_family


class GPTModel(ModelSection):
    """A decoder-only transformer: pre-norm blocks, learned positions (Radford et al., 2019)."""

    kind: Literal["gpt"] = "gpt"
    n_layer: int = setting(4, "Transformer blocks, one on top of the other.", ge=1, le=96, essential=True)
    n_head: int = setting(4, "Attention heads a block; they share n_embd among them.", ge=1, le=96, essential=True)
    n_embd: int = setting(
        128, "Width of the residual stream; a multiple of n_head.", ge=1, le=16384, step=8, essential=True
    )
    block_size: int = doubling(64, "Longest context the model sees.", le=65536, unit="tokens", essential=True)
    dropout: float = setting(
        0.0, "Share of activations silenced in training.", ge=0, lt=1, step=0.05, groups=True, essential=True
    )
    activation: Literal["gelu", "relu", "tanh"] = setting(
        "gelu", "What bends inside the feed-forward layers; gelu is GPT-2's, relu that of the first transformer."
    )
    bias: bool = setting(True, "Biases in linear layers and layer norms.")
    qkv_bias: bool = setting(False, "Biases in the query, key and value projections.")
    tie_weights: bool = setting(False, "Use the token embedding as the output layer too.")

    def check(self) -> Iterator[tuple[str, str]]:
        if self.n_embd % self.n_head:
            below = self.n_embd // self.n_head * self.n_head
            near = [width for width in (below, below + self.n_head) if width]
            yield "n_embd", f"must be a multiple of n_head ({self.n_head}), such as {' or '.join(map(str, near))}"
        if self.qkv_bias and not self.bias:
            yield "qkv_bias", "needs bias: turn bias on, or this off"


FAMILY = language_family(
    GPTModel,
    title="GPT",
    summary="A decoder-only transformer: attention looks back over the whole context.",
    model="torchtty.engine.models.gpt:GPT",
    exposes=frozenset({Feature.ATTENTION}),
    start={"training": {"batch_size": 12, "max_steps": 2000}},
)
