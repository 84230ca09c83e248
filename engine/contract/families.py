"""The model families: which sections each family's configuration has, and where it starts.

A run has only the sections its model reads: one that counts has no optimizer, and so no field for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.data_settings import CharacterTokens, TextData, Tokens
from engine.contract.fields import Section
from engine.contract.models.gpt import GPTModel
from engine.contract.models.mlp import MLPModel
from engine.contract.models.ngram import NGramModel
from engine.contract.optimizer_settings import AdamW, CosineSchedule, Optimizer, Schedule
from engine.contract.training_settings import CountingTraining, PeriodicTextSampling, TextSampling, Training

Tree = dict[str, dict[str, Any]]


class Configuration(BaseModel):
    """What every run's configuration has in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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

    model: NGramModel = NGramModel()
    data: TextData = TextData()
    tokenizer: Tokens = CharacterTokens()
    training: CountingTraining = CountingTraining()
    sampling: TextSampling = TextSampling()


LanguageModel = Annotated[MLPModel | GPTModel, Field(discriminator="kind")]


class LanguageConfiguration(Configuration):
    """A run that learns to predict the next token by gradient descent."""

    model: LanguageModel
    data: TextData = TextData()
    tokenizer: Tokens = CharacterTokens()
    optimizer: Optimizer = AdamW()
    schedule: Schedule = CosineSchedule()
    training: Training = Training()
    sampling: PeriodicTextSampling = PeriodicTextSampling()


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
            "gpt",
            "GPT",
            "A decoder-only transformer: attention looks back over the whole context.",
            LanguageConfiguration,
            {"training": {"batch_size": 12, "max_steps": 2000}},
        ),
    )
}
