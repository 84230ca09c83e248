"""What the loop knows of a model, its data and its objective."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from torchtty.engine.contract.settings.family import Configuration


@dataclass(frozen=True)
class SampleRequest:
    """What is to be drawn, every setting filled in."""

    prompt: str
    count: int
    max_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int | None


@dataclass(frozen=True)
class SamplePiece:
    """Text that was added to sample `index`."""

    index: int
    text: str


@dataclass
class SampleResult:
    """Drawn samples, filled while they are drawn: `texts` one a sample, `known` whether each stands in the training data."""

    texts: list[str] = field(default_factory=list)
    known: list[bool] | None = None
    unknown: list[str] = field(default_factory=list)  # symbols of the prompt that the vocabulary lacks


@dataclass(frozen=True)
class Facts:
    """What a person wants to know before the first step."""

    parameters: int
    vocab_size: int
    tokens: dict[str, int]  # split -> tokens
    references: dict[str, float]  # name -> nats
    notes: tuple[str, ...]


class Task(Protocol):
    """A model tied to its data and objective. Losses are means in nats; tensors stay on the device."""

    facts: Facts
    tokens_per_step: int

    def configure(self, configuration: Configuration) -> None:
        """Take over live settings."""

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        """Do one step and return its metrics, as 0-D tensors that stay on the device where they were computed."""

    def evaluate(self, thorough: bool = False) -> dict[str, float]:
        """Return the losses on the splits, named as in `METRICS`; `thorough` leaves out nothing, at the end of a run."""

    def weights(self) -> dict[str, Tensor]:
        """Return what a checkpoint's `model.safetensors` holds."""

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over the weights of a checkpoint; raise `UserError` if they do not fit."""

    def training_state(self) -> dict[str, Any]:
        """Return all else that an exact continuation needs: optimizer and generators, of types `weights_only` loads."""

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take over what `training_state` returned."""

    def tokenizer_json(self) -> dict[str, Any] | None:
        """Return the tokenizer that travels with the weights."""


@runtime_checkable
class WritesText(Protocol):
    """What a task offers whose samples are text."""

    def sample(self, request: SampleRequest, result: SampleResult) -> Iterator[SamplePiece]:
        """Draw samples into `result`, yielding what was added as it comes."""

    def automatic_sample(self) -> SampleRequest:
        """Return what is drawn now and then during training."""


@runtime_checkable
class ExposesModel(Protocol):
    """What a task offers whose model lenses can look into."""

    model: nn.Module
    device: torch.device

    def example_batch(self) -> tuple[Tensor, ...]:
        """Return the arguments of one forward pass of the model on real data."""


@runtime_checkable
class DrawsPictures(Protocol):
    """What a task offers whose samples are pictures: bytes (N, H, W, C)."""

    grid_size: int  # pictures in a grid

    def fixed_pictures(self) -> Any:
        """Draw the pictures of a noise that stays the same."""

    def fresh_pictures(self, count: int, seed: int) -> Any:
        """Draw pictures of a noise drawn with a seed."""

    def real_pictures(self) -> Any:
        """Return pictures learnt from, always the same; None where there are none."""


@runtime_checkable
class CarriesArchitecture(Protocol):
    """What a task offers whose model was read from a folder: a checkpoint must do without that folder."""

    def architecture(self) -> dict[str, Any]:
        """Return the shape of the model, which travels with its weights."""

    def export(self, target: Path) -> list[str]:
        """Write the model as a new folder that other programs read; return its files' names. Raises `UserError`."""


ProgressReport = Callable[[str], None]
