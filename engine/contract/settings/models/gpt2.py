"""Settings of GPT-2."""

from collections.abc import Iterator
from typing import Literal

from torchtty.engine.contract.settings.fields import Section, Stepping, setting

UNTRAINED = "untrained"  # instead of weights: a small GPT-2 that nobody has trained yet


class GPT2Model(Section):
    """GPT-2 with weights trained elsewhere (Radford et al., 2019); its shape is that of the weights."""

    kind: Literal["gpt2"] = "gpt2"
    weights: str = setting(
        "gpt2",
        "A folder with config.json and model.safetensors; distilgpt2, gpt2, gpt2-medium, gpt2-large or gpt2-xl to download; or "
        "untrained, a small one of 4 layers and 128 channels that starts from nothing.",
        path=True,
    )
    block_size: int = setting(
        64,
        "Tokens of a training example; samples may look back as far as the weights allow.",
        ge=1,
        le=65536,
        unit="tokens",
        stepping=Stepping.POWERS,
    )
    embd_dropout: float = setting(0.1, "Share of the embeddings silenced in training.", ge=0, lt=1, step=0.05)
    attn_dropout: float = setting(0.1, "Share of the attention weights silenced in training.", ge=0, lt=1, step=0.05)
    resid_dropout: float = setting(
        0.1, "Share of what each layer adds to the residual stream silenced in training.", ge=0, lt=1, step=0.05
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.weights.strip():
            yield "weights", "is missing: give a folder with config.json and model.safetensors, or a name such as gpt2"
