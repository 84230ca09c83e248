"""Steps done several at a time, through buffers that stay where they are, are the steps that one after the other would be.

On a CPU they are the same kernels on the same numbers, so that all is compared to the bit.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tests.engine.training.test_loop import continued, events, fail_at, finish, metrics

from torchtty.engine.contract.client.replay import Replay, ReplayedEdit
from torchtty.engine.contract.run.requests import Edit, Pause, drop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.training import choosing
from torchtty.engine.training.backends import selection
from torchtty.engine.training.backends.blocks import BlockStep, _is_dense, _Slots
from torchtty.engine.training.backends.selection import Workload
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.neural import NeuralTask
from torchtty.engine.training.step import Batch, EagerStep, Rates
from torchtty.engine.worker.replayer import Replayer

MakeLoop = Callable[..., Loop]
CHOSEN_AFTER = 4


class InBlocks:
    """Does blocks of steps on a CPU, where it gains nothing."""

    name, device_type = "blocks", "cpu"

    def check(self, eager: EagerStep, workload: Workload) -> None:
        pass

    def build(self, eager: EagerStep, batch: Batch, rates: Rates) -> BlockStep:
        return BlockStep(eager, batch, rates)


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Have runs take blocks from their fifth step on; return the steps of each block."""
    done: list[int] = []
    block = BlockStep.block

    def counted(self: BlockStep, batches: Any, rates: Any) -> Any:
        done.append(len(batches))
        return block(self, batches, rates)

    with monkeypatch.context() as patch:
        patch.setattr(BlockStep, "block", counted)
        patch.setattr(choosing, "BACKENDS", (InBlocks(),))
        patch.setattr(choosing, "CHOOSE_AFTER", CHOSEN_AFTER)
        patch.setattr(selection, "timed", lambda _, steps, *__: {name: float(name != "blocks") for name in steps})
        yield done


FAMILIES: dict[str, dict[str, Any]] = {
    "mlp": {"optimizer__momentum": 0.9},
    "gpt": {"model__dropout": 0.2, "schedule__kind": "cosine"},
    "rnn": {"training__batch_size": 4, "model__n_hidden": 8, "model__block_size": 4, "model__carry_state": True},
    "wavenet": {"training__batch_size": 8},
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_run_in_blocks_with_a_stop_within_takes_the_same_way_to_the_bit(
    kind: str, loop_for: MakeLoop, request: pytest.FixtureRequest
) -> None:
    flags = FAMILIES[kind] | {"training__max_steps": 40, "training__log_interval": 4, "sampling__interval": 0}
    flags |= {"training__eval_interval": 10, "training__eval_batches": 2}
    usual = loop_for(kind, **flags)
    finish(usual)
    blocks: list[int] = request.getfixturevalue("in_blocks")
    broken = loop_for(kind, **flags)
    stop_within_block(broken, 18)
    assert finish(broken) is RunState.STOPPED
    assert broken.step == 20  # the evaluation comes before the next look at what is asked
    assert max(blocks[1:]) == 4
    again = continued(loop_for, broken.run)
    assert finish(again) is RunState.FINISHED
    for loop in (broken, again):
        assert isinstance(loop.task, NeuralTask)
        assert loop.task.choice is not None
        assert loop.task.choice.backend == "blocks", loop.task.choice.reason
    assert metrics(again.run) == metrics(usual.run)
    for name in ("grad_norm", "val_loss", "learning_rate"):
        assert metrics(again.run, name) == metrics(usual.run, name)
    for name, tensor in usual.task.weights().items():
        assert torch.equal(tensor, again.task.weights()[name]), name


@pytest.fixture
def in_a_row(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Have runs do steps in a row from their fifth step on, whatever they take; return how many each time."""
    done: list[int] = []
    usual = NeuralTask._train_in_a_row

    def counted(self: Any, first: int, count: int) -> Any:
        done.append(count)
        return usual(self, first, count)

    with monkeypatch.context() as patch:
        patch.setattr(NeuralTask, "_train_in_a_row", counted)
        patch.setattr(choosing, "CHOOSE_AFTER", CHOSEN_AFTER)
        patch.setattr(choosing, "BLOCK_SECONDS", 1e6)
        yield done


@pytest.mark.parametrize("kind", FAMILIES)
def test_steps_in_a_row_with_a_stop_within_take_the_same_way_to_the_bit(
    kind: str, loop_for: MakeLoop, request: pytest.FixtureRequest
) -> None:
    flags = FAMILIES[kind] | {"training__max_steps": 40, "training__log_interval": 4, "sampling__interval": 0}
    flags |= {"training__eval_interval": 10, "training__eval_batches": 2}
    usual = loop_for(kind, **flags)
    finish(usual)
    rows: list[int] = request.getfixturevalue("in_a_row")
    broken = loop_for(kind, **flags)
    stop_within_block(broken, 18)
    assert finish(broken) is RunState.STOPPED
    again = continued(loop_for, broken.run)
    assert finish(again) is RunState.FINISHED
    assert max(rows) == 4
    assert metrics(again.run) == metrics(usual.run)
    for name in ("grad_norm", "val_loss", "learning_rate"):
        assert metrics(again.run, name) == metrics(usual.run, name)
    for name, tensor in usual.task.weights().items():
        assert torch.equal(tensor, again.task.weights()[name]), name


def test_a_step_that_fails_after_others_in_its_row_leaves_no_checkpoint(
    loop_for: MakeLoop, in_a_row: list[int]
) -> None:
    loop = loop_for("mlp", training__log_interval=8)
    fail_at(loop, 12, "gradients")
    with pytest.raises(MemoryError):
        loop.train()
    assert in_a_row[-1] > 1
    loop.fail("There is not enough memory.", weights_are_good=True)
    assert loop.run.checkpoints() == []


def stop_within_block(loop: Loop, step: int) -> None:
    """Have a stop asked for while the block is done that a step is in."""
    assert isinstance(loop.task, NeuralTask)
    train_steps = loop.task.train_steps

    def asked(number: int, count: int) -> Any:
        if number < step <= number + count:
            loop.requests.stop_requested = True
        return train_steps(number, count)

    loop.task.train_steps = asked  # type: ignore[method-assign]


def test_a_block_ends_where_something_is_due(loop_for: MakeLoop, in_blocks: list[int]) -> None:
    flags = {"training__log_interval": 7, "training__eval_interval": 5, "training__checkpoint_interval": 11}
    finish(loop_for("mlp", training__max_steps=24, **flags))
    proof, *blocks = in_blocks
    assert proof == BlockStep.proof_steps
    assert blocks == [1, 2, 3, 1, 3, 1, 5, 1, 1, 2]  # from step 4 to 5, 7, 10, 11, 14, 15, 20, 21, 22, 24


def test_a_live_edit_of_what_is_built_in_has_another_step_built_and_another_choice_reported(
    loop_for: MakeLoop, in_blocks: list[int], request: pytest.FixtureRequest
) -> None:
    flags = {"training__max_steps": 40, "training__log_interval": 4, "training__grad_clip": 0.5}
    edits = {
        12: ("optimizer.learning_rate", 0.005),
        20: ("optimizer.weight_decay", 0.3),
        28: ("training.grad_clip", 0.1),
    }
    blocked = loop_for("gpt", **flags)
    edit_at(blocked, dict(edits))
    finish(blocked)
    assert [row["backend"] for row in events(blocked.run, "backend")] == ["blocks"] * 3
    assert in_blocks.count(BlockStep.proof_steps) == 3
    request.getfixturevalue("monkeypatch").undo()
    usual = loop_for("gpt", **flags)
    edit_at(usual, edits)
    finish(usual)
    assert metrics(blocked.run) == metrics(usual.run)


def edit_at(loop: Loop, edits: dict[int, tuple[str, float]]) -> None:
    """Make edits once so many steps are done, as they are made between two blocks."""
    look = loop.requests.look

    def looked() -> None:
        look()
        if loop.step in edits:
            loop.edit(*edits.pop(loop.step))

    loop.requests.look = looked  # type: ignore[method-assign]


def test_a_replay_makes_its_edits_where_the_record_has_them_and_stops_where_it_ends(
    loop_for: MakeLoop, in_blocks: list[int]
) -> None:
    loop = loop_for("mlp", training__max_steps=40, training__log_interval=10)
    edits = (ReplayedEdit(step=13, path="optimizer.learning_rate", value=0.02),)
    replay = Replay(run="other", to=26, edits=edits)
    loop.requests = Replayer(loop.writer, lambda: True, lambda: None, replay)
    loop.requests.attach(loop)
    assert finish(loop) is RunState.STOPPED
    assert loop.step == 26
    assert [row["step"] for row in events(loop.run, "edit")] == [13]
    assert in_blocks[1:] == [1, 5, 3, 7, 6]  # from step 4, where it was chosen, to 5, 10, 13, 20, 26


def test_a_pause_and_an_edit_are_obeyed_between_two_blocks(
    loop_for: MakeLoop, in_blocks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchtty.engine.worker.requests.INBOX_INTERVAL", 0.0)
    loop = loop_for("mlp", training__max_steps=40, training__log_interval=10)
    assert isinstance(loop.task, NeuralTask)
    train_steps = loop.task.train_steps

    def asked(number: int, count: int) -> Any:
        if number == 20:
            drop(loop.run.inbox, Pause())
            drop(loop.run.inbox, Edit(path="training.max_steps", value=35))
        return train_steps(number, count)

    def woken(_: float) -> None:
        assert loop.step == 30
        loop.requests._paused = False  # type: ignore[attr-defined]

    loop.task.train_steps = asked  # type: ignore[method-assign]
    monkeypatch.setattr("torchtty.engine.worker.requests.time.sleep", woken)
    assert finish(loop) is RunState.FINISHED
    assert [row["state"] for row in events(loop.run, "state")] == ["running", "paused", "running", "finished"]
    assert loop.step == 35
    assert in_blocks[1:] == [1, 5, 10, 10, 5]


def test_a_block_is_as_long_as_its_time_and_its_memory_allow(loop_for: MakeLoop) -> None:
    task: Any = loop_for("mlp").task
    task.train_step(0)
    step = BlockStep(task.step, task.next_batch(), task.rates(1))
    for seconds, steps in ((1.0, 1), (0.004, 5), (1e-9, 64)):
        step.pace(seconds)
        assert step.most == steps
    large = torch.zeros(9 * 2**20, dtype=torch.int64)  # 72 MiB, more than a block's batches may take
    assert BlockStep(task.step, (large,), task.rates(1)).most == 1


def test_what_is_carried_on_stays_in_its_buffers_for_a_graph_reads_nothing_else(loop_for: MakeLoop) -> None:
    flags = FAMILIES["rnn"]
    task: Any = loop_for("rnn", **flags).task
    task.train_step(0)
    step = BlockStep(task.step, task.next_batch(), task.rates(1))
    task.step = step
    buffers: list[int] = []
    for number in range(1, 7, 2):
        task.train_steps(number, 2)
        buffers.append(sum(part.data_ptr() for part in step._parts))
        assert all(own is part for own, part in zip(step._parts, task.carried(), strict=True))
    assert len(set(buffers)) == 1


@pytest.mark.parametrize("layout", ["contiguous", "channels last", "turned over", "with gaps"])
def test_a_batch_lies_in_its_buffer_as_it_came(layout: str) -> None:
    batch = torch.randn(2, 3, 4, 5)
    match layout:
        case "channels last":
            batch = batch.contiguous(memory_format=torch.channels_last)
        case "turned over":
            batch = batch.permute(3, 1, 0, 2)
        case "with gaps":
            batch = batch[:, :, 1:3]
    slots = _Slots(batch, 3)
    slots.fill([batch, 2 * batch])
    for place in range(2):
        found = slots.at(torch.tensor([place]))
        assert torch.equal(found, (place + 1) * batch)
        assert (found.stride() == batch.stride()) == _is_dense(batch) == (layout != "with gaps")
