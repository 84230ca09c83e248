"""What a model family declares of itself: its settings, its task and model, its metrics and charts, and what it gives.

Everything that differs between families is here: the app, the command line and the loop ask the declaration and name no family.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from torchtty.engine.contract.settings.fields import Section

Tree = dict[str, dict[str, Any]]
"""A configuration as plain values: {section: {field: value}}."""


class Feature(StrEnum):
    """What of a model a lens may look into. The first three follow from the rest of a family's declaration."""

    NETWORK = "network"  # layers that are trained
    TEXT = "text"  # tokens, and a distribution over the next one
    PICTURES = "pictures"
    ATTENTION = "attention"
    RECURRENCE = "recurrence"  # a state that goes from one position to the next through one layer, without gates


class ModelSection(Section):
    """The settings of a model; `kind` names its family. Those of its size are the essential ones, mostly."""

    heading: ClassVar[str] = "more of the model"

    kind: str

    @property
    def lacks(self) -> frozenset[Feature]:
        """What a family exposes to lenses and a model with these settings does not have."""
        return frozenset()


class Configuration(BaseModel):
    """What every run's configuration has in common: sections, the first of which is the model's."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    model: ModelSection

    @property
    def kind(self) -> str:
        """The model's family, such as `gpt`."""
        return self.model.kind

    def check(self) -> Iterator[tuple[str, str]]:
        """Yield (setting, message) for values of different sections that do not go together."""
        yield from ()

    def sections(self) -> dict[str, Section]:
        return {name: getattr(self, name) for name in type(self).model_fields}

    def tree(self) -> Tree:
        """Return the whole configuration as plain values."""
        return self.model_dump(mode="json")


class Output(StrEnum):
    """What a trained model produces when it is asked for a sample."""

    TEXT = "text"
    PICTURES = "pictures"


@dataclass(frozen=True)
class Metric:
    """A column of `metrics.jsonl`.

    `label` is its short name where there is no room for the title, `description` its name in full. A metric that is `averaged`
    is the mean over the steps since the last logged one; a `loss` ends the run when it is no finite number. `smoothed` says
    whether a chart may smooth it: evaluations have no noise, and a rate must be read exactly. `role` picks the colour of the
    training or validation curve.
    """

    name: str
    title: str
    unit: str = ""
    label: str = ""
    description: str = ""
    averaged: bool = False
    loss: bool = False
    smoothed: bool = False
    role: Literal["train", "val", ""] = ""


@dataclass(frozen=True)
class MetricChart:
    """One chart of a run: its id, its title, and the metrics on its axes."""

    id: str
    title: str
    metrics: tuple[str, ...]


LEARNING_RATE = Metric("learning_rate", "learning rate")
GRADIENT_NORM = Metric("grad_norm", "gradient norm", smoothed=True)
SPEED = Metric("steps_per_second", "speed", "steps/s", smoothed=True)
TOKENS = Metric("tokens", "tokens seen")
BITS = Metric("bits_per_character", "bits per character", "bits", "bits/char", "bits per character", role="val")
COMMON = (LEARNING_RATE, GRADIENT_NORM, SPEED, TOKENS, BITS)

RATE_CHART = MetricChart("learning-rate", "learning rate", (LEARNING_RATE.name,))
GRADIENT_CHART = MetricChart("gradient", "gradient norm", (GRADIENT_NORM.name,))
SPEED_CHART = MetricChart("speed", "speed", (SPEED.name,))


@dataclass(frozen=True)
class Family:
    """A model family.

    `start` is what differs from the sections' own defaults. `task` is the class that trains it and `model` the callable that
    builds its module, both as `package.module:name`, since the contract does not import torch. `charts` are ordered, the most
    important first. `headline` lists what a run is summed up by: the first group whose metrics are all known is shown. `watched`
    is the metric whose lowest value marks the best checkpoint, `tested` the one that a test split is measured by, if it can be.
    """

    kind: str
    title: str
    summary: str
    configuration: type[Configuration]
    task: str
    model: str
    metrics: tuple[Metric, ...]
    charts: tuple[MetricChart, ...]
    headline: tuple[tuple[str, ...], ...]
    watched: str | None = None
    tested: str | None = None
    output: Output = Output.TEXT
    sees_one_token: bool = False  # whether it predicts from the token before alone, so that counting pairs does as well
    has_network: bool = True  # whether there are layers for lenses to look into
    exposes: frozenset[Feature] = frozenset()  # attention or recurrence, if models of it have them
    exports: bool = False  # whether other programs read the form in which its weights are exported
    rebuilt: str = ""  # what builds the module of a checkpoint, where `model` reads more than that
    start: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def metric(self, name: str) -> Metric:
        """Return the declaration of a metric; one that is not declared is shown by its name as it is."""
        return self._declared.get(name) or Metric(name, name)

    @cached_property
    def _declared(self) -> dict[str, Metric]:
        return {metric.name: metric for metric in (*COMMON, *self.metrics)}

    @property
    def features(self) -> frozenset[Feature]:
        """What of its models there is for lenses to look into."""
        output = Feature.TEXT if self.output is Output.TEXT else Feature.PICTURES
        return self.exposes | {output} | ({Feature.NETWORK} if self.has_network else set())

    @property
    def trains_by_steps(self) -> bool:
        """Whether training goes on step by step, so that it can be resumed; counting is done after one pass."""
        training = self.configuration.model_fields["training"].annotation
        return isinstance(training, type) and issubclass(training, Section) and "max_steps" in training.model_fields

    def summarised(self, metrics: Mapping[str, float]) -> tuple[tuple[Metric, float], ...]:
        """Return the metrics that a run with these latest values is summed up by, the most important first."""
        for group in self.headline:
            if all(name in metrics for name in group):
                return tuple((self.metric(name), metrics[name]) for name in group)
        return ()
