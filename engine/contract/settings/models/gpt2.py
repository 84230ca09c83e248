"""Settings of GPT-2."""

from collections.abc import Iterator
from typing import Literal

from torchtty.engine.contract.settings.family import Feature, ModelSection
from torchtty.engine.contract.settings.fields import doubling, setting
from torchtty.engine.contract.settings.tasks import language_family

UNTRAINED = "untrained"  # instead of weights: a small GPT-2 that nobody has trained yet


class GPT2Model(ModelSection):
    """GPT-2 with weights trained elsewhere (Radford et al., 2019); its shape is that of the weights."""

    kind: Literal["gpt2"] = "gpt2"
    weights: str = setting(
        "gpt2",
        "A folder with config.json and model.safetensors; distilgpt2, gpt2, gpt2-medium, gpt2-large or gpt2-xl to download; or "
        "untrained, a small one of 4 layers and 128 channels that starts from nothing.",
        path=True,
        essential=True,
    )
    block_size: int = doubling(
        64,
        "Tokens of a training example; samples may look back as far as the weights allow.",
        le=65536,
        unit="tokens",
        essential=True,
    )
    embd_dropout: float = setting(
        0.1, "Share of the embeddings silenced in training.", ge=0, lt=1, step=0.05, groups=True
    )
    attn_dropout: float = setting(
        0.1, "Share of the attention weights silenced in training.", ge=0, lt=1, step=0.05, groups=True
    )
    resid_dropout: float = setting(
        0.1,
        "Share of what each layer adds to the residual stream silenced in training.",
        ge=0,
        lt=1,
        step=0.05,
        groups=True,
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.weights.strip():
            yield "weights", "is missing: give a folder with config.json and model.safetensors, or a name such as gpt2"


FAMILY = language_family(
    GPT2Model,
    title="GPT-2",
    summary="The published GPT-2, or any of its form from a folder: sample from it, fine-tune it, hand it on.",
    task="torchtty.engine.training.pretrained:PretrainedTask",
    model="torchtty.engine.models.gpt2_weights:pretrained",
    exposes=frozenset({Feature.ATTENTION}),
    exports=True,
    rebuilt="torchtty.engine.models.gpt2:rebuilt",
    start={
        "data": {"dataset": "python-docs"},
        "tokenizer": {"kind": "gpt2"},
        "optimizer": {"kind": "adamw", "learning_rate": 1e-5, "weight_decay": 0.01, "beta2": 0.999},
        "schedule": {"kind": "constant"},
        "training": {"max_steps": 200, "batch_size": 4, "eval_interval": 50, "eval_batches": 5, "log_interval": 1},
        "sampling": {"interval": 50, "max_tokens": 50, "temperature": 0.7},
    },
)
