"""The training loop: it knows tasks, steps and intervals, and no model."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.events import Edited, Evaluated, Scalar, Summary
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.run.timed_choices import TimedChoices
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse, specs, with_value
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.training import EvaluatedTraining, PeriodicSampling, TrainingBase
from torchtty.engine.devices import free_cached_memory
from torchtty.engine.training.checkpoint import Saved
from torchtty.engine.training.checkpoint_manager import CheckpointManager
from torchtty.engine.training.memory import most_memory
from torchtty.engine.training.metrics import Diverged, MetricLog, seven_digits
from torchtty.engine.training.run_writer import RunWriter
from torchtty.engine.training.stopping import StoppingRules
from torchtty.engine.training.task import (
    ChoosesByTiming,
    ForgetsTraining,
    KeepsTestSplit,
    TakesBack,
    Task,
    TrainsInBlocks,
)


class Requests(Protocol):
    """What the loop is asked while it trains."""

    stop_requested: bool

    @property
    def until(self) -> int | None:
        """A step that no block of steps must go beyond, as something is to be done right after it."""

    def look(self) -> None:
        """Obey what has been asked; return once the run is to continue, or to stop."""

    def draw_automatically(self) -> None:
        """Draw the samples that a run draws by itself."""

    def test_automatically(self) -> None:
        """Evaluate the test split, as a run does by itself when it is finished."""


class Done(NamedTuple):
    """What steps have returned: how many they were, and their metrics, each 0-D or a number a step (steps,).

    `losses` are those of the evaluation that is due after them (see `evaluation_at`), where that has been done already.
    """

    steps: int
    metrics: dict[str, Tensor | float]
    losses: dict[str, float] | None = None


@dataclass(frozen=True)
class Intervals:
    """Steps between what is done beside training; 0 where it is never done."""

    log: int = 1
    evaluation: int = 0
    checkpoint: int = 0
    sampling: int = 0
    evaluates_whole: bool = False  # whether an evaluation is of whole splits

    @classmethod
    def of(cls, configuration: Configuration) -> "Intervals":
        sections = configuration.sections()
        training, sampling = sections["training"], sections.get("sampling")
        return cls(
            log=training.log_interval if isinstance(training, TrainingBase) else 1,
            evaluation=training.eval_interval if isinstance(training, EvaluatedTraining) else 0,
            checkpoint=training.checkpoint_interval if isinstance(training, TrainingBase) else 0,
            sampling=sampling.interval if isinstance(sampling, PeriodicSampling) else 0,
            evaluates_whole=isinstance(training, EvaluatedTraining) and not training.eval_batches,
        )

    def steps_until_due(self, step: int) -> int:
        """Return how many steps may be done after `step` before something else is due; the first is logged for itself."""
        due = [every - step % every for every in (self.log, self.evaluation, self.checkpoint, self.sampling) if every]
        return min(due) if step else 1


def steps_of(configuration: Configuration) -> int:
    """Return after how many steps training ends: a model that counts is done after one."""
    training = configuration.sections()["training"]
    return training.max_steps if isinstance(training, TrainingBase) else 1


class Loop:
    """Trains a task until its last step, a request, or a failure. `train()` may be called again after it has returned."""

    def __init__(
        self, task: Task, configuration: Configuration, writer: RunWriter, requests: Requests, *, max_steps: int
    ) -> None:
        self.task, self.configuration, self.writer, self.requests = task, configuration, writer, requests
        self.run, self.family = writer.run, family_of(configuration.kind)
        self._intervals = Intervals.of(configuration)
        self.step = 0
        self.max_steps = max_steps
        self._between_steps = True  # whether weights, optimizer and generators are those of `step`
        self._weights_only = False  # whether what was restored is not enough to train from
        self._evaluated_last: int | None = None  # the step of the latest evaluation that was that of an end
        self._chooses = task if isinstance(task, ChoosesByTiming) else None
        if self._chooses is not None:
            self._chooses.say = lambda text: writer.change(message=text)
        self._blocks = task if isinstance(task, TrainsInBlocks) else None
        self.metrics = MetricLog(writer, self.family, task.tokens_per_step)
        self.rules = StoppingRules(configuration, self.family)
        self.checkpoints = CheckpointManager(task, writer)

    def train(self) -> RunState:
        """Train from the current step on; return how it ended. Raises `Diverged`."""
        course = self.course()
        done: Any = None  # with which a generator begins
        while True:
            try:
                count = course.send(done)
            except StopIteration as end:
                state: RunState = end.value
                return state
            done = self.do(count)

    def do(self, most: int) -> Done:
        """Do a step, or where the task does several at once, as many of those as there may be."""
        if self._blocks is not None and (count := min(most, self._blocks.steps_at_once)) > 1:
            return Done(count, self._blocks.train_steps(self.step, count))
        return Done(1, self.task.train_step(self.step))

    def course(self) -> Generator[int, Done, RunState]:
        """Train as `train` does, but let whoever drives this do the steps: a group does those of many runs at once.

        Yields how many steps may be done from the current one on before something else is due, and is sent what they returned.
        Returns how training ended. Raises `Diverged`.
        """
        while True:
            self.metrics.start_clock()
            self.rules.ending = None
            self.writer.state(RunState.RUNNING)
            if self.step == 0:
                self._evaluate()
                if self._intervals.sampling:  # what the untrained model gives, to compare with
                    self.requests.draw_automatically()
            stopped = yield from self._steps()
            if (state := self._end(RunState.STOPPED if stopped else RunState.FINISHED)) is not None:
                return state

    def _steps(self) -> Generator[int, Done, bool]:
        """Go on until the last step, a rule that ends the run, or a stop; return whether it was stopped."""
        while self.step < self.max_steps:
            self.requests.look()
            if self.requests.stop_requested:
                return True
            if self.step >= self.max_steps:  # an edit made this step the last
                break
            self._between_steps = False
            ends = self.max_steps if self.requests.until is None else min(self.requests.until, self.max_steps)
            done = yield max(1, min(self._intervals.steps_until_due(self.step), ends - self.step))
            self.step += done.steps
            self._between_steps = True
            self._record_decisions()
            self.metrics.collect(self.step, done.metrics, self._intervals.log)
            self._look_at_rules(done.metrics)
            last = self.step == self.max_steps or self.rules.ending is not None
            if (every := self._intervals.evaluation) and (self.step % every == 0 or last):
                as_foreseen = last == (self.step == self.max_steps)
                self._evaluate(thorough=last, found=done.losses if as_foreseen else None)
            if last or self.rules.ending is not None:
                break
            if (every := self._intervals.checkpoint) and self.step % every == 0:
                self.checkpoint()
            if (every := self._intervals.sampling) and self.step % every == 0:
                self.requests.draw_automatically()
        return False

    def evaluation_at(self, step: int) -> bool | None:
        """Say whether the evaluation that is due after a step is thorough; None where none is due."""
        every, last = self._intervals.evaluation, step == self.max_steps
        return last if every and (step % every == 0 or last) else None

    def _look_at_rules(self, metrics: Mapping[str, Tensor | float]) -> None:
        """Let the rules see the time, and the points of the curve where a target is measured at every step."""
        if self.rules.max_seconds is not None:
            self.rules.take_seconds(self.metrics.seconds)
        if self.rules.target in metrics and self.step % self._intervals.log == 0:
            self.metrics.fetch()
            self.rules.take_logged(self.step, self.metrics.row)

    def _record_decisions(self) -> None:
        """Record what the task chose by timing, before the metrics of the steps that were computed so."""
        if self._chooses is not None and self._chooses.decisions:
            for decision in self._chooses.decisions:
                self.writer.event(decision)
            self._chooses.decisions.clear()

    def follow(self, choices: TimedChoices) -> None:
        """Compute as a record says, which tells of the steps from here on."""
        if self._chooses is not None:
            self._chooses.follow(choices, self.step)

    def _end(self, state: RunState) -> RunState | None:
        """Save, and report the end; return how it ended, or None where it was given more steps meanwhile and goes on."""
        ending = self.rules.ending if state is RunState.FINISHED and self.step < self.max_steps else None
        if state is RunState.FINISHED:
            if self._evaluated_last != self.step:
                self._evaluate(thorough=True)
            self.metrics.log_rest()
        self.checkpoint()
        self.metrics.stop_clock()
        if state is RunState.FINISHED:
            end = self.max_steps
            self.requests.draw_automatically()
            if self.max_steps > end and ending is None:  # it was given more steps meanwhile
                if not self.requests.stop_requested:
                    return None
                state = RunState.STOPPED
            elif isinstance(self.task, KeepsTestSplit) and self.task.has_test_split:
                self.requests.test_automatically()
        self.note()
        seconds = self.metrics.seconds
        self.writer.event(
            Summary(
                seconds=round(seconds, 3),
                steps_per_second=round(self.step / seconds, 3) if seconds else None,
                metrics=self.metrics.losses,
                **({"reason": ending.reason, "ended_by": ending.rule} if ending else {}),
            )
        )
        self.writer.note(ended_by=ending.rule if ending else "")
        self.writer.state(state, ending.reason if ending else "")
        return state

    def fail(self, message: str, *, weights_are_good: bool = False) -> None:
        """Report why the run failed; the checkpoints that are there stay, and good weights get one more.

        Good are those between two steps, and those of a step that failed before it had changed anything for good.
        """
        if weights_are_good and self.step not in self.run.checkpoints():
            with suppress(Exception):  # whatever made the run fail may forbid this too, and is the reason to report
                if self._between_steps or (isinstance(self.task, TakesBack) and self.task.take_back()):
                    self.checkpoint()
        self.metrics.stop_clock()
        self.note()
        self.writer.state(RunState.FAILED, message)

    def diverged(self, error: Diverged) -> None:
        """Report that the loss is no number any more: a result of the settings rather than an accident."""
        self.writer.note(diverged=True)
        self.fail(str(error))

    def _evaluate(self, *, thorough: bool = False, found: dict[str, float] | None = None) -> None:
        """Evaluate; at an interval the rules take it in, and one that ends the run then has the rest evaluated as well."""
        if found is None:
            with self.aside():
                found = self.task.evaluate(thorough)
        else:
            self.metrics.fetch()
        if not found:
            return
        ended = self.rules.ending is not None
        if not ended and self.step and (every := self._intervals.evaluation) and self.step % every == 0:
            self.rules.take_evaluation(self.step, {name: seven_digits(value) for name, value in found.items()})
            if self.rules.ending is not None and not thorough and self._intervals.evaluates_whole:
                with self.aside():
                    found = self.task.evaluate(True)
        if thorough or self.rules.ending is not None:
            self._evaluated_last = self.step
        losses = self.metrics.evaluated(found)
        better = self.checkpoints.consider(self.step, losses.get(self.family.watched or ""))
        self.note()
        self.writer.event(Evaluated(metrics=losses, best=better))
        self.metrics.restart_speed()
        self.metrics.check(losses)

    def note(self) -> None:
        """Put where the run stands into its status, and write out what waits to be written."""
        self.writer.note(max_steps=self.max_steps, max_seconds=self.rules.max_seconds, memory=most_memory())
        self.metrics.note()
        self.writer.flush()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do something that is not training: what was measured is written first, and the clock stands meanwhile."""
        self.metrics.fetch()
        with self.metrics.aside():
            self.writer.flush()
            yield

    # -- settings -------------------------------------------------------------------------------------------------

    def edit(self, path: str, value: Scalar) -> Scalar:
        """Change a live setting and return what it was; raise `UserError` that says why it cannot be."""
        tree = self.configuration.tree()
        if path not in {spec.path for spec in specs(self.configuration.kind, tree) if spec.live}:
            raise UserError(f"{path} cannot be changed while training runs.")
        section, _, field = path.partition(".")
        try:
            configuration = parse(with_value(tree, path, value))
        except ConfigurationError as error:
            raise UserError(f"The change was refused: {error}.") from None
        if path == "training.max_steps" and steps_of(configuration) < self.step:
            raise UserError(f"{path} cannot be {value}: the run has done {self.step:,} steps. Choose at least as many.")
        self.configuration = configuration
        self._intervals = Intervals.of(self.configuration)
        self.task.configure(self.configuration)
        self.rules.configure(self.configuration)
        if path == "training.max_steps":
            self.max_steps = steps_of(self.configuration)
        self.note()
        old: Scalar = tree[section][field]
        self.writer.event(Edited(path=path, value=value, old=old))
        return old

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Save everything. Raises `Diverged` if the loss has left the numbers, so that bad weights never replace good ones,
        and `UserError` where only the weights are in memory.
        """
        if self._weights_only:
            raise UserError("Only the model's weights are in memory: the latest checkpoint stands.")
        self.metrics.fetch()
        best = list(self.checkpoints.best) if self.checkpoints.best else None
        state: dict[str, Any] = {"task": self.task.training_state(), "best": best, "rules": self.rules.state()}
        state |= self.metrics.state() | {"evaluated_last": self._evaluated_last}
        with self.aside():
            self.checkpoints.write(self.step, state, self.metrics.losses)
        self.metrics.restart_speed()

    def restore(self, saved: Saved, best_weights: dict[str, Tensor] | None) -> None:
        """Go back to a checkpoint; to no more than its weights where it holds nothing else."""
        self.task.load_weights(saved.weights)
        self.step = self.metrics.step = saved.step
        if saved.training is None:
            self._weights_only = True
            return
        self.task.load_training_state(saved.training["task"])
        self.metrics.load_state(saved.training)
        self._evaluated_last = saved.training.get("evaluated_last")
        self.rules.load_state(saved.training.get("rules"))
        self.checkpoints.restore(saved.training["best"], best_weights)

    def forget_training(self) -> bool:
        """Let go of what only training needs, if a checkpoint has it; return whether one has, so that nothing is lost."""
        if not self._weights_only and self.step not in self.run.checkpoints():
            return False
        self._weights_only = True
        self.checkpoints.forget_best_weights()
        if isinstance(self.task, ForgetsTraining):
            self.task.forget_training()
        free_cached_memory()
        return True
