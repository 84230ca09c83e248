"""What all tasks share that train a network by gradient descent: device and precision, steps, the learning rate, and weights."""

import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import BackendChosen, PrecisionChosen, ThreadsChosen
from torchtty.engine.contract.run.timed_choices import TimedChoices
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.optimizer import Optimizer, Schedule
from torchtty.engine.contract.settings.training import TrainingBase
from torchtty.engine.devices import (
    allow_tf32,
    check_precision,
    choose_device,
    has_bfloat16,
    random_state_kept,
    synchronise,
)
from torchtty.engine.training.backends.blocks import BLOCK_SECONDS, LARGEST_BLOCK, BlockStep
from torchtty.engine.training.backends.captured import Captured
from torchtty.engine.training.backends.compiled import Compiled, CompiledStep
from torchtty.engine.training.backends.selection import Backend, BackendChoice, Workload, choose, proved
from torchtty.engine.training.backends.traced import Traced
from torchtty.engine.training.optimizers import Optimizers
from torchtty.engine.training.step import Batch, Descent, EagerStep, Rates, Step
from torchtty.engine.training.task import NEW, Facts, Task, TaskSource
from torchtty.engine.training.threads import ThreadChooser
from torchtty.engine.training.trial import rounded, timed_in_turn

BACKENDS: tuple[Backend, ...] = (Traced(), Captured())
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}  # precisions of products that autocast has
CHOOSE_AFTER = 100  # steps: proving a backend takes a few tenths of a second, too long before the first points
PACED_OVER = 20  # steps, the last before a backend is chosen, whose duration says how many may be done in a row
TRIAL_BATCHES = 2  # that a backend is proved on


class GradientConfiguration(Protocol):
    """The sections that every configuration has whose model learns by gradient descent."""

    @property
    def optimizer(self) -> Optimizer: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def training(self) -> TrainingBase: ...


Sections = TypeVar("Sections", bound=GradientConfiguration)


class NeuralTask(ABC, Generic[Sections]):
    """Trains a network. A subclass builds it, draws its batches, and says which losses a step descends.

    A subclass sets `step` to its eager step, and `operations`, `threads`, `facts` and `tokens_per_step`, when it is built. Another
    backend takes over once it has been proved on the run's own batches.
    """

    facts: Facts
    tokens_per_step: int
    step: Step
    operations: float
    """Floating-point operations a step, about."""

    descended: tuple[str, ...] = (
        "",
    )  # the networks that a step moves, by their names in the model; empty for all of it
    timed_batch: int | None = None  # examples of a batch when a step is timed on a CPU; none: as many as in training

    def __init__(self, configuration: Sections) -> None:
        self.configuration = configuration
        training = configuration.training
        self.device = choose_device(training.device)
        check_precision(training.precision, self.device)
        allow_tf32(self.device)
        self.precision: str = "float32" if training.precision == "auto" else training.precision
        self._chooses_precision = training.precision == "auto"
        torch.manual_seed(training.seed)
        self.model = self.build_network().to(self.device)
        self._buffers = tuple(self.model.buffers())  # such as the running averages of a batch norm
        self.threads: ThreadChooser | None = None  # none until it is known how much a step computes
        self.choice: BackendChoice | None = None
        self.decisions: list[BackendChosen | ThreadsChosen | PrecisionChosen] = []
        self._steps_here = 0  # steps of this process
        self._in_a_row = 1  # steps that are done with nothing in between
        self._paced_since = time.perf_counter()
        self._before: dict[
            str, Any
        ] = {}  # what the next batch and the losses draw from, as it was before the latest step
        self._averages = 0  # how often the network's buffers had been changed then
        self._draws_anew = False  # whether what a checkpoint drew batches from is a device that is missing here
        self._trial_batches: deque[Batch] = deque(maxlen=TRIAL_BATCHES)

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

    @abstractmethod
    def descents(self, optimizers: Mapping[str, Optimizers]) -> tuple[Descent, ...]:
        """Return what a step descends, in its order: the networks that `descended` names with their losses and these optimizers."""

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

    def leave_backend(self) -> None:
        """Go on eagerly until another backend is built and proved."""
        if isinstance(step := self.step, BlockStep):
            self.step, self.choice = EagerStep(*step.descents, carried=step.carried), None
            self._steps_here = CHOOSE_AFTER - TRIAL_BATCHES

    # -- steps ----------------------------------------------------------------------------------------------------

    def train_step(self, step: int) -> dict[str, Tensor | float]:
        """Do one step, number `step` of the run (0 is the first); return its metrics and the learning rate."""
        rates, training = self.rates(step), self.configuration.training
        self._before, self._averages, self.step.moved = self.drawing_state(), self._changes_of_buffers(), False
        batch = self.next_batch()
        if self._chooses_precision:
            self._choose_precision(batch)
        elif self._steps_here == 0:
            self._scale_losses()
        assert self.threads is not None
        if self.threads.is_due(step):
            self._choose_threads(step, batch)
        if self.choice is None and not training.compile:
            self._consider_backends(batch, rates, training.max_steps - step)
        elif self.choice is None and step:  # by then the optimizer has made what it remembers, here and after a resume
            self._compile(batch, rates, training.max_steps - step)
        began = time.perf_counter()
        metrics = self.step(batch, rates, logged=(step + 1) % training.log_interval == 0)
        if self.threads.can_change:
            self.threads.took(time.perf_counter() - began)
        return {"learning_rate": rates.learning_rate, **metrics}

    @property
    def steps_at_once(self) -> int:
        """How many steps can be done at once from here."""
        if isinstance(self.step, BlockStep):
            return self.step.most
        return self._in_a_row if self.choice is not None else 1

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

    # -- what is chosen by timing ---------------------------------------------------------------------------------

    def follow(self, choices: TimedChoices, step: int) -> None:
        """Compute from a step on as a record says."""
        assert self.threads is not None
        self.threads.follow(choices.threads, step, choices.until, own=choices.own)
        if self._chooses_precision and choices.precision in ("float32", *HALVES):
            self._chooses_precision = False
            self._compute_in(choices.precision)
            if not choices.own:
                self.decisions.append(PrecisionChosen(precision=self.precision, reason="as recorded"))

    def _choose_threads(self, step: int, batch: Batch) -> None:
        assert self.threads is not None
        with self._undone():
            chosen = self.threads.choose(step, lambda: self._rehearse(batch))
        if chosen is not None:
            self.decisions.append(chosen)

    def _choose_precision(self, batch: Batch) -> None:
        """Take the quicker precision of those that the device has, timed on a batch."""
        self._chooses_precision = False
        ways: tuple[str, ...] = ("float32",)
        if has_bfloat16(self.device):
            ways = ("float32", "bfloat16")
        elif self.device.type == "cuda":
            ways = ("float32", "float16")
        seconds: dict[str, float] = {}
        why = f"{self.device.type} has no instructions for bfloat16"
        if len(ways) > 1:
            with self._undone():
                seconds = timed_in_turn(ways, self._compute_in, lambda: self._rehearse(batch))
            why = "the quicker one"
        self._compute_in(min(seconds, key=lambda way: seconds[way], default=ways[0]))
        self.decisions.append(PrecisionChosen(precision=self.precision, reason=why, timings=rounded(seconds)))

    def _compute_in(self, precision: str) -> None:
        self.precision = precision
        self._scale_losses()

    def _scale_losses(self) -> None:
        """Scale losses for float16, whose smallest numbers are larger than many a gradient; and for no other precision."""
        if isinstance(self.step, EagerStep) and (self.precision == "float16") != (self.step.scaler is not None):
            self.step.scaler = torch.amp.GradScaler(self.device.type) if self.precision == "float16" else None

    def scaler_state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of how losses are scaled; nothing where they are not."""
        scaler = self.step.scaler if isinstance(self.step, EagerStep) else None
        return {} if scaler is None else {"scaler": scaler.state_dict()}

    def load_scaler_state(self, state: dict[str, Any]) -> None:
        if "scaler" in state:
            self._compute_in("float16")
            assert isinstance(self.step, EagerStep)
            assert self.step.scaler is not None
            self.step.scaler.load_state_dict(state["scaler"])

    def _rehearse(self, batch: Batch) -> None:
        """Compute the gradients of a batch; within `_undone` that leaves everything as it was."""
        assert isinstance(self.step, EagerStep)
        for descent in self.step.descents:
            self.step.gradients(descent, batch)
        for descent in self.step.descents:  # afterwards, for one loss may put gradients into what another descends
            for weight in descent.weights:
                weight.grad = None
        synchronise(self.device)

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Compute what is to leave no trace: generators, the place in the data and running averages are put back."""
        drawn, averages = self.drawing_state(), [(buffer, buffer.clone()) for buffer in self._buffers]
        try:
            yield
        finally:
            self.load_drawing_state(drawn)
            for buffer, value in averages:
                buffer.copy_(value)

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

    def _compile(self, batch: Batch, rates: Rates, steps: int) -> None:
        """Compile the step, as the person wishes, whatever it gains; say why where that cannot be."""
        assert isinstance(self.step, EagerStep)
        workload = Workload(self.device, self.precision, self.operations, steps)
        found, why = proved(self.step, Compiled(), workload, (batch,), rates)
        if isinstance(found, CompiledStep):
            self.step, why = found, f"as training.compile says; that took {found.seconds_to_compile:.1f} s"
        self.choice = BackendChoice("eager" if found is None else Compiled.name, why)
        self.decisions.append(BackendChosen(backend=self.choice.backend, reason=why))

    def _consider_backends(self, batch: Batch, rates: Rates, steps: int) -> None:
        self._trial_batches.append(batch)
        if self._steps_here == CHOOSE_AFTER - PACED_OVER:
            self._paced_since = time.perf_counter()
        if self._steps_here == CHOOSE_AFTER:
            took = (time.perf_counter() - self._paced_since) / PACED_OVER
            assert isinstance(self.step, EagerStep)
            workload = Workload(self.device, self.precision, self.operations, steps)
            self.step, self.choice = choose(self.step, BACKENDS, workload, tuple(self._trial_batches), rates)
            self._trial_batches.clear()
            backend, why = self.choice.backend, self.choice.reason
            self._pace(self.choice.seconds.get(backend, took))
            self.decisions.append(BackendChosen(backend=backend, reason=why, timings=rounded(self.choice.seconds)))
        self._steps_here += 1

    def _pace(self, seconds: float) -> None:
        """Do several steps in a row where one takes so few seconds that requests are still read often."""
        assert self.threads is not None
        if self.device.type == "cpu" and not self.threads.can_change:
            self._in_a_row = max(1, min(LARGEST_BLOCK, int(BLOCK_SECONDS / max(seconds, 1e-9))))

    def forget_training(self) -> None:
        """Let gradients and the step go, with what its backend traced. A subclass lets its optimizer and data go."""
        self.model.zero_grad(set_to_none=True)
        self._trial_batches.clear()
        del self.step

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in the run's precision."""
        if half := HALVES.get(self.precision):
            return torch.autocast(self.device.type, dtype=half)
        return nullcontext()

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
