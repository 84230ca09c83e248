"""Settings of the n-gram model."""

from typing import Literal

from torchtty.engine.contract.settings.family import Family, ModelSection
from torchtty.engine.contract.settings.fields import setting
from torchtty.engine.contract.settings.tasks import (
    COUNTING_CHARTS,
    COUNTING_METRICS,
    LANGUAGE_HEADLINE,
    CountingConfiguration,
    with_model,
)


class NGramModel(ModelSection):
    """Counts how often each symbol follows the n - 1 before it."""

    kind: Literal["ngram"] = "ngram"
    n: int = setting(2, "Length of the counted sequences: 1 ignores the past, 2 looks at pairs.", ge=1, le=5)
    smoothing: float = setting(
        1.0, "Added to every count, so that nothing is impossible; 0 keeps the raw counts.", ge=0, le=1000, step=0.5
    )


FAMILY = Family(
    kind="ngram",
    title="n-gram",
    summary="Counts which symbol follows which. No training, and a fair opponent.",
    configuration=with_model(CountingConfiguration, NGramModel),
    task="torchtty.engine.training.counting:CountingTask",
    model="torchtty.engine.models.ngram:NGram",
    metrics=COUNTING_METRICS,
    charts=COUNTING_CHARTS,
    headline=LANGUAGE_HEADLINE,
    watched="val_loss",
    tested="test_loss",
    has_network=False,
    start={"sampling": {"temperature": 1.0}},
)
