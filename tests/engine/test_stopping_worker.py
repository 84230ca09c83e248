"""Rules that end a run and its test split, through real workers and a killed one."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags

WaitUntil = Callable[..., None]
FLAGS = {
    "training.device": "cpu",
    "training.max_steps": "100000",
    "training.eval_interval": "20",
    "training.eval_batches": "0",
    "training.checkpoint_interval": "100",
    "training.patience": "8",
    "training.patience_smoothing": "0",
    "data.test_fraction": "0.2",
    "model.n_hidden": "16",
    "optimizer.learning_rate": "0.3",
    "sampling.interval": "0",
}


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"{a}{b}{c}" for a in "abdk" for b in "aeiou" for c in "lmnr"), encoding="utf-8")
    return path


def new_run(names: Path, **flags: str) -> RunDirectory:
    given = {name.replace("__", "."): value for name, value in flags.items()}
    return create(with_flags(starting_tree("mlp"), FLAGS | {"data.dataset": str(names)} | given))


def events(run: RunDirectory, kind: str) -> list[dict[str, Any]]:
    return [row for row in JsonLinesTail(run.events_path).read() if row["event"] == kind]


def series(run: RunDirectory, name: str) -> dict[int, float]:
    return {row["step"]: row[name] for row in JsonLinesTail(run.metrics_path).read() if name in row}


def ended(run: RunDirectory) -> bool:
    return not run.status().state.is_live


def test_a_killed_run_ends_at_the_step_of_the_uninterrupted_one_and_serves_its_test_split(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    whole, broken = new_run(names), new_run(names)
    workers.start(whole)
    wait_until(lambda: ended(whole), 60, "the end")
    whole.send(commands.Release())
    status = whole.status()
    values = series(whole, "val_loss")
    best = min((step for step in values if step), key=lambda step: values[step])
    assert (status.state, status.step, status.best_step) == (RunState.FINISHED, best + 8 * 20, best)
    assert status.message == (
        f"Stopped after 8 evaluations without improvement of val_loss; best {values[best]:.4g} at step {best:,}."
    )
    assert events(whole, "summary")[-1]["reason"] == events(whole, "state")[-1]["message"] == status.message

    worker = workers.start(broken)
    wait_until(lambda: 100 in broken.checkpoints(), 60, "a checkpoint")
    os.kill(worker.process.pid, signal.SIGKILL)
    wait_until(lambda: broken.status().state is not RunState.RUNNING, 20, "the loss of the worker")
    if broken.status().state is RunState.LOST:  # a busy machine may have let it come to its end first
        (broken.steps / "best.json").unlink(
            missing_ok=True
        )  # as one leaves it that is killed right before it writes it
        workers.start(broken, Mode.RESUME)
    wait_until(lambda: ended(broken) and broken.status().state is not RunState.LOST, 60, "the end")
    broken.send(commands.Release())
    assert (broken.status().step, broken.status().message) == (status.step, status.message)
    for name in ("val_loss", "train_loss"):
        assert series(broken, name) == series(whole, name)

    (tested,) = events(whole, "test")
    assert events(broken, "test")[-1]["metrics"] == tested["metrics"]
    worker = workers.start(whole, Mode.SERVE)
    whole.send(commands.Test(id="once more"))
    wait_until(
        lambda: any(row["id"] == "once more" for row in events(whole, "answered")), 60, "the test of a run that is over"
    )
    again = events(whole, "test")[1]
    assert (again["metrics"], again["weights"], again["weights_step"]) == (tested["metrics"], "best", best)
    answer = next(row for row in events(whole, "answered") if row["id"] == "once more")
    assert answer["result"]["metrics"] == tested["metrics"]
    whole.send(commands.Release())
    wait_until(lambda: not worker.is_alive, 30, "the worker's leave")
    assert whole.status().seconds == status.seconds > 0
    status = whole.status()
    assert (status.test, status.test_step, status.ended_by) == (tested["metrics"], best, "training.patience")
    assert series(whole, "val_loss") == values


def test_a_run_ends_after_its_seconds_whatever_it_learns(workers: Any, wait_until: WaitUntil) -> None:
    flags = {"training.max_seconds": "1.5", "training.max_steps": "100000", "sampling.interval": "0"}
    flags |= {"model.n_generator": "4", "model.n_discriminator": "4", "training.batch_size": "2", "data.limit": "16"}
    run = create(with_flags(starting_tree("dcgan"), flags | {"training.device": "cpu"}))
    workers.start(run)
    wait_until(lambda: ended(run), 90, "the end")
    run.send(commands.Release())
    status = run.status()
    assert (status.state, status.ended_by, status.max_seconds) == (RunState.FINISHED, "training.max_seconds", 1.5)
    assert 1.5 <= events(run, "summary")[-1]["seconds"] < 15
    assert status.message.endswith(" s of training: max_seconds is 1.5.")
    assert status.step in run.checkpoints()
    assert events(run, "test") == events(run, "failed") == []
