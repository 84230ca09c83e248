"""Settings of the transformer as it was first published."""

from collections.abc import Iterator
from typing import Literal

from torchtty.engine.contract.settings.family import Feature, ModelSection
from torchtty.engine.contract.settings.fields import doubling, setting
from torchtty.engine.contract.settings.tasks import language_family


class TransformerModel(ModelSection):
    """Post-norm blocks with ReLU feed-forward layers (Vaswani et al., 2017)."""

    kind: Literal["transformer"] = "transformer"
    n_layer: int = setting(1, "Transformer blocks, one on top of the other.", ge=1, le=48, essential=True)
    n_head: int = setting(8, "Attention heads a block, each with its own d_k and d_v.", ge=1, le=96, essential=True)
    d_model: int = setting(64, "Width of the stream between the blocks.", ge=1, le=16384, step=8, essential=True)
    d_ff: int = setting(256, "Width inside the feed-forward layer.", ge=1, le=65536, step=64, essential=True)
    d_k: int = setting(64, "Size of a head's queries and keys.", ge=1, le=1024, step=8, essential=True)
    d_v: int = setting(64, "Size of a head's values.", ge=1, le=1024, step=8, essential=True)
    block_size: int = doubling(16, "Longest context the model sees.", le=65536, unit="tokens", essential=True)
    causal: bool = setting(
        True,
        "Each position sees only what came before and predicts what comes next; off: all positions see all others, and "
        "only the token after a full window is predicted.",
    )
    positions: Literal["sinusoidal", "none"] = setting(
        "sinusoidal", "Waves added to the embeddings to tell positions apart; none: the order of the context is unseen."
    )
    dropout: float = setting(
        0.1, "Share of activations silenced in training.", ge=0, lt=1, step=0.05, groups=True, essential=True
    )
    ff_dropout: float = setting(
        0.0, "The same inside the feed-forward layers, between their two linear maps.", ge=0, lt=1, step=0.05
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if self.positions == "sinusoidal" and self.d_model % 2:
            yield "d_model", "must be even, as sines and cosines come in pairs; or set positions to none"


FAMILY = language_family(
    TransformerModel,
    title="Transformer",
    summary="The post-norm block as first published, with or without mask and positions.",
    model="torchtty.engine.models.transformer:Transformer",
    exposes=frozenset({Feature.ATTENTION}),
    start={
        "optimizer": {"kind": "adam", "learning_rate": 1e-3},
        "schedule": {"kind": "constant"},
        "training": {"batch_size": 32, "max_steps": 2000},
    },
)
