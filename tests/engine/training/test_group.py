"""Groups: every member's curve is that of its solo run, whatever happens to the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.training import group as groups
from torchtty.engine.training.backends import kernels
from torchtty.engine.training.checkpoint import latest_step, read_checkpoint
from torchtty.engine.training.group import GroupTraining
from torchtty.engine.training.loop import Loop

MakeLoop = Callable[..., Loop]
TOLERANCE = 1e-5
"""How far a loss may lie from that of the solo run, as a share of it, over 200 steps. Products of stacks add up in another order
than products of matrices: the seventh digit differs now and then, and what follows from it grows with the steps."""
TOLERANCES = {"transformer": 2e-3}
"""Adam divides gradients by their size. That of a key's bias is zero but for rounding, and is made as large as any other."""

STEPS = {
    "training__max_steps": 200,
    "training__log_interval": 10,
    "training__eval_interval": 50,
    "sampling__interval": 0,
}
SMALL = {"model__n_layer": 2, "model__n_embd": 16, "model__n_head": 2, "model__block_size": 8}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bigram": ("bigram", {}),
    "mlp": ("mlp", {"training__grad_clip": 0.5}),
    "mlp with batch norm": ("mlp", {"model__batch_norm": "yes", "optimizer__momentum": 0.9}),
    "wavenet": ("wavenet", {"model__block_size": 4, "model__n_hidden": 16}),
    "rnn": ("rnn", {"model__cell": "rnn", "model__n_hidden": 16, "model__block_size": 8, "training__batch_size": 4}),
    "lstm": ("rnn", {"model__cell": "lstm", "model__n_hidden": 16, "model__block_size": 4, "training__batch_size": 4}),
    "gru": ("rnn", {"model__cell": "gru", "model__n_hidden": 16, "model__block_size": 4, "model__carry_state": "no"}),
    "gpt": ("gpt", SMALL),
    "gpt with dropout": ("gpt", SMALL | {"model__dropout": 0.2, "model__tie_weights": "yes"}),
    "transformer": (
        "transformer",
        {"model__n_layer": 1, "model__d_model": 16, "model__d_ff": 32, "model__block_size": 8},
    ),
}


def rows(run: RunDirectory) -> list[dict[str, Any]]:
    return JsonLinesTail(run.metrics_path).read()


def backend(run: RunDirectory) -> str:
    [chosen] = [row for row in JsonLinesTail(run.events_path).read() if row["event"] == "backend"]
    return str(chosen["backend"])


def solo(loop_for: MakeLoop, kind: str, flags: Mapping[str, Any]) -> Loop:
    loop = loop_for(kind, **flags)
    loop.train()
    loop.writer.flush()
    return loop


def train_with_edit(loop: Loop, step: int, path: str, value: Any) -> None:
    """Train a run by itself, and change a setting once it has come to a step."""
    course, done = loop.course(), None
    while True:
        try:
            course.send(done)  # type: ignore[arg-type]
        except StopIteration:
            break
        if loop.step == step:
            loop.edit(path, value)
        done = groups.Done(1, loop.task.train_step(loop.step))
    loop.writer.flush()


def begun(loop_for: MakeLoop, kind: str, members: Sequence[Mapping[str, Any]]) -> tuple[GroupTraining, list[Loop]]:
    group, loops = GroupTraining(), []
    for flags in members:
        loops.append(loop_for(kind, **flags))
        group.add(loops[-1])
    return group, loops


def train(group: GroupTraining, loops: Sequence[Loop], between: Callable[[], None] = lambda: None) -> None:
    group.train(between)
    for loop in loops:
        loop.writer.flush()


def seeds(*numbers: int, **flags: Any) -> list[dict[str, Any]]:
    return [STEPS | flags | {"training__seed": number} for number in numbers]


def furthest(expected: RunDirectory, found: RunDirectory) -> float:
    """Return how far the losses of two runs lie apart at most, as a share; they must have been measured at the same steps."""
    pairs = list(zip(rows(expected), rows(found), strict=True))
    assert pairs
    apart = 0.0
    for one, other in pairs:
        assert {**one, "time": 0, "steps_per_second": 0}.keys() == {**other, "time": 0, "steps_per_second": 0}.keys()
        assert (one["step"], one["tokens"], one.get("learning_rate")) == (
            other["step"],
            other["tokens"],
            other.get("learning_rate"),
        )
        for name in one.keys() & {"train_loss", "val_loss", "train_eval_loss", "smoothed_sum"}:
            apart = max(apart, abs(one[name] - other[name]) / abs(one[name]))
    return apart


@pytest.fixture(autouse=True)
def batched_if_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the batched step whether or not it is quicker on this machine now."""
    monkeypatch.setattr(groups, "quicker", lambda batched, own: True)


@pytest.mark.parametrize("name", FAMILIES)
def test_each_members_curve_is_that_of_its_solo_run(loop_for: MakeLoop, name: str) -> None:
    kind, flags = FAMILIES[name]
    members = seeds(1, 2, 3, **flags)
    alone = [solo(loop_for, kind, member) for member in members]
    group, loops = begun(loop_for, kind, members)
    drawn = torch.get_rng_state()
    train(group, loops)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [backend(loop.run) for loop in loops] == ["batched"] * 3
    for expected, loop in zip(alone, loops, strict=True):
        assert furthest(expected.run, loop.run) < TOLERANCES.get(name, TOLERANCE)
        assert loop.writer.status.state is RunState.FINISHED
    assert furthest(alone[0].run, loops[1].run) > 0.01  # seeds differ by far more


def test_members_that_differ_in_dropout_draw_each_for_itself(loop_for: MakeLoop) -> None:
    members = [STEPS | SMALL | {"training__seed": 5, "model__dropout": share} for share in (0.0, 0.1, 0.4)]
    alone = [solo(loop_for, "gpt", member) for member in members]
    group, loops = begun(loop_for, "gpt", members)
    train(group, loops)
    assert backend(loops[0].run) == "batched"
    for expected, loop in zip(alone, loops, strict=True):
        assert furthest(expected.run, loop.run) < TOLERANCE


def test_a_batched_step_that_cannot_be_built_leaves_no_trace(
    loop_for: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("no kernel")

    monkeypatch.setattr(kernels, "take_quicker_ways", broken)
    members = seeds(1, 2, **SMALL | {"model__dropout": 0.2, "training__max_steps": 60})
    alone = [solo(loop_for, "gpt", member) for member in members]
    group, loops = begun(loop_for, "gpt", members)
    train(group, loops)
    assert group.choice is not None
    assert "no kernel" in group.choice.reason
    assert [furthest(expected.run, loop.run) for expected, loop in zip(alone, loops, strict=True)] == [0, 0]


def test_one_by_one_each_member_is_its_solo_run_to_the_bit(loop_for: MakeLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "quicker", lambda batched, own: False)
    members = seeds(1, 2, **SMALL | {"model__dropout": 0.2, "training__max_steps": 60})
    alone = [solo(loop_for, "gpt", member) for member in members]
    group, loops = begun(loop_for, "gpt", members)
    train(group, loops)
    assert group.choice is not None
    assert group.choice.backend == "one by one"
    assert "slower" in group.choice.reason
    for expected, loop in zip(alone, loops, strict=True):
        assert furthest(expected.run, loop.run) == 0
        for name, weight in expected.task.weights().items():
            assert torch.equal(weight, loop.task.weights()[name])


@pytest.mark.parametrize("kind", ["sgd", "adamw", "adagrad", "rmsprop", "muon"])
def test_each_optimizer_steps_members_with_rates_of_their_own(loop_for: MakeLoop, kind: str) -> None:
    flags = {"optimizer__kind": kind, "training__max_steps": 60, "training__batch_size": 8}
    rates = [(0.01, 1), (0.01, 2), (0.002, 1)]  # the first two are stepped by one call, the third by its own
    members = [STEPS | flags | {"optimizer__learning_rate": rate, "training__seed": seed} for rate, seed in rates]
    alone = [solo(loop_for, "mlp", member) for member in members]
    group, loops = begun(loop_for, "mlp", members)
    train(group, loops)
    for expected, loop in zip(alone, loops, strict=True):
        assert furthest(expected.run, loop.run) < 10 * TOLERANCE  # most of them divide by the gradient's size


def test_a_member_that_diverges_ends_as_failed_and_the_others_go_on(loop_for: MakeLoop) -> None:
    members = [STEPS | {"training__seed": 1, "optimizer__weight_decay": pull} for pull in (0.0, 100, 0.01)]
    alone = [solo(loop_for, "mlp", members[0]), solo(loop_for, "mlp", members[2])]
    group, loops = begun(loop_for, "mlp", members)
    train(group, loops)
    states = [loop.writer.status.state for loop in loops]
    assert states == [RunState.FINISHED, RunState.FAILED, RunState.FINISHED]
    message = loops[1].writer.status.message
    assert "training has diverged" in message
    assert "lower learning_rate" in message
    assert furthest(alone[0].run, loops[0].run) < TOLERANCE
    assert furthest(alone[1].run, loops[2].run) < TOLERANCE


def test_a_member_that_is_stopped_saves_itself_and_the_others_go_on(loop_for: MakeLoop) -> None:
    members = seeds(1, 2)
    alone = solo(loop_for, "mlp", members[1])
    group, loops = begun(loop_for, "mlp", members)

    def stop_the_first() -> None:
        if loops[0].step >= 60:
            loops[0].requests.stop_requested = True

    train(group, loops, stop_the_first)
    assert loops[0].writer.status.state is RunState.STOPPED
    assert 60 <= loops[0].step < 200
    assert loops[0].run.checkpoints()[-1] == loops[0].step
    assert furthest(alone.run, loops[1].run) < TOLERANCE


def test_an_edit_of_one_member_is_for_that_member_alone(loop_for: MakeLoop) -> None:
    members = seeds(1, 2, 3, optimizer__momentum=0.9)
    untouched = [solo(loop_for, "mlp", members[0]), solo(loop_for, "mlp", members[2])]
    group, loops = begun(loop_for, "mlp", members)
    edited: list[int] = []

    def edit_the_second() -> None:
        if loops[1].step >= 100 and not edited:
            edited.append(loops[1].step)
            loops[1].edit("optimizer.learning_rate", 0.01)

    train(group, loops, edit_the_second)
    alone = loop_for("mlp", **members[1])
    train_with_edit(alone, edited[0], "optimizer.learning_rate", 0.01)
    assert furthest(alone.run, loops[1].run) < TOLERANCE
    assert furthest(untouched[0].run, loops[0].run) < TOLERANCE
    assert furthest(untouched[1].run, loops[2].run) < TOLERANCE
    assert rows(loops[1].run)[-2]["learning_rate"] != rows(loops[0].run)[-2]["learning_rate"]


@pytest.mark.parametrize("name", ["gpt with dropout", "rnn", "wavenet"])
def test_a_member_goes_on_alone_from_its_checkpoint(loop_for: MakeLoop, name: str) -> None:
    kind, flags = FAMILIES[name]
    members = seeds(1, 2, **flags, optimizer__kind="adam")
    alone = solo(loop_for, kind, members[1])
    group, loops = begun(loop_for, kind, members)

    def stop_all() -> None:
        for loop in loops:
            loop.requests.stop_requested = loop.step >= 75

    train(group, loops, stop_all)
    assert [loop.writer.status.state for loop in loops] == [RunState.STOPPED] * 2
    torch.manual_seed(999)  # whatever another process had drawn before
    again = loop_for(run=loops[1].run)
    again.restore(read_checkpoint(again.run, latest_step(again.run, resumable=True), with_training=True), None)
    again.train()
    again.writer.flush()
    assert furthest(alone.run, again.run) < 10 * TOLERANCE  # Adam divides by the gradient's size
