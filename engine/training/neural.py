"""What all tasks share that train a network by gradient descent: device and precision, steps, the learning rate, and weights."""

import math
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.optimizer import Optimizer, Schedule
from torchtty.engine.contract.settings.training import TrainingBase
from torchtty.engine.devices import (
    allow_tf32,
    choose_device,
    random_state_kept,
)
from torchtty.engine.training.backends.blocks import BlockStep
from torchtty.engine.training.choosing import ChoosesItsSteps
from torchtty.engine.training.optimizers import Optimizers
from torchtty.engine.training.step import Batch, Descent, Rates
from torchtty.engine.training.task import NEW, Facts, Task, TaskSource


class GradientConfiguration(Protocol):
    """The sections that every configuration has whose model learns by gradient descent."""

    @property
    def optimizer(self) -> Optimizer: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def training(self) -> TrainingBase: ...


Sections = TypeVar("Sections", bound=GradientConfiguration)


class NeuralTask(ChoosesItsSteps, Generic[Sections]):
    """Trains a network. A subclass builds it, draws its batches, and says which losses a step descends.

    A subclass sets `step` to its eager step, and `operations`, `threads`, `facts` and `tokens_per_step`, when it is built. Another
    backend takes over once it has been proved on the run's own batches.
    """

    facts: Facts
    tokens_per_step: int
    descended: tuple[str, ...] = (
        "",
    )  # the networks that a step moves, by their names in the model; empty for all of it
    timed_batch: int | None = None  # examples of a batch when a step is timed on a CPU; none: as many as in training

    def __init__(self, configuration: Sections) -> None:
        self.configuration = configuration
        training = configuration.training
        super().__init__(training)
        allow_tf32(self.device)
        torch.manual_seed(training.seed)
        self.model = self.build_network().to(self.device)
        self._buffers = tuple(self.model.buffers())  # such as the running averages of a batch norm
        self._before: dict[
            str, Any
        ] = {}  # what the next batch and the losses draw from, as it was before the latest step
        self._averages = 0  # how often the network's buffers had been changed then
        self._draws_anew = False  # whether what a checkpoint drew batches from is a device that is missing here

    @classmethod
    @abstractmethod
    def build(cls, configuration: Configuration, source: TaskSource = NEW) -> Task:
        """Build a task, as `TaskClass` describes."""

    @classmethod
    def for_timing(cls, configuration: Configuration) -> tuple[Task, float]:
        timed, factor = cls.timed_configuration(configuration)
        return cls.build(timed), factor

    @classmethod
    def timed_configuration(cls, configuration: Configuration) -> tuple[Configuration, float]:
        """Return a configuration with a batch that a CPU computes soon, and how many times larger the real one is."""
        training = configuration.sections()["training"]
        assert isinstance(training, TrainingBase)
        small = cls.timed_batch
        if small is None or training.batch_size <= small or choose_device(training.device).type != "cpu":
            return configuration, 1.0
        changed = training.model_copy(update={"batch_size": small})
        return configuration.model_copy(update={"training": changed}), training.batch_size / small

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Return the network, its first weights drawn from torch's global generator."""

    def descents(self, optimizers: Mapping[str, Optimizers]) -> tuple[Descent, ...]:  # noqa: ARG002
        """Return what a step descends, in its order: the networks that `descended` names with their losses and these optimizers.

        A task that does not say has none, and no lens does a step with it.
        """
        return ()

    def begin_anew(self) -> None:
        """Let go of what a step goes on from beside the weights, so that a loss is that of its batch alone."""

    @abstractmethod
    def next_batch(self) -> Batch:
        """Return the next batch of the run."""

    def configure(self, configuration: Configuration) -> None:
        assert type(configuration) is type(self.configuration)
        self.configuration = cast(Sections, configuration)
        if isinstance(step := getattr(self, "step", None), BlockStep) and not step.fits(self.rates(0)):
            self.leave_backend()  # what is built in has changed

    # -- steps ----------------------------------------------------------------------------------------------------

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        """Do one step, number `step` of the run (0 is the first); return its metrics and the learning rate."""
        rates, training = self.rates(step), self.configuration.training
        self._before, self._averages, self.step.moved = self.drawing_state(), self._changes_of_buffers(), False
        batch = self.next_batch()
        self.choose_for(step, batch, rates, training)
        assert self.threads is not None
        began = time.perf_counter()
        metrics = self.step(batch, rates, logged=(step + 1) % training.log_interval == 0)
        if self.threads.can_change:
            self.threads.took(time.perf_counter() - began)
        return {"learning_rate": rates.learning_rate, **metrics}

    def train_steps(self, step: int, count: int) -> dict[str, Tensor | float]:
        """Do `count` steps from number `step` on, as `TrainsInBlocks` describes."""
        if not isinstance(self.step, BlockStep):
            return self._train_in_a_row(step, count)
        rates = [self.rates(number) for number in range(step, step + count)]
        self._before, self._averages, self.step.moved = self.drawing_state(), self._changes_of_buffers(), False
        metrics = self.step.block([self.next_batch() for _ in rates], rates)
        return {"learning_rate": rates[-1].learning_rate, **metrics}

    def _train_in_a_row(self, first: int, count: int) -> dict[str, Tensor | float]:
        """Do steps one after the other with nothing in between: of a small model the loop around a step takes a fifth."""
        interval = self.configuration.training.log_interval
        self._before, self._averages, self.step.moved = self.drawing_state(), self._changes_of_buffers(), False
        columns: dict[str, list[Tensor]] = {}
        for number in range(first, first + count):
            batch, rates = self.next_batch(), self.rates(number)
            for name, value in self.step(batch, rates, logged=(number + 1) % interval == 0).items():
                columns.setdefault(name, []).append(value)
        return {"learning_rate": rates.learning_rate} | {name: torch.stack(values) for name, values in columns.items()}

    def drawing_state(self) -> dict[str, Any]:
        """Return, at little cost, all that a step moves before it moves weights: generators, and its place in the data.

        Without it a step that failed cannot be undone.
        """
        return {}

    def load_drawing_state(self, state: dict[str, Any]) -> None:
        """Take over what `drawing_state` returned."""

    def other_draws(self) -> str:
        """Return what a checkpoint's own device would have drawn otherwise, as `DrawsRandomly` describes."""
        if self._draws_anew:
            return "other batches and noise"
        model = cast(Configuration, self.configuration).sections()["model"]
        return "other dropout" if any(value for name, value in model if name.endswith("dropout")) else ""

    def take_back(self) -> bool:
        """Undo a step that failed, as `TakesBack` describes: lack of memory mostly comes before the weights have moved."""
        if not self._before or self.step.moved or self._changes_of_buffers() != self._averages:
            return False
        self.load_drawing_state(self._before)
        return True

    def _changes_of_buffers(self) -> int:
        return sum(buffer._version for buffer in self._buffers)

    def rates(self, step: int) -> Rates:
        """Return the rates of a step, which follow the schedule and live edits."""
        optimizer, training = self.configuration.optimizer, self.configuration.training
        factor = rate_factor(self.configuration.schedule, step, training.max_steps)
        return Rates(optimizer.learning_rate * factor, optimizer.weight_decay, self.grad_clip)

    @property
    def grad_clip(self) -> float | None:
        """The largest gradient let through; none lets all through."""
        return None

    def forget_training(self) -> None:
        """Let gradients and the step go, with what its backend traced. A subclass lets its optimizer and data go."""
        self.model.zero_grad(set_to_none=True)
        self._trial_batches.clear()
        del self.step

    # -- weights --------------------------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        """Return the model's tensors; one that is the same as another (tied weights) is left out."""
        seen: set[int] = set()
        found = {}
        for name, tensor in self.model.state_dict().items():
            if tensor.data_ptr() not in seen or not tensor.numel():
                found[name] = tensor
                seen.add(tensor.data_ptr())
        return found

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over weights by name, every name and shape accounted for; raise `UserError` for the first that does not fit."""
        expected, own = set(self.weights()), self.model.state_dict()
        for name in sorted(expected ^ set(weights)):
            lacks = "the checkpoint lacks" if name in expected else "the model has no place for"
            raise UserError(
                f"These weights belong to another model: {lacks} '{name}'. Use the configuration they were trained with."
            )
        for name, tensor in weights.items():
            if name == "token_embedding.weight" and len(own[name]) != len(tensor):
                raise UserError(
                    f"These weights belong to a vocabulary of {len(tensor):,} tokens, and the one at hand has "
                    f"{len(own[name]):,}. Use the tokenizer they were trained with: a checkpoint's own stands beside it as "
                    "tokenizer.json."
                )
            if own[name].shape != tensor.shape:
                raise UserError(
                    f"These weights belong to another model: '{name}' is {tuple(tensor.shape)}, and "
                    f"{tuple(own[name].shape)} is needed. Use the configuration and tokenizer they were trained with."
                )
        self.model.load_state_dict(weights, strict=False)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back with torch's global generators as they were."""
    was_training = model.training
    with random_state_kept():
        model.eval()
        try:
            yield
        finally:
            model.train(was_training)


def rate_factor(schedule: Schedule, step: int, max_steps: int) -> float:
    """Return what the learning rate is multiplied by at `step` (0 is the first), given a `schedule` section."""
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "step":
        return 1.0 if step < schedule.at * max_steps else schedule.factor
    if (
        schedule.kind == "one-cycle"
    ):  # half a cosine up, another down (Smith & Topin, 2018; the shape of torch's OneCycleLR)
        peak = max(1e-9, schedule.peak * max_steps - 1)
        if step <= peak:
            return _cosine(schedule.start, 1.0, step / peak)
        return _cosine(1.0, schedule.final, min(1.0, (step - peak) / max(1e-9, max_steps - 1 - peak)))
    if step < schedule.warmup_steps:
        return (step + 1) / (schedule.warmup_steps + 1)
    progress = min(1.0, (step - schedule.warmup_steps) / max(1, max_steps - schedule.warmup_steps))
    return 1 + (schedule.final - 1) * progress if schedule.kind == "linear" else _cosine(1.0, schedule.final, progress)


def _cosine(first: float, last: float, progress: float) -> float:
    """Go from one value to another along half a cosine, `progress` from 0 to 1."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * progress))
