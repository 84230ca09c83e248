"""Settings of the n-gram model."""

from typing import Literal

from torchtty.engine.contract.settings.family import ModelSection
from torchtty.engine.contract.settings.fields import setting
from torchtty.engine.contract.settings.tasks import counting_family


class NGramModel(ModelSection):
    """Counts how often each symbol follows the n - 1 before it."""

    kind: Literal["ngram"] = "ngram"
    n: int = setting(
        2, "Length of the counted sequences: 1 ignores the past, 2 looks at pairs.", ge=1, le=5, essential=True
    )
    smoothing: float = setting(
        1.0,
        "Added to every count, so that nothing is impossible; 0 keeps the raw counts.",
        ge=0,
        le=1000,
        step=0.5,
        essential=True,
    )


FAMILY = counting_family(
    NGramModel,
    title="n-gram",
    summary="Counts which symbol follows which. No training, and a fair opponent.",
    model="torchtty.engine.models.ngram:NGram",
    start={"sampling": {"temperature": 1.0}},
)
