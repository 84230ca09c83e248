"""Settings of the bigram table that is learnt by gradient descent."""

from typing import Literal

from torchtty.engine.contract.settings.family import ModelSection
from torchtty.engine.contract.settings.fields import setting
from torchtty.engine.contract.settings.tasks import language_family


class BigramModel(ModelSection):
    """A table of logits, one row a token: what counting does, learnt step by step."""

    kind: Literal["bigram"] = "bigram"
    block_size: int = setting(
        8, "Tokens a window; each one predicts the next.", ge=1, le=4096, unit="tokens", essential=True
    )


FAMILY = language_family(
    BigramModel,
    title="bigram table",
    summary="A table of pairs learnt by gradient descent: where counting arrives at once, step by step.",
    model="torchtty.engine.models.bigram:Bigram",
    sees_one_token=True,
    start={
        "optimizer": {"kind": "adamw", "learning_rate": 1e-2, "weight_decay": 0.0},
        "schedule": {"kind": "constant"},
        "training": {"max_steps": 3000, "batch_size": 32, "grad_clip": 0.0},
        "sampling": {"temperature": 1.0},
    },
)
