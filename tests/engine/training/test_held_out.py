"""The test split: evaluated with the best weights, the same as by hand, and without a trace in training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import drop
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.training.checkpoint import read_checkpoint
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.task import build_task

MakeLoop = Callable[..., Loop]
KINDS = ["mlp", "gpt", "rnn", "wavenet", "ngram"]
FLAGS: dict[str, Any] = {
    "data__val_fraction": 0.2,
    "data__test_fraction": 0.3,
    "training__max_steps": 40,
    "training__eval_interval": 10,
    "training__checkpoint_interval": 15,
    "training__log_interval": 5,
    "training__eval_batches": 0,
    "sampling__interval": 0,
}
BY_KIND: dict[str, dict[str, Any]] = {
    "gpt": {"model__dropout": 0.2},
    "mlp": {"model__batch_norm": True, "optimizer__learning_rate": 0.5, "optimizer__momentum": 0.9},
    "rnn": {"model__n_hidden": 16, "training__batch_size": 2, "optimizer__learning_rate": 0.1},
    "wavenet": {"model__n_hidden": 16, "model__block_size": 8, "optimizer__learning_rate": 0.5},
}


def rows(run: RunDirectory) -> list[dict[str, Any]]:
    timed = ("time", "steps_per_second")
    return [{k: v for k, v in row.items() if k not in timed} for row in JsonLinesTail(run.metrics_path).read()]


def evaluations(run: RunDirectory) -> list[dict[str, Any]]:
    return [row for row in JsonLinesTail(run.events_path).read() if row["event"] == "test"]


def flags_of(kind: str, **more: Any) -> dict[str, Any]:
    flags = FLAGS | BY_KIND.get(kind, {}) | more
    if kind == "ngram":
        flags = {name: value for name, value in flags.items() if name.startswith("data__")}
    return flags


def finish(loop: Loop) -> RunState:
    state = loop.train()
    loop.note()
    loop.writer.publish()
    return state


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_run_has_evaluated_its_test_split_with_its_best_weights(
    loop_for: MakeLoop, kind: str, names_file: Path, verse_file: Path
) -> None:
    loop = loop_for(kind, data=verse_file if kind == "rnn" else names_file, **flags_of(kind))
    assert finish(loop) is RunState.FINISHED
    (test,) = evaluations(loop.run)
    status = loop.run.written_status()
    assert test["weights"] == "best"
    assert test["weights_step"] == status.best_step == status.test_step
    assert status.test == test["metrics"]
    assert RunLog(loop.run).read().facts
    # Without eval_batches the validation split is always evaluated whole, so that this is the figure that chose the weights.
    assert test["metrics"]["val_loss"] == pytest.approx(status.best, rel=1e-6)
    # Once more by hand: the same weights in a fresh task whose validation split is the test split.
    fresh = build_task(loop.configuration)
    fresh.load_weights(read_checkpoint(loop.run, test["weights_step"], with_training=False).weights)
    fresh.windows["val"] = fresh.windows["test"]  # type: ignore[attr-defined]
    if kind == "rnn":
        fresh._rows["val"] = fresh._rows["test"]  # type: ignore[attr-defined]
    assert test["metrics"]["test_loss"] == pytest.approx(fresh.evaluate(True)["val_loss"], rel=1e-6)
    assert test["metrics"]["test_loss"] != test["metrics"]["val_loss"]


@pytest.mark.parametrize("kind", ["mlp", "gpt", "rnn"])
def test_evaluating_it_in_mid_run_changes_nothing_in_training(
    loop_for: MakeLoop, kind: str, names_file: Path, verse_file: Path
) -> None:
    flags = flags_of(kind) | {"data": verse_file if kind == "rnn" else names_file}
    whole = loop_for(kind, **flags)
    finish(whole)
    asked = loop_for(kind, **flags)
    train_step = asked.task.train_step

    def asking(number: int) -> Any:
        if number in (13, 28):
            drop(asked.run.inbox, commands.Test())
            asked.requests._looked = 0.0  # type: ignore[attr-defined]
            asked.requests.look()
        return train_step(number)

    asked.task.train_step = asking  # type: ignore[method-assign]
    finish(asked)
    first, second, last = evaluations(asked.run)
    assert (first["step"], second["step"], last["step"]) == (13, 28, 40)
    assert first["weights_step"] == 10
    at_ten = next(row["val_loss"] for row in rows(whole.run) if row["step"] == 10 and "val_loss" in row)
    assert first["metrics"]["val_loss"] == pytest.approx(at_ten, rel=1e-6), "the best weights, not those at hand"
    assert rows(asked.run) == rows(whole.run)
    assert (asked.checkpoints.best, asked.run.best_step()) == (whole.checkpoints.best, whole.run.best_step())
    for name, tensor in whole.task.weights().items():
        assert torch.equal(tensor, asked.task.weights()[name]), name


def test_a_test_split_takes_no_part_in_what_a_run_learns_or_chooses(loop_for: MakeLoop, monkeypatch: Any) -> None:
    """The same run with another test split: nothing is different but what is found on it."""
    rules = {"training__patience": 2, "training__max_steps": 200}
    one = loop_for("mlp", **flags_of("mlp", **rules))
    finish(one)
    other = loop_for("mlp", **flags_of("mlp", **rules))
    other.task.windows["test"] = other.task.windows["train"]  # type: ignore[attr-defined]
    finish(other)
    assert rows(one.run) == rows(other.run)
    assert one.step == other.step < 200
    assert one.run.best_step() == other.run.best_step()
    assert evaluations(one.run)[0]["metrics"]["test_loss"] != evaluations(other.run)[0]["metrics"]["test_loss"]


def test_a_run_without_validation_is_tested_with_its_latest_weights(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp", **flags_of("mlp", data__val_fraction=0.0))
    finish(loop)
    (test,) = evaluations(loop.run)
    assert (test["weights"], test["weights_step"], list(test["metrics"])) == ("latest", 40, ["test_loss"])


def test_a_run_that_was_stopped_has_not_looked_at_it(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp", **flags_of("mlp"))
    loop.requests.stop_requested = True
    assert finish(loop) is RunState.STOPPED
    assert evaluations(loop.run) == []


def test_a_request_is_broken_off_with_the_weights_back_in_place(loop_for: MakeLoop, monkeypatch: Any) -> None:
    monkeypatch.setattr("torchtty.engine.training.held_out.INTERVAL", 0.0)
    monkeypatch.setattr("torchtty.engine.worker.requests.LISTEN_INTERVAL", 0.0)
    monkeypatch.setattr("torchtty.engine.training.language.WHOLE_SPLIT_BATCH", 1)
    loop = loop_for("mlp", **flags_of("mlp"))
    train_step = loop.task.train_step

    def stopping(number: int) -> Any:
        loop.requests.stop_requested = number == 33
        return train_step(number)

    loop.task.train_step = stopping  # type: ignore[method-assign]
    finish(loop)
    assert loop.step == 34 != loop.run.best_step(), "other weights have to be put in their place"
    before = {name: tensor.clone() for name, tensor in loop.task.weights().items()}
    drop(loop.run.inbox, commands.Test(id="broken-off"))
    taken = loop.requests._collect  # type: ignore[attr-defined]

    def collecting() -> Any:
        if not loop.task.model.training:  # type: ignore[attr-defined]  # it is being evaluated
            drop(loop.run.inbox, commands.Cancel(request="broken-off"))
        return taken()

    monkeypatch.setattr(loop.requests, "_collect", collecting)
    loop.requests.obey_all()  # type: ignore[attr-defined]
    ended = [row for row in JsonLinesTail(loop.run.events_path).read() if row.get("id") == "broken-off"]
    assert ended[-1]["event"] == "cancelled"
    assert evaluations(loop.run) == []
    assert loop.task.model.training  # type: ignore[attr-defined]
    for name, tensor in before.items():
        assert torch.equal(tensor, loop.task.weights()[name]), name


def test_what_cannot_be_tested_is_refused_with_how_it_can_be(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp")
    finish(loop)
    refusal = RunSnapshot.of(loop.run).refusal(Action.TEST)
    assert "has no test split" in refusal
    assert "--data.test_fraction 0.1" in refusal
    drop(loop.run.inbox, commands.Test(id="none"))
    loop.requests.obey_all()  # type: ignore[attr-defined]
    (failed,) = [row for row in JsonLinesTail(loop.run.events_path).read() if row["event"] == "failed"]
    assert failed["message"] == "The data have no test split: data.test_fraction is 0."


def test_data_that_have_changed_are_no_test_of_a_run(loop_for: MakeLoop) -> None:
    loop = loop_for("mlp", **flags_of("mlp"))
    loop.run.meta_path.write_text('{"data_sha256": "another"}')
    finish(loop)
    assert evaluations(loop.run) == []
    (failed,) = [row for row in JsonLinesTail(loop.run.events_path).read() if row["event"] == "failed"]
    assert "have changed since this run was trained" in failed["message"]
