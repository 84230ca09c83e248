"""What the families of one kind of task share: the sections of their configurations, their metrics and their charts."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from pydantic import Field, create_model

from torchtty.engine.contract.settings.data import CharacterTokens, ImageData, TextData, Tokens
from torchtty.engine.contract.settings.family import (
    GRADIENT_CHART,
    RATE_CHART,
    SPEED_CHART,
    Configuration,
    Family,
    Metric,
    MetricChart,
    ModelSection,
    Output,
)
from torchtty.engine.contract.settings.optimizer import (
    Adam,
    AdamW,
    ConstantSchedule,
    CosineSchedule,
    Optimizer,
    Schedule,
)
from torchtty.engine.contract.settings.training import (
    AdversarialTraining,
    CountingTraining,
    ImageSampling,
    LanguageTraining,
    PeriodicTextSampling,
    TextSampling,
)


class CountingConfiguration(Configuration):
    """A run that counts."""

    data: TextData = Field(default_factory=TextData)
    tokenizer: Tokens = Field(default_factory=CharacterTokens)
    training: CountingTraining = Field(default_factory=CountingTraining)
    sampling: TextSampling = Field(default_factory=TextSampling)


class LanguageConfiguration(Configuration):
    """A run that learns to predict the next token by gradient descent."""

    data: TextData = Field(default_factory=TextData)
    tokenizer: Tokens = Field(default_factory=CharacterTokens)
    optimizer: Optimizer = Field(default_factory=AdamW)
    schedule: Schedule = Field(default_factory=CosineSchedule)
    training: LanguageTraining = Field(default_factory=LanguageTraining)
    sampling: PeriodicTextSampling = Field(default_factory=PeriodicTextSampling)

    def check(self) -> Iterator[tuple[str, str]]:
        shared_by = self.training.shared_by
        if shared_by and shared_by[0] != "cpu" and len({*shared_by}) < len(shared_by):
            yield "training.devices", "names a GPU twice: each takes one part of a batch"
        if len(shared_by) > self.training.batch_size:
            yield (
                "training.devices",
                f"are more than a batch has examples: training.batch_size is {self.training.batch_size}",
            )
        if shared_by and self.training.compile:
            yield "training.compile", "is for one process: training.devices shares each batch"
        if self.data.val_fraction:
            return
        if self.training.patience is not None:
            yield (
                "training.patience",
                "needs a validation split: data.val_fraction is 0, so there is nothing to improve on",
            )
        if self.training.target_loss is not None and self.training.target == VAL_LOSS.name:
            yield (
                "training.target_loss",
                "needs a validation split, and data.val_fraction is 0: set target_metric to train_eval_loss",
            )


class PictureModel(ModelSection):
    """What every model that draws pictures from noise has: their size in pixels, their channels, and the numbers of noise."""

    image_size: int
    channels: int
    n_latent: int


class AdversarialConfiguration(Configuration):
    """A run that learns to draw pictures, a generator against a discriminator."""

    model: PictureModel
    data: ImageData = Field(default_factory=ImageData)
    optimizer: Optimizer = Field(default_factory=lambda: Adam(learning_rate=2e-4, beta1=0.5))
    schedule: Schedule = Field(default_factory=ConstantSchedule)
    training: AdversarialTraining = Field(default_factory=AdversarialTraining)
    sampling: ImageSampling = Field(default_factory=ImageSampling)


TRAIN_LOSS = Metric(
    "train_loss", "train", "nats", "train", "training loss", averaged=True, loss=True, smoothed=True, role="train"
)
VAL_LOSS = Metric("val_loss", "val", "nats", "val", "validation loss", loss=True, role="val")
TEST_LOSS = Metric("test_loss", "test", "nats", "test", "test loss")

_LANGUAGE_METRICS = (
    TRAIN_LOSS,
    VAL_LOSS,
    Metric(
        "train_eval_loss", "train, evaluated", "nats", loss=True, role="train", description="training loss, evaluated"
    ),
    Metric("objective", "what training lowers", smoothed=True),
    Metric("smoothed_sum", "smoothed, summed over a window", "nats"),
    TEST_LOSS,
)
_LOSS_CHART = MetricChart("loss", "loss", ("train_loss", "val_loss"))

MANY_QUICK_STEPS = {
    "max_steps": 30_000,
    "eval_interval": 1000,
    "eval_batches": 0,
    "checkpoint_interval": 5000,
    "log_interval": 20,
    "grad_clip": 0.0,
}
"""How a small network that sees a few tokens is trained at the start."""


def with_model(base: type[Configuration], section: type[ModelSection]) -> type[Configuration]:
    """Return a configuration with this model in it."""
    name = section.__name__.replace("Model", "Configuration")
    return create_model(name, __base__=base, model=(section, Field(default_factory=section)))


def language_family(section: type[ModelSection], **declared: Any) -> Family:
    """Declare the family of a model that learns to predict the next token: what all of them share, and what this one declares."""
    shared: dict[str, Any] = {
        "kind": section.model_fields["kind"].default,
        "configuration": with_model(LanguageConfiguration, section),
        "task": "torchtty.engine.training.language:LanguageTask",
        "metrics": _LANGUAGE_METRICS,
        "charts": (_LOSS_CHART, RATE_CHART, GRADIENT_CHART, SPEED_CHART),
        "headline": ((VAL_LOSS.name,), (TRAIN_LOSS.name,)),
        "watched": VAL_LOSS.name,
        "tested": TEST_LOSS.name,
    }
    return Family(**shared | declared)


def counting_family(section: type[ModelSection], **declared: Any) -> Family:
    """Declare the family of a model that counts which token comes next."""
    return language_family(
        section,
        configuration=with_model(CountingConfiguration, section),
        task="torchtty.engine.training.counting:CountingTask",
        metrics=(*_LANGUAGE_METRICS[:3], Metric("whole_loss", "whole text", "nats", loss=True), TEST_LOSS),
        charts=(_LOSS_CHART,),
        has_network=False,
        **declared,
    )


_averaged = partial(Metric, averaged=True, smoothed=True)
_ADVERSARIAL_METRICS = (
    _averaged("loss_d", "discriminator", label="D", description="discriminator's loss (D)", loss=True),
    _averaged("loss_g", "generator", label="G", description="generator's loss (G)", loss=True),
    _averaged("d_real", "D(x), real"),
    _averaged("d_fake", "D(G(z)), drawn"),
    _averaged("d_fake_after", "D(G(z)) after D's step"),
)
_ADVERSARIAL_CHARTS = (
    MetricChart("game", "losses", ("loss_d", "loss_g")),  # neither says how good the pictures are, only who is winning
    MetricChart("probabilities", "D(x) and D(G(z))", ("d_real", "d_fake", "d_fake_after")),
    RATE_CHART,
    SPEED_CHART,
)


def adversarial_family(section: type[PictureModel], **declared: Any) -> Family:
    """Declare the family of a model of two networks that learn against each other to draw pictures."""
    return Family(
        kind=section.model_fields["kind"].default,
        configuration=with_model(AdversarialConfiguration, section),
        task="torchtty.engine.training.adversarial:AdversarialTask",
        metrics=_ADVERSARIAL_METRICS,
        charts=_ADVERSARIAL_CHARTS,
        headline=(("loss_d", "loss_g"),),
        output=Output.PICTURES,
        **declared,
    )
