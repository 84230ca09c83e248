"""Training a group: several runs that differ in their seeds or in numbers, as one batched model or one after the other."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.run.events import BackendChosen
from torchtty.engine.training.backends.lockstep import Lockstep, Trainee, check
from torchtty.engine.training.backends.selection import BackendChoice, Unsuitable
from torchtty.engine.training.loop import Done, Loop
from torchtty.engine.training.metrics import Diverged
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.threads import CORES, ThreadChooser, wanted_threads
from torchtty.engine.training.trial import rounded

BATCHED, IN_TURN = "batched", "one by one"
LOOK_INTERVAL = 0.02  # seconds of steps after which the members' requests are looked at
STACKED = 4
"""How many times the operations of a step count where threads are wondered about: kernels that compute for many share better."""


@dataclass
class _Member:
    """A run in training: its loop, how far that has come, and the state of torch's generator as it is for this run alone."""

    loop: Loop
    task: NeuralTask[Any]
    generator: torch.Generator
    course: Generator[int, Done, Any] | None = None
    room: int = 0  # steps that may be done before its loop wants to go on
    number: int = 0  # among the members that are stepped at once

    @property
    def trains(self) -> bool:
        return self.course is not None

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Let torch's global generators be those of this run meanwhile."""
        before = torch.get_rng_state()
        torch.set_rng_state(self.generator.get_state())
        try:
            yield
        finally:
            self.generator.set_state(torch.get_rng_state())
            torch.set_rng_state(before)


class GroupTraining:
    """Trains members in step with each other: a block of steps of all of them, then what each one's loop has to do.

    A member that ends, however it does, drops out, and the others go on: its slice of the stack is computed along and looked at by
    nobody.
    """

    def __init__(self) -> None:
        self._members: list[_Member] = []
        self._together: Lockstep | None = None  # none: each member does its own steps
        self._threads: ThreadChooser | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._pace = 1  # steps that fit into `LOOK_INTERVAL`
        self.choice: BackendChoice | None = None

    def add(self, loop: Loop) -> None:
        """Take in a run whose task has just been built: what torch's generator is by then belongs to it alone."""
        assert isinstance(loop.task, NeuralTask)
        generator = torch.Generator()
        generator.set_state(torch.get_rng_state())
        self._members.append(_Member(loop, loop.task, generator))

    @property
    def step(self) -> int:
        """The furthest step of all members."""
        return max(member.loop.step for member in self._members)

    def train(self, between: Callable[[], None] = lambda: None) -> None:
        """Train all members to their ends; `between` is called between two blocks of steps.

        A member that diverges ends as failed. What else is raised ends the training of all: see `fail_rest`.
        """
        for member in self._members:
            member.course = member.loop.course()
            self._go_on(member, None)
        if any(member.trains for member in self._members):
            with self.aside():
                self._choose()
        try:
            with ThreadPoolExecutor(thread_name_prefix="members") as self._pool:
                while training := [member for member in self._members if member.trains]:
                    between()
                    count = min(self._pace, *(member.room for member in training))
                    began = time.perf_counter()
                    found = self._steps(training, count)
                    self._follow(time.perf_counter() - began, count)
                    with self.aside():
                        losses = self._evaluated(training, count)
                    for member, metrics in zip(training, found, strict=True):
                        self._go_on(member, Done(count, metrics, losses.get(member.loop)))
        finally:
            self._pool = None

    def fail_rest(self, message: str) -> None:
        """Let every member that has not come to its end fail. Some may be in the midst of a block: their checkpoints stand."""
        for member in self._members:
            if member.trains:
                member.course = None
                member.loop.fail(message)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do something for one member: the clocks of all stand meanwhile."""
        with ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.loop.metrics.aside())
            yield

    def _go_on(self, member: _Member, done: Done | None) -> None:
        """Let a member's loop do what is due, until it wants its next steps or ends."""
        assert member.course is not None
        with member.drawing():
            try:
                member.room = member.course.send(done)  # type: ignore[arg-type]
            except StopIteration:
                member.course = None
            except Diverged as error:
                member.course = None
                member.loop.diverged(error)

    # -- steps ------------------------------------------------------------------------------------------------------

    def _follow(self, seconds: float, count: int) -> None:
        """Adjust how many steps are done at once to the time that they took."""
        fitting = LOOK_INTERVAL / max(seconds / count, 1e-9)
        self._pace = max(1, min(2 * self._pace, int(fitting)))

    def _steps(self, training: Sequence[_Member], count: int) -> list[dict[str, Tensor | float]]:
        if self._together is None:
            return self._in_turn(training, count)
        assert self._threads is not None
        first = training[0].loop.step
        if self._threads.is_due(first):
            self._threads.choose(first, self._together.rehearse)
        logged = any((first + count) % member.task.configuration.training.log_interval == 0 for member in training)
        began = time.perf_counter()
        with torch.no_grad():
            found = self._together.steps(first, count, logged=logged)
        if self._threads.can_change:
            self._threads.took((time.perf_counter() - began) / count)
        return [found[member.number] for member in training]

    def _in_turn(self, training: Sequence[_Member], count: int) -> list[dict[str, Tensor | float]]:
        """Let each member do its own steps: exactly those of a run by itself."""
        found = []
        for member in training:
            if member.task.threads is not None:
                torch.set_num_threads(member.task.threads.count)
            with member.drawing():
                steps = [member.task.train_step(member.loop.step + number) for number in range(count)]
            found.append(_joined(steps))
        return found

    def _evaluated(self, training: Sequence[_Member], count: int) -> dict[Loop, dict[str, float]]:
        """Do the evaluations that are due after a block in several threads, before the loops come to them one after the other.

        In evaluation mode nothing draws from torch's global generator.
        """
        due = [
            (member, thorough)
            for member in training
            if (thorough := member.loop.evaluation_at(member.loop.step + count)) is not None
        ]
        if self._together is None or len(due) < 2 or torch.get_num_threads() > 1:
            return {}
        assert self._pool is not None
        share = -(-len(due) // (wanted_threads() or CORES))
        shares = [due[first : first + share] for first in range(0, len(due), share)]
        started = [self._pool.submit(_losses_of, one) for one in shares[1:]]
        losses = _losses_of(shares[0])
        for one in started:
            losses |= one.result()
        return losses

    # -- the choice -------------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        """Build and prove the batched step, and take it if it is quicker than the members' own."""
        members = [member for member in self._members if member.trains]
        seconds: dict[str, float] = {}
        try:
            check([member.task for member in members])
            if len(members) == 1:
                raise Unsuitable("there is one member only")
            for number, member in enumerate(members):
                member.number = number
            torch.set_num_threads(1)
            together = Lockstep([Trainee(member.task, member.generator) for member in members])
            seconds |= {BATCHED: together.trial.batched, IN_TURN: together.trial.own}
            if not quicker(together.trial.batched, together.trial.own):
                raise Unsuitable(f"{len(members)} members at once are slower")
        except Unsuitable as error:
            self.choice = BackendChoice(IN_TURN, f"{BATCHED}: {error}", seconds)
            return
        except Exception as error:  # of whatever type
            # What torch raises for what it cannot do for many at once. A fault of the model itself comes again
            # in the members' own steps that follow, and is reported there.
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self.choice = BackendChoice(IN_TURN, f"{BATCHED}: {reason}")
            return
        self._together = together
        operations = sum(member.task.operations for member in members)
        self._threads = ThreadChooser(operations * STACKED, members[0].task.device)
        self.choice = BackendChoice(BATCHED, f"{len(members)} members at once", seconds)
        chosen = BackendChosen(backend=BATCHED, reason=self.choice.reason, timings=rounded(seconds))
        for member in members:
            member.task.choice = self.choice
            member.task.decisions.append(chosen)


def _losses_of(due: Sequence[tuple[_Member, bool]]) -> dict[Loop, dict[str, float]]:
    return {member.loop: member.task.evaluate(thorough) for member, thorough in due}  # type: ignore[attr-defined]


def quicker(batched: float, own: float) -> bool:
    """Whether the batched step is worth taking, by the seconds that it and the members' own steps have taken."""
    return batched <= own


def _joined(steps: Sequence[dict[str, Tensor | float]]) -> dict[str, Tensor | float]:
    """Return the metrics of several steps as those of a block."""
    if len(steps) == 1:
        return steps[0]
    joined: dict[str, Tensor | float] = {}
    for name, value in steps[-1].items():
        each = [found for one in steps if isinstance(found := one.get(name), Tensor)]
        joined[name] = torch.stack(each) if len(each) == len(steps) else value
    return joined
