"""Settings of the multi-layer perceptron of Bengio et al., 2003."""

from typing import Literal

from torchtty.engine.contract.settings.family import ModelSection
from torchtty.engine.contract.settings.fields import setting
from torchtty.engine.contract.settings.tasks import MANY_QUICK_STEPS, language_family


class MLPModel(ModelSection):
    """Embeds the last few symbols, joins them, and predicts the next one through one hidden layer."""

    kind: Literal["mlp"] = "mlp"
    block_size: int = setting(
        3, "How many symbols of context the model sees.", ge=1, le=64, unit="tokens", essential=True
    )
    n_embd: int = setting(10, "Size of a symbol's embedding.", ge=1, le=1024, essential=True)
    n_hidden: int = setting(200, "Units in the hidden layer.", ge=1, le=8192, step=50, essential=True)
    batch_norm: bool = setting(False, "Normalise the hidden layer over the batch before its tanh.")
    initialisation: Literal["fan-in", "unscaled"] = setting(
        "fan-in", "fan-in scales first weights so that tanh is not saturated; unscaled draws them from N(0, 1)."
    )


FAMILY = language_family(
    MLPModel,
    title="MLP",
    summary="Embeds a few symbols and predicts the next through a hidden layer (Bengio et al., 2003).",
    model="torchtty.engine.models.mlp:MLP",
    start={
        "optimizer": {"kind": "sgd", "learning_rate": 0.1},
        "schedule": {"kind": "step", "at": 0.6, "factor": 0.1},
        "training": MANY_QUICK_STEPS | {"batch_size": 64},
        "sampling": {"interval": 2000, "temperature": 1.0},
    },
)
