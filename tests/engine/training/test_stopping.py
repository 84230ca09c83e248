"""Rules that end a run before its last step: at which step exactly, why, and that a run without them is as it was."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import (
    ConfigurationError,
    parse,
    starting_tree,
    with_flags,
    with_value,
)
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.training import metrics as metrics_module
from torchtty.engine.training.checkpoint import latest_step, read_checkpoint
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.stopping import ExponentialMean

MakeLoop = Callable[..., Loop]
UNSTEADY = {
    "training__max_steps": 400,
    "training__eval_interval": 10,
    "training__checkpoint_interval": 50,
    "training__log_interval": 5,
    "training__eval_batches": 0,
    "schedule__kind": "constant",
    "optimizer__learning_rate": 0.5,
    "sampling__interval": 0,
}
"""A run whose validation loss falls with many a step back."""


def series(run: RunDirectory, name: str) -> dict[int, float]:
    return {row["step"]: row[name] for row in JsonLinesTail(run.metrics_path).read() if name in row}


def last_event(run: RunDirectory, kind: str) -> dict[str, Any]:
    return [row for row in JsonLinesTail(run.events_path).read() if row["event"] == kind][-1]


def finish(loop: Loop) -> RunState:
    state = loop.train()
    loop.note()
    loop.writer.publish()
    return state


def continued(loop_for: MakeLoop, run: RunDirectory) -> Loop:
    """A fresh loop, as another process would make it, at the run's latest checkpoint."""
    torch.manual_seed(999)
    loop = loop_for(run=run)
    loop.restore(read_checkpoint(run, latest_step(run, resumable=True), with_training=True), None)
    return loop


def stop_at(loop: Loop, step: int) -> None:
    """Let a request to stop arrive right before the step after this one."""
    train_step = loop.task.train_step

    def counted(number: int) -> Any:
        if number + 1 == step:
            loop.requests.stop_requested = True
        return train_step(number)

    loop.task.train_step = counted  # type: ignore[method-assign]
    loop._blocks = None  # one step at a time


def expected_step(values: dict[int, float], patience: int, past: float, min_delta: float = 0.0) -> tuple[int, int]:
    """Return where a run with these evaluations ends, and its best step, by the formula as a sum over all of them."""
    steps = [step for step in sorted(values) if step]
    means = {}
    for count, step in enumerate(steps, 1):
        weights = [(1 - past) * past ** (count - 1 - number) for number in range(count)]
        means[step] = math.fsum(w * values[s] for w, s in zip(weights, steps, strict=False)) / math.fsum(weights)
    best, waited = steps[0], 0
    for step in steps[1:]:
        best, waited = (step, 0) if means[step] < means[best] - min_delta else (best, waited + 1)
        if waited == patience:
            return step, best
    raise AssertionError("patience is never at an end")


class TestPatience:
    @pytest.mark.parametrize(("past", "min_delta"), [(0.0, 0.0), (0.5, 0.0), (0.8, 0.02)])
    def test_a_run_ends_at_the_very_evaluation_at_which_patience_is_at_an_end(
        self, loop_for: MakeLoop, past: float, min_delta: float
    ) -> None:
        whole = loop_for("mlp", **UNSTEADY)
        finish(whole)
        values = series(whole.run, "val_loss")
        step, best = expected_step(values, 3, past, min_delta)
        assert best > 20, "the loss is to fall first"
        assert step < 390
        rules = {"training__patience": 3, "training__patience_smoothing": past, "training__min_delta": min_delta}
        loop = loop_for("mlp", **UNSTEADY | rules)
        assert finish(loop) is RunState.FINISHED
        assert loop.step == step
        assert series(loop.run, "val_loss") == {at: value for at, value in values.items() if at <= step}
        summary, status = last_event(loop.run, "summary"), loop.run.written_status()
        assert summary["ended_by"] == status.ended_by == "training.patience"
        assert summary["reason"] == status.message == last_event(loop.run, "state")["message"]
        assert status.message.startswith("Stopped after 3 evaluations without improvement of ")
        assert f"at step {best}." in status.message
        assert step in loop.run.checkpoints()

    def test_a_run_that_was_stopped_and_resumed_ends_at_the_same_step(self, loop_for: MakeLoop) -> None:
        rules = UNSTEADY | {"training__patience": 4}
        whole = loop_for("mlp", **rules)
        finish(whole)
        assert whole.run.written_status().ended_by
        broken = loop_for("mlp", **rules)
        stop_at(broken, whole.step - 15)  # in the midst of waiting
        assert finish(broken) is RunState.STOPPED
        assert not broken.run.written_status().ended_by
        again = continued(loop_for, broken.run)
        assert finish(again) is RunState.FINISHED
        assert (again.step, again.run.written_status().message) == (whole.step, whole.run.written_status().message)
        assert series(again.run, "train_loss") == series(whole.run, "train_loss")
        for name, tensor in whole.task.weights().items():
            assert torch.equal(tensor, again.task.weights()[name]), name

    def test_a_run_that_ended_goes_on_once_its_rule_is_lifted_as_if_there_had_been_none(
        self, loop_for: MakeLoop
    ) -> None:
        free = loop_for("mlp", **UNSTEADY)
        finish(free)
        loop = loop_for("mlp", **UNSTEADY | {"training__patience": 3})
        finish(loop)
        at, snapshot = loop.step, RunSnapshot.of(loop.run)
        assert snapshot.ended_by == "training.patience"
        assert snapshot.can_resume
        assert "ended by training.patience 3" in snapshot.why_it_would_end({})
        assert snapshot.why_it_would_end({"training.patience": 3})
        assert snapshot.why_it_would_end({"training.max_steps": 800})
        assert not snapshot.why_it_would_end({"training.patience": 4})
        assert not snapshot.why_it_would_end({"training.patience": None})
        again = continued(loop_for, loop.run)
        again.edit("training.patience", None)
        assert finish(again) is RunState.FINISHED
        assert again.step == 400 > at
        assert series(again.run, "train_loss")[400] == series(free.run, "train_loss")[400]
        status = again.run.written_status()
        assert (status.ended_by, status.message) == ("", "")

    def test_the_best_of_a_longer_patience_counts_on_from_where_it_was(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", **UNSTEADY | {"training__patience": 3})
        finish(loop)
        longer = loop_for("mlp", **UNSTEADY | {"training__patience": 5})
        finish(longer)
        again = continued(loop_for, loop.run)
        again.edit("training.patience", 5)
        finish(again)
        assert again.step == longer.step > loop.step

    def test_patience_that_is_switched_on_in_mid_run_begins_to_count_there(self, loop_for: MakeLoop) -> None:
        whole = loop_for("mlp", **UNSTEADY)
        finish(whole)
        values = series(whole.run, "val_loss")
        assert (
            min(values[step] for step in range(210, 260, 10))
            > values[200]
            == min(values[s] for s in range(10, 210, 10))
        )
        loop = loop_for("mlp", **UNSTEADY | {"training__patience_smoothing": 0})
        train_step = loop.task.train_step

        def edited(number: int) -> Any:
            if number == 221:  # two evaluations after the best one
                loop.edit("training.patience", 3)
            return train_step(number)

        loop.task.train_step = edited  # type: ignore[method-assign]
        loop._blocks = None  # one step at a time
        finish(loop)
        assert loop.step == 250

    def test_everything_is_evaluated_at_such_an_end(self, loop_for: MakeLoop) -> None:
        """Without eval_batches, an evaluation on the way takes as much of the training split as there is to validate on."""
        loop = loop_for("mlp", **UNSTEADY | {"training__patience": 2})
        finish(loop)
        assert series(loop.run, "train_eval_loss")[loop.step] == pytest.approx(
            loop.task.evaluate(True)["train_eval_loss"], rel=1e-6
        )
        assert loop.task.evaluate(True)["train_eval_loss"] != loop.task.evaluate(False)["train_eval_loss"]


class TestTarget:
    def test_a_run_ends_at_the_first_evaluation_at_or_below_its_target(self, loop_for: MakeLoop) -> None:
        whole = loop_for("mlp", **UNSTEADY)
        finish(whole)
        values = series(whole.run, "val_loss")
        target = values[60]
        step = next(at for at in sorted(values) if at and values[at] <= target)
        loop = loop_for("mlp", **UNSTEADY | {"training__target_loss": repr(target)})
        assert finish(loop) is RunState.FINISHED
        assert loop.step == step
        assert f"val_loss came to {target:.5g}"[:20] in loop.run.written_status().message
        assert loop.run.written_status().ended_by == "training.target_loss"
        snapshot = RunSnapshot.of(loop.run)
        assert snapshot.why_it_would_end({"training.target_loss": target + 1})
        assert not snapshot.why_it_would_end({"training.target_loss": target - 1})

    def test_a_target_on_the_training_split_needs_no_validation(self, loop_for: MakeLoop) -> None:
        flags = UNSTEADY | {"data__val_fraction": 0.0, "training__target_metric": "train_eval_loss"}
        loop = loop_for("mlp", **flags | {"training__target_loss": 2.0})
        finish(loop)
        values = series(loop.run, "train_eval_loss")
        assert values[loop.step] <= 2.0 < min(value for step, value in values.items() if step < loop.step)

    def test_a_target_is_moved_while_the_run_trains(self, loop_for: MakeLoop) -> None:
        loop = loop_for("mlp", **UNSTEADY | {"training__target_loss": 0.0})
        train_step = loop.task.train_step

        def edited(number: int) -> Any:
            if number == 125:
                loop.edit("training.target_loss", 100.0)
            return train_step(number)

        loop.task.train_step = edited  # type: ignore[method-assign]
        loop._blocks = None  # one step at a time
        finish(loop)
        assert loop.step == 130
        assert last_event(loop.run, "edit")["old"] == 0.0

    def test_a_target_of_every_step_is_looked_at_with_every_point_of_the_curve(
        self, loop_for: MakeLoop, verse_file: Path
    ) -> None:
        flags: dict[str, Any] = {
            "data": verse_file,
            "training__max_steps": 200,
            "training__log_interval": 4,
            "training__eval_interval": 50,
        }
        flags |= {"optimizer__learning_rate": 0.1, "training__batch_size": 1, "model__n_hidden": 16}
        whole = loop_for("rnn", **flags)
        finish(whole)
        values = series(whole.run, "smoothed_sum")
        target = values[100]
        step = next(at for at in sorted(values) if values[at] <= target)
        rules = flags | {"training__target_metric": "smoothed_sum", "training__target_loss": repr(target)}
        loop = loop_for("rnn", **rules)
        finish(loop)
        assert loop.step == step == 100
        assert series(loop.run, "smoothed_sum") == {at: value for at, value in values.items() if at <= step}
        assert step in series(loop.run, "val_loss"), "it is evaluated where it ends"
        broken = loop_for("rnn", **rules)
        stop_at(broken, 55)
        finish(broken)
        again = continued(loop_for, broken.run)
        finish(again)
        assert again.step == step


class TestSeconds:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """A clock that stands until it is moved."""
        now = [100.0]
        monkeypatch.setattr(metrics_module.time, "perf_counter", lambda: now[0])

        def move(seconds: float) -> None:
            now[0] += seconds

        return move

    def ticking(self, loop: Loop, move: Callable[[float], None]) -> Loop:
        """Let each step take a second."""
        train_step = loop.task.train_step

        def taking(number: int) -> Any:
            move(1.0)
            return train_step(number)

        loop.task.train_step = taking  # type: ignore[method-assign]
        loop._blocks = None  # one step at a time
        return loop

    @pytest.mark.parametrize("kind", ["mlp", "gpt", "rnn"])
    def test_a_run_ends_after_its_seconds_and_is_evaluated_there(
        self, loop_for: MakeLoop, clock: Callable[[float], None], kind: str, verse_file: Path
    ) -> None:
        loop = self.ticking(loop_for(kind, data=verse_file, training__max_steps=50, training__max_seconds=17), clock)
        assert finish(loop) is RunState.FINISHED
        assert loop.step == 17
        assert 17 in series(loop.run, "val_loss")
        status = loop.run.written_status()
        assert status.message == "Stopped after 17.0 s of training: max_seconds is 17."
        assert (status.ended_by, status.max_seconds) == ("training.max_seconds", 17.0)

    def test_the_seconds_of_a_resumed_run_are_those_of_all_its_parts_and_pauses_are_none(
        self, loop_for: MakeLoop, clock: Callable[[float], None]
    ) -> None:
        broken = self.ticking(loop_for("mlp", training__max_steps=50, training__max_seconds=17), clock)
        stop_at(broken, 9)
        assert finish(broken) is RunState.STOPPED
        clock(1000.0)
        again = self.ticking(continued(loop_for, broken.run), clock)
        with again.aside():
            clock(1000.0)
        finish(again)
        assert again.step == 17
        snapshot = RunSnapshot.of(again.run)
        assert snapshot.why_it_would_end({"training.max_seconds": 17.0})
        assert not snapshot.why_it_would_end({"training.max_seconds": 18.0})

    def test_the_time_left_is_that_of_the_rule_that_comes_first(self) -> None:
        status = Status(state=RunState.RUNNING, step=100, max_steps=1000, steps_per_second=10.0, seconds=10.0)
        assert (status.seconds_left, status.share_done) == (90.0, 0.1)
        status = status.model_copy(update={"max_seconds": 20.0})
        assert (status.seconds_left, status.share_done) == (10.0, 0.5)


def test_the_mean_is_free_of_its_start_and_stays_so_when_its_weight_changes() -> None:
    mean = ExponentialMean()
    assert [mean.take(2.0, past) for past in (0.9, 0.9, 0.1, 0.99)] == pytest.approx([2.0] * 4)
    mean = ExponentialMean()
    mean.take(1.0, 0.9)
    assert mean.take(2.0, 0.9) == pytest.approx((0.9 * 1.0 + 2.0) / 1.9)


@pytest.mark.parametrize("kind", list(FAMILIES))
def test_a_family_has_the_rules_that_mean_something_for_it(kind: str) -> None:
    training = starting_tree(kind)["training"]
    rules = {"max_seconds", "patience", "min_delta", "patience_smoothing", "target_loss", "target_metric"}
    family = FAMILIES[kind]
    if not family.trains_by_steps:
        assert not rules & training.keys()
    elif family.watched is None:
        assert rules & training.keys() == {"max_seconds"}
    else:
        assert rules <= training.keys()
    assert [training[name] for name in ("max_seconds", "patience", "target_loss") if training.get(name)] == []


@pytest.mark.parametrize(
    ("kind", "flags", "path", "says"),
    [
        ("gpt", {"training.patience": "0"}, "training.patience", "at least 1, or none"),
        ("gpt", {"training.max_seconds": "0"}, "training.max_seconds", "above 0"),
        ("gpt", {"training.patience_smoothing": "1"}, "training.patience_smoothing", "below 1"),
        ("gpt", {"training.target_metric": "smoothed_sum"}, "training.target_metric", "one of val_loss"),
        ("gpt", {"training.patience": "5", "data.val_fraction": "0"}, "training.patience", "needs a validation split"),
        ("mlp", {"training.target_loss": "1", "data.val_fraction": "0"}, "training.target_loss", "train_eval_loss"),
        (
            "rnn",
            {"training.target_metric": "smoothed_sum", "model.carry_state": "no"},
            "training.target_metric",
            "read in order",
        ),
        ("mlp", {"data.val_fraction": "0.5", "data.test_fraction": "0.5"}, "data.test_fraction", "nothing to train on"),
        ("dcgan", {"training.patience": "3"}, "training.patience", "is not a setting"),
    ],
)
def test_rules_that_cannot_hold_are_refused(kind: str, flags: dict[str, str], path: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        with_flags(starting_tree(kind), flags)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert says in problem.message


def test_a_live_edit_that_cannot_hold_is_refused_and_changes_nothing(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp", data__val_fraction=0.0)
    with pytest.raises(Exception, match="needs a validation split"):
        loop.edit("training.patience", 3)
    assert loop.configuration.tree()["training"]["patience"] is None
    assert parse(with_value(loop.configuration.tree(), "training.max_seconds", 5.0))


def test_steps_are_ascending_in_every_curve_of_a_run_that_a_rule_ended(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp", **UNSTEADY | {"training__patience": 2})
    finish(loop)
    for name in ("train_loss", "val_loss"):
        steps = [row["step"] for row in JsonLinesTail(loop.run.metrics_path).read() if name in row]
        assert all(first < second for first, second in pairwise(steps))
