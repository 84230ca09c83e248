"""The model families: which sections each family's configuration has, and where it starts.

A run has only the sections its model reads: one that counts has no optimizer, and so no field for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from torchtty.engine.contract.settings.data import CharacterTokens, TextData, Tokens
from torchtty.engine.contract.settings.fields import Section
from torchtty.engine.contract.settings.images import AdversarialTraining, ImageData, ImageSampling
from torchtty.engine.contract.settings.language import LanguageTraining
from torchtty.engine.contract.settings.models.bigram import BigramModel
from torchtty.engine.contract.settings.models.dcgan import DCGANModel
from torchtty.engine.contract.settings.models.gpt import GPTModel
from torchtty.engine.contract.settings.models.gpt2 import GPT2Model
from torchtty.engine.contract.settings.models.mlp import MLPModel
from torchtty.engine.contract.settings.models.ngram import NGramModel
from torchtty.engine.contract.settings.models.rnn import RNNModel
from torchtty.engine.contract.settings.models.transformer import TransformerModel
from torchtty.engine.contract.settings.models.wavenet import WaveNetModel
from torchtty.engine.contract.settings.optimizer import (
    Adam,
    AdamW,
    ConstantSchedule,
    CosineSchedule,
    Optimizer,
    Schedule,
)
from torchtty.engine.contract.settings.training import CountingTraining, PeriodicTextSampling, TextSampling

Tree = dict[str, dict[str, Any]]


class Configuration(BaseModel):
    """What every run's configuration has in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @property
    def kind(self) -> str:
        """The model's family, such as `gpt`."""
        kind: str = self.model.kind  # type: ignore[attr-defined]
        return kind

    def sections(self) -> dict[str, Section]:
        return {name: getattr(self, name) for name in type(self).model_fields}

    def tree(self) -> Tree:
        """Return the whole configuration as plain values."""
        return self.model_dump(mode="json")


class CountingConfiguration(Configuration):
    """A run that counts."""

    model: NGramModel = Field(default_factory=NGramModel)
    data: TextData = Field(default_factory=TextData)
    tokenizer: Tokens = Field(default_factory=CharacterTokens)
    training: CountingTraining = Field(default_factory=CountingTraining)
    sampling: TextSampling = Field(default_factory=TextSampling)


LanguageModel = Annotated[
    BigramModel | MLPModel | WaveNetModel | RNNModel | TransformerModel | GPTModel | GPT2Model,
    Field(discriminator="kind"),
]


class LanguageConfiguration(Configuration):
    """A run that learns to predict the next token by gradient descent."""

    model: LanguageModel
    data: TextData = Field(default_factory=TextData)
    tokenizer: Tokens = Field(default_factory=CharacterTokens)
    optimizer: Optimizer = Field(default_factory=AdamW)
    schedule: Schedule = Field(default_factory=CosineSchedule)
    training: LanguageTraining = Field(default_factory=LanguageTraining)
    sampling: PeriodicTextSampling = Field(default_factory=PeriodicTextSampling)


class ImageConfiguration(Configuration):
    """A run that learns to draw pictures."""

    model: DCGANModel = Field(default_factory=DCGANModel)
    data: ImageData = Field(default_factory=ImageData)
    optimizer: Optimizer = Field(default_factory=lambda: Adam(learning_rate=2e-4, beta1=0.5))
    schedule: Schedule = Field(default_factory=ConstantSchedule)
    training: AdversarialTraining = Field(default_factory=AdversarialTraining)
    sampling: ImageSampling = Field(default_factory=ImageSampling)


@dataclass(frozen=True)
class Family:
    """A model family: what it is called, what it is, and where its configuration starts."""

    kind: str
    title: str
    summary: str
    configuration: type[Configuration]
    start: Mapping[str, Mapping[str, Any]]  # what differs from the sections' own defaults


FAMILIES: dict[str, Family] = {
    family.kind: family
    for family in (
        Family(
            "ngram",
            "n-gram",
            "Counts which symbol follows which. No training, and a fair opponent.",
            CountingConfiguration,
            {"sampling": {"temperature": 1.0}},
        ),
        Family(
            "mlp",
            "MLP",
            "Embeds a few symbols and predicts the next through a hidden layer (Bengio et al., 2003).",
            LanguageConfiguration,
            {
                "optimizer": {"kind": "sgd", "learning_rate": 0.1},
                "schedule": {"kind": "step", "at": 0.6, "factor": 0.1},
                "training": {
                    "max_steps": 30_000,
                    "batch_size": 64,
                    "eval_interval": 1000,
                    "eval_batches": 0,
                    "checkpoint_interval": 5000,
                    "log_interval": 20,
                    "grad_clip": 0.0,
                },
                "sampling": {"interval": 2000, "temperature": 1.0},
            },
        ),
        Family(
            "bigram",
            "bigram table",
            "A table of pairs learnt by gradient descent: where counting arrives at once, step by step.",
            LanguageConfiguration,
            {
                "optimizer": {"kind": "adamw", "learning_rate": 1e-2, "weight_decay": 0.0},
                "schedule": {"kind": "constant"},
                "training": {"max_steps": 3000, "batch_size": 32, "grad_clip": 0.0},
                "sampling": {"temperature": 1.0},
            },
        ),
        Family(
            "wavenet",
            "WaveNet-like",
            "Fuses neighbouring symbols in pairs, level by level, with batch norm.",
            LanguageConfiguration,
            {
                "optimizer": {"kind": "sgd", "learning_rate": 0.1},
                "schedule": {"kind": "step", "at": 0.75, "factor": 0.1},
                "training": {
                    "max_steps": 30_000,
                    "batch_size": 32,
                    "eval_interval": 1000,
                    "eval_batches": 0,
                    "checkpoint_interval": 5000,
                    "log_interval": 20,
                    "grad_clip": 0.0,
                },
                "sampling": {"interval": 2000, "temperature": 1.0},
            },
        ),
        Family(
            "rnn",
            "RNN",
            "Recurrent: reads one token at a time into a hidden state. Vanilla, LSTM or GRU.",
            LanguageConfiguration,
            {
                "optimizer": {"kind": "adagrad", "learning_rate": 1e-2},
                "schedule": {"kind": "constant"},
                "training": {"batch_size": 8, "eval_batches": 0, "grad_clip": 5.0, "grad_clip_kind": "value"},
            },
        ),
        Family(
            "transformer",
            "Transformer",
            "The post-norm block as first published, with or without mask and positions.",
            LanguageConfiguration,
            {
                "optimizer": {"kind": "adam", "learning_rate": 1e-3},
                "schedule": {"kind": "constant"},
                "training": {"batch_size": 32, "max_steps": 2000},
            },
        ),
        Family(
            "gpt",
            "GPT",
            "A decoder-only transformer: attention looks back over the whole context.",
            LanguageConfiguration,
            {"training": {"batch_size": 12, "max_steps": 2000}},
        ),
        Family(
            "gpt2",
            "GPT-2",
            "The published GPT-2, or any of its form from a folder: sample from it, fine-tune it, hand it on.",
            LanguageConfiguration,
            {
                "data": {"dataset": "python-docs"},
                "tokenizer": {"kind": "gpt2"},
                "optimizer": {"kind": "adamw", "learning_rate": 1e-5, "weight_decay": 0.01, "beta2": 0.999},
                "schedule": {"kind": "constant"},
                "training": {
                    "max_steps": 200,
                    "batch_size": 4,
                    "eval_interval": 50,
                    "eval_batches": 5,
                    "log_interval": 1,
                },
                "sampling": {"interval": 50, "max_tokens": 50, "temperature": 0.7},
            },
        ),
        Family(
            "dcgan",
            "DCGAN",
            "Draws pictures: a generator learns to be mistaken for real by a discriminator that learns to tell.",
            ImageConfiguration,
            {
                "model": {"image_size": 32, "channels": 1, "n_generator": 32, "n_discriminator": 32},
                "training": {"batch_size": 64, "max_steps": 2000, "checkpoint_interval": 500},
                "sampling": {"interval": 100},
            },
        ),
    )
}
