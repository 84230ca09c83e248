"""What a run chooses for its steps: threads and precision by timing them, and the backend that computes them."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.run.events import BackendChosen, PrecisionChosen, ThreadsChosen
from torchtty.engine.contract.run.timed_choices import TimedChoices
from torchtty.engine.contract.settings.training import TrainingBase
from torchtty.engine.devices import check_precision, choose_device, has_bfloat16, synchronise
from torchtty.engine.training.backends.blocks import BLOCK_SECONDS, LARGEST_BLOCK, BlockStep
from torchtty.engine.training.backends.captured import Captured
from torchtty.engine.training.backends.compiled import Compiled, CompiledStep
from torchtty.engine.training.backends.selection import EAGER, Backend, BackendChoice, Workload, choose, proved
from torchtty.engine.training.backends.traced import Traced
from torchtty.engine.training.step import Batch, EagerStep, Rates, Step
from torchtty.engine.training.threads import ThreadChooser
from torchtty.engine.training.trial import rounded, said_each_second, timed_in_turn

BACKENDS: tuple[Backend, ...] = (Traced(), Captured())
HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}  # precisions of products that autocast has
CHOOSE_AFTER = 100  # steps: proving a backend takes a few tenths of a second, too long before the first points
PACED_OVER = 20  # steps, the last before a backend is chosen, whose duration says how many may be done in a row
TRIAL_BATCHES = 2  # that a backend is proved on


class ChoosesItsSteps(ABC):
    """The part of a task that chooses how its steps are computed. A trial leaves no trace; what was decided waits in `decisions`.

    Who inherits from it sets `step`, `operations` and `threads` once its network is built.
    """

    step: Step
    operations: float
    """Floating-point operations a step, about."""

    def __init__(self, training: TrainingBase) -> None:
        """Take the device and the precision that a run asks for. Raises `UserError` where they are not to be had."""
        self.device = choose_device(training.device)
        check_precision(training.precision, self.device)
        self.precision: str = "float32" if training.precision == "auto" else training.precision
        self.threads: ThreadChooser | None = None  # none until it is known how much a step computes
        self.choice: BackendChoice | None = None
        self.decisions: list[BackendChosen | ThreadsChosen | PrecisionChosen] = []
        self.say: Callable[[str], object] = lambda _: None
        self._chooses_precision = training.precision == "auto"
        self._recorded_backend: str | None = None  # that a record has compute the steps from some step on
        self._buffers: tuple[Tensor, ...] = ()  # of the network, such as the running averages of a batch norm
        self._steps_here = 0  # steps of this process
        self._in_a_row = 1  # steps that are done with nothing in between
        self._paced_since = time.perf_counter()
        self._trial_batches: deque[Batch] = deque(maxlen=TRIAL_BATCHES)

    @abstractmethod
    def drawing_state(self) -> dict[str, Any]:
        """Return all that a step moves before it moves weights: generators, and its place in the data."""

    @abstractmethod
    def load_drawing_state(self, state: dict[str, Any]) -> None:
        """Take over what `drawing_state` returned."""

    def choose_for(self, step: int, batch: Batch, rates: Rates, training: TrainingBase) -> None:
        """Choose what is due before a step (0 is the first) on this batch."""
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

    def follow(self, choices: TimedChoices, step: int) -> None:
        """Compute from a step on as a record says."""
        assert self.threads is not None
        self.threads.follow(choices.threads, step, choices.until, own=choices.own)
        if self.device.type == "cuda":  # on a CPU all backends give the same bits
            self._recorded_backend = choices.backend
            if choices.own and choices.backend not in (None, EAGER):
                self._steps_here = CHOOSE_AFTER  # from the first step on: an eager one rounds otherwise
        if self._chooses_precision and choices.precision in ("float32", *HALVES):
            self._chooses_precision = False
            self._compute_in(choices.precision)
            if not choices.own:
                self.decisions.append(PrecisionChosen(precision=self.precision, reason="as recorded"))

    def computed_by(self, processes: int, here: int) -> None:
        """Keep to the eager step, which several processes share, so many of them `here`, on the cores of this machine.

        What one of them times alone says little of all.
        """
        assert self.threads is not None
        self.choice = BackendChoice(EAGER, f"{processes} processes share each step")
        self.decisions.append(BackendChosen(backend=EAGER, reason=self.choice.reason))
        self.threads = ThreadChooser(self.operations, self.device, self.threads.share_of(here))

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

    def autocast(self) -> AbstractContextManager[Any]:
        """Compute in the run's precision."""
        if half := HALVES.get(self.precision):
            return torch.autocast(self.device.type, dtype=half)
        return nullcontext()

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

    def _consider_backends(self, batch: Batch, rates: Rates, steps: int) -> None:
        self._trial_batches.append(batch)
        if self._steps_here == CHOOSE_AFTER - PACED_OVER:
            self._paced_since = time.perf_counter()
        if self._steps_here == CHOOSE_AFTER:
            took = (time.perf_counter() - self._paced_since) / PACED_OVER
            assert isinstance(self.step, EagerStep)
            workload = Workload(self.device, self.precision, self.operations, steps)
            batches = tuple(self._trial_batches)
            self.step, self.choice = choose(self.step, BACKENDS, workload, batches, rates, self._recorded_backend)
            self._trial_batches.clear()
            backend, why = self.choice.backend, self.choice.reason
            self._pace(self.choice.seconds.get(backend, took))
            self.decisions.append(BackendChosen(backend=backend, reason=why, timings=rounded(self.choice.seconds)))
        self._steps_here += 1

    def _compile(self, batch: Batch, rates: Rates, steps: int) -> None:
        """Compile the step, as the person wishes, whatever it gains; say why where that cannot be."""
        assert isinstance(self.step, EagerStep)
        workload = Workload(self.device, self.precision, self.operations, steps)
        with said_each_second(self.say, "Compiling the step, which takes some ten seconds to some minutes"):
            found, why = proved(self.step, Compiled(), workload, (batch,), rates)
        if isinstance(found, CompiledStep):
            self.step, why = found, f"as training.compile says; that took {found.seconds_to_compile:.1f} s"
        self.choice = BackendChoice("eager" if found is None else Compiled.name, why)
        self.decisions.append(BackendChosen(backend=self.choice.backend, reason=why))

    def leave_backend(self) -> None:
        """Go on eagerly until another backend is built and proved."""
        if isinstance(step := self.step, BlockStep):
            self.step, self.choice = EagerStep(*step.descents, carried=step.carried), None
            self._steps_here = CHOOSE_AFTER - TRIAL_BATCHES

    def _pace(self, seconds: float) -> None:
        """Do several steps in a row where one takes so few seconds that requests are still read often."""
        assert self.threads is not None
        if self.device.type == "cpu" and not self.threads.can_change:
            self._in_a_row = max(1, min(LARGEST_BLOCK, int(BLOCK_SECONDS / max(seconds, 1e-9))))

    @property
    def steps_at_once(self) -> int:
        """How many steps can be done at once from here."""
        if isinstance(self.step, BlockStep):
            return self.step.most
        return self._in_a_row if self.choice is not None else 1

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
