"""Truncated back-propagation: the text is read in order, the state goes along, and a resumed run is the same run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.data.batches import Rows
from torchtty.engine.training.recurrent import RecurrentTask
from torchtty.engine.training.task import build_task

Make = Callable[..., RecurrentTask]


@pytest.fixture
def task_for(verse_file: Path) -> Make:
    """Make a small recurrent task on a running text."""

    def make(**flags: Any) -> RecurrentTask:
        settings = {
            "data.dataset": str(verse_file),
            "model.n_hidden": "12",
            "model.block_size": "10",
            "training.batch_size": "3",
            "training.device": "cpu",
        } | {name.replace("__", "."): str(value) for name, value in flags.items()}
        task = build_task(with_flags(starting_tree("rnn"), settings))
        assert isinstance(task, RecurrentTask)
        return task

    return make


def test_rows_read_every_token_once_and_in_order() -> None:
    rows = Rows(torch.arange(20), 3)
    assert rows.length == 6
    x, y = rows.cut(0, 4)
    assert x.tolist() == [[0, 1, 2, 3], [6, 7, 8, 9], [12, 13, 14, 15]]
    assert torch.equal(y, x + 1)
    assert rows.cut(4, 2)[1].tolist() == [[5, 6], [11, 12], [17, 18]]


def test_each_step_reads_on_where_the_last_one_ended(task_for: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_for()
    read, seen = task.model.read, []

    def watched(idx: torch.Tensor, state: Any, targets: torch.Tensor) -> Any:
        seen.append((idx, state))
        return read(idx, state, targets)  # type: ignore[operator]

    monkeypatch.setattr(task.model, "read", watched)
    stream = np.asarray(task.data.stream("train"))
    length = (len(stream) - 1) // 3
    a_pass = length // 10
    for step in range(a_pass + 1):
        task.train_step(step)
    together = torch.cat([idx for idx, _ in seen[:a_pass]], 1)
    for row in range(3):
        assert together[row].tolist() == stream[row * length : row * length + a_pass * 10].tolist()
    assert torch.equal(seen[a_pass][0], seen[0][0]), "at its end reading begins anew"
    empty = [state is None for _, state in seen]
    assert empty == [True] + [False] * (a_pass - 1) + [True], "and from an empty state"
    assert not any(part.requires_grad for _, state in seen if state for part in state), (
        "the gradient stops between steps"
    )


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_resumed_run_goes_on_bit_for_bit(task_for: Make, cell: str, tmp_path: Path) -> None:
    flags = {"model__cell": cell, "model__n_layer": 2}
    uninterrupted = task_for(**flags)
    expected = []
    for step in range(250):  # further than one pass over the text
        if step == 120:
            torch.save(uninterrupted.training_state(), tmp_path / "state.pt")
            weights = {name: value.clone() for name, value in uninterrupted.weights().items()}
        metrics = uninterrupted.train_step(step)
        expected.append((float(metrics["train_loss"]), float(metrics["smoothed_sum"])))
        if step % 50 == 0:
            uninterrupted.evaluate()
    resumed = task_for(**flags)
    resumed.load_weights(weights)
    resumed.load_training_state(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in range(120, 250):
        metrics = resumed.train_step(step)
        assert (float(metrics["train_loss"]), float(metrics["smoothed_sum"])) == expected[step]
    for name, value in resumed.weights().items():
        assert torch.equal(value, uninterrupted.weights()[name])


def test_evaluating_carries_the_state_over_the_whole_split(task_for: Make) -> None:
    task = task_for()
    for step in range(30):
        task.train_step(step)
    stream = torch.as_tensor(np.asarray(task.data.stream("val")))
    length = (len(stream) - 1) // 3
    whole = length // 10 * 10
    rows = torch.stack([stream[row * length : row * length + whole + 1] for row in range(3)])
    with torch.no_grad():
        at_once = task.model(rows[:, :-1], rows[:, 1:])[1]
    assert task.evaluate()["val_loss"] == pytest.approx(at_once.item(), abs=1e-5)


def test_the_smoothed_sum_starts_at_chance_and_averages_the_window_losses(task_for: Make) -> None:
    task = task_for()
    expected = 10 * np.log(task.facts.vocab_size)
    for step in range(5):
        metrics = task.train_step(step)
        expected = 0.999 * expected + 0.001 * 10 * float(metrics["train_loss"])
        assert float(metrics["smoothed_sum"]) == pytest.approx(expected, rel=1e-5)


def test_it_learns(task_for: Make) -> None:
    task = task_for()
    before = task.evaluate()
    for step in range(300):
        task.train_step(step)
    after = task.evaluate()
    assert after["val_loss"] < before["val_loss"] - 0.5
    assert after["train_eval_loss"] < before["train_eval_loss"] - 0.5


def test_too_many_rows_for_the_text_are_refused_with_what_to_do(task_for: Make) -> None:
    with pytest.raises(UserError, match=r"training\.batch_size of 4096 cuts the text into rows shorter"):
        task_for(training__batch_size=4096)


def test_names_are_read_as_one_stream_with_their_ends(task_for: Make, names_file: Path) -> None:
    task = task_for(data__dataset=names_file)
    terminator = task.data.terminator
    stream = task.data.stream("train").tolist()
    assert stream[0] == stream[-1] == terminator
    assert stream.count(terminator) == len(task.data.splits["train"]) + 1
    task.train_step(0)
