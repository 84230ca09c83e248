"""Settings of the hierarchical network that fuses neighbours in pairs."""

from collections.abc import Iterator
from typing import Literal

from torchtty.engine.contract.settings.family import ModelSection
from torchtty.engine.contract.settings.fields import doubling, setting
from torchtty.engine.contract.settings.tasks import MANY_QUICK_STEPS, language_family


class WaveNetModel(ModelSection):
    """Fuses neighbouring symbols in pairs, level by level, until one vector stands for the whole context."""

    kind: Literal["wavenet"] = "wavenet"
    block_size: int = doubling(
        8,
        "Symbols of context, a power of two; doubling it adds a level.",
        ge=2,
        le=1024,
        unit="tokens",
        essential=True,
    )
    n_embd: int = setting(10, "Size of a symbol's embedding.", ge=1, le=1024, essential=True)
    n_hidden: int = setting(68, "Units a level, at every place.", ge=1, le=4096, step=4, essential=True)

    def check(self) -> Iterator[tuple[str, str]]:
        if self.block_size & (self.block_size - 1):
            below = 1 << (self.block_size.bit_length() - 1)
            yield "block_size", f"must be a power of two to be fused in pairs, such as {below} or {2 * below}"


FAMILY = language_family(
    WaveNetModel,
    title="WaveNet-like",
    summary="Fuses neighbouring symbols in pairs, level by level, with batch norm.",
    model="torchtty.engine.models.wavenet:WaveNet",
    start={
        "optimizer": {"kind": "sgd", "learning_rate": 0.1},
        "schedule": {"kind": "step", "at": 0.75, "factor": 0.1},
        "training": MANY_QUICK_STEPS | {"batch_size": 32},
        "sampling": {"interval": 2000, "temperature": 1.0},
    },
)
