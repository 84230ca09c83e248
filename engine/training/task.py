"""Tasks: what the loop knows of a model, its data and its objective, what a task can offer beyond that, and building one."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from torchtty.engine.contract.run.events import BackendChosen, PrecisionChosen, Ready, ThreadsChosen
from torchtty.engine.contract.run.timed_choices import TimedChoices
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.data.prepared import PreparedText
from torchtty.engine.models.families import resolve
from torchtty.engine.sampling.text import SamplePiece, SampleRequest, SampleResult


@dataclass(frozen=True)
class Facts:
    """What a person wants to know before the first step."""

    parameters: int
    vocab_size: int
    tokens: dict[str, int]  # split -> tokens
    references: dict[str, float]  # name -> nats
    notes: tuple[str, ...]
    data_sha256: str = ""  # of what is learnt from; empty where that is gone
    characters: int | None = None  # of all splits, where tokens stand for text

    def announced(self, device: str, notes: Sequence[str] = ()) -> Ready:
        """Return the event that tells of them; `notes` are the worker's own."""
        return Ready(
            parameters=self.parameters,
            vocab_size=self.vocab_size,
            tokens=self.tokens,
            characters=self.characters,
            references=self.references,
            notes=(*self.notes, *notes),
            device=device,
        )


class Task(Protocol):
    """A model tied to its data and objective. Losses are means in nats; tensors stay on the device."""

    facts: Facts
    tokens_per_step: int

    def configure(self, configuration: Configuration) -> None:
        """Take over live settings."""

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        """Do one step and return its metrics, tensors on the device where they were computed."""

    def evaluate(self, thorough: bool = False) -> dict[str, float]:
        """Return the losses on the splits, named as in `METRICS`; `thorough` leaves out nothing, at the end of a run."""

    def weights(self) -> dict[str, Tensor]:
        """Return what a checkpoint's `model.safetensors` holds."""

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over the weights of a checkpoint; raise `UserError` if they do not fit."""

    def training_state(self) -> dict[str, Any]:
        """Return all else that an exact continuation needs: optimizer and generators, of types `weights_only` loads."""

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take over what `training_state` returned, or parts of it: what a fork leaves out begins anew."""


@dataclass(frozen=True)
class TaskSource:
    """What a task is built with beside its configuration: the tokenizer and architecture of a checkpoint, if there is one.

    With `data_may_be_gone`, data that cannot be read any more are done without: enough to draw samples. With `without_data` they
    are not even looked for: enough to do steps on batches that come from elsewhere. That takes a tokenizer.
    """

    tokenizer: dict[str, Any] | None = None
    architecture: dict[str, Any] | None = None
    data_may_be_gone: bool = False
    without_data: bool = False


NEW = TaskSource()


class TaskClass(Protocol):
    """What builds the tasks of a family."""

    def build(self, configuration: Configuration, source: TaskSource = NEW) -> Task:
        """Build a task; raise `UserError`."""

    def for_timing(self, configuration: Configuration) -> tuple[Task, float]:
        """Build a task to look at and time; return it with what the time of its steps is to be multiplied by.

        Nothing is downloaded for it, and on a CPU a small batch may stand for a large one, which could take a minute.
        """


@runtime_checkable
class PreviewsDownload(Protocol):
    """What the class of a task offers whose model may still have to be downloaded."""

    def preview(self, configuration: Configuration) -> Facts | None:
        """Return what is known without the download; none where there is nothing to download."""


@runtime_checkable
class ChoosesByTiming(Protocol):
    """What a task offers that may compute its steps in several ways, and takes the quickest."""

    decisions: list[BackendChosen | ThreadsChosen | PrecisionChosen]
    """What was decided and is not in the record yet."""

    say: Callable[[str], object]
    """Is called with what takes a while, again each second, and with nothing once it is done."""

    def follow(self, choices: TimedChoices, step: int) -> None:
        """Compute from a step on as a record says."""


@runtime_checkable
class TrainsInBlocks(Protocol):
    """What a task offers that may do several steps at once."""

    @property
    def steps_at_once(self) -> int:
        """How many steps can be done at once from here."""

    def train_steps(self, step: int, count: int) -> dict[str, Tensor | float]:
        """Do `count` steps from number `step` on, `steps_at_once` of them at the most; return their metrics, each (count,) on the
        device, or that of the last step where it is a number.
        """


@runtime_checkable
class TakesBack(Protocol):
    """What a task offers that can undo a step which failed before it changed anything for good."""

    def take_back(self) -> bool:
        """Put back what the step that failed had drawn; return whether all is now as before it, to the bit."""


@runtime_checkable
class DrawsRandomly(Protocol):
    """What a task offers whose checkpoints may go on on another kind of device than theirs."""

    def other_draws(self) -> str:
        """Return in a few words what it draws since it took over the checkpoint that its own device would have drawn otherwise;
        empty where nothing is.
        """


@runtime_checkable
class WritesText(Protocol):
    """What a task offers whose samples are text."""

    def sample(self, request: SampleRequest, result: SampleResult) -> Generator[SamplePiece]:
        """Draw samples into `result`, yielding what was added as it comes. Raises `UserError`."""

    def automatic_sample(self) -> SampleRequest:
        """Return what is drawn now and then during training."""

    def tokenizer_json(self) -> dict[str, Any]:
        """Return the tokenizer that travels with the weights."""


@runtime_checkable
class HasVocabulary(Protocol):
    """What a task offers whose data may hold what its vocabulary lacks."""

    def unknown_symbols(self) -> set[str]:
        """Return the symbols of its data, characters or words, that have no token of their own."""


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
class KeepsTestSplit(Protocol):
    """What a task offers whose data may keep a test split, from which nothing is learnt and by which nothing is chosen."""

    has_test_split: bool

    def evaluate_test(self) -> Generator[tuple[int, int], None, dict[str, float]]:
        """Evaluate the weights at hand on the whole test split, and on the whole validation split the same way.

        Yields (done, total) of a split's windows as it goes; returns the losses by the names of their metrics. Training goes on
        as if it had not been. Raises `UserError` where there is no test split.
        """


@runtime_checkable
class ExposesModel(Protocol):
    """What a task offers: the model itself, to be looked into."""

    model: nn.Module
    device: torch.device

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in the run's precision."""

    def example_batch(self) -> tuple[Tensor, ...]:
        """Return the arguments of a forward pass on real data, the same each time; training goes on as if it had not been.

        `model(*example_batch())[1]` is a loss, 0-D, that can be differentiated where a network is trained.
        """


@runtime_checkable
class ReadsText(Protocol):
    """What a task offers whose model predicts tokens: the model and the words for its tokens, to be looked into."""

    model: (
        nn.Module
    )  # `model(idx)[0]` are logits, after every position or after a full window, as it `predicts_every_position`
    device: torch.device
    data: PreparedText  # its tokenizer, and how a text begins and ends; the text itself may be gone

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in the run's precision."""

    def text(self) -> PreparedText:
        """Return the text that is learnt from, read again where it was let go; raise `UserError` where it cannot be read."""


@runtime_checkable
class DrawsFromNoise(Protocol):
    """What a task offers whose pictures are drawn from noise: its two sides, to be looked into."""

    noise_size: int  # numbers that a picture is drawn from

    def pictures_of(self, noise: Tensor) -> Any:
        """Draw the pictures of noise (N, noise_size), as bytes (N, H, W, C)."""

    def pictures_learnt_from(self) -> Tensor:
        """Return all of them as bytes (N, C, H, W), read again where they were let go; raise `UserError` where they are gone."""


@runtime_checkable
class ForgetsTraining(Protocol):
    """What a task offers that holds more than its model while it trains."""

    def forget_training(self) -> None:
        """Let go of optimizer, batches and data: from now on it is only sampled, looked into and exported."""


@runtime_checkable
class CarriesArchitecture(Protocol):
    """What a task offers whose model was read from a folder: a checkpoint must do without that folder."""

    def architecture(self) -> dict[str, Any]:
        """Return the shape of the model, which travels with its weights."""

    def export(self, target: Path) -> list[str]:
        """Write the model as a new folder that other programs read; return its files' names. Raises `UserError`."""


def task_class(configuration: Configuration) -> TaskClass:
    """Return the class of the task that trains a configuration's family."""
    return cast(TaskClass, resolve(family_of(configuration.kind).task))


def build_task(
    configuration: Configuration,
    tokenizer: dict[str, Any] | None = None,
    architecture: dict[str, Any] | None = None,
    *,
    data_may_be_gone: bool = False,
    without_data: bool = False,
) -> Task:
    """Build the task of a configuration, from what `TaskSource` describes; raise `UserError`."""
    source = TaskSource(tokenizer, architecture, data_may_be_gone, without_data)
    return task_class(configuration).build(configuration, source)
