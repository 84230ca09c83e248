"""The process that trains, through real processes and real run directories."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags

WaitUntil = Callable[..., None]


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"{a}{b}{c}" for a in "abdk" for b in "aeiou" for c in "lmnr"), encoding="utf-8")
    return path


def new_run(names: Path, kind: str = "mlp", **flags: Any) -> RunDirectory:
    settings = {"data.dataset": str(names), "training.device": "cpu", "training.max_steps": "1000000000"}
    settings |= {"training.eval_interval": "500", "training.eval_batches": "1", "sampling.interval": "0"}
    settings |= {name.replace("__", "."): str(value) for name, value in flags.items()}
    return create(with_flags(starting_tree(kind), settings))


def samples(run: RunDirectory) -> dict[str, dict[str, Any]]:
    rows = JsonLinesTail(run.events_path).read()
    return {row["id"]: row["sample"] for row in rows if row["event"] == "answered" and row["request"] == "sample"}


def states(run: RunDirectory) -> list[str]:
    return [row["state"] for row in JsonLinesTail(run.events_path).read() if row["event"] == "state"]


def test_a_run_is_paused_resumed_prompted_edited_stopped_and_still_answers(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    run = new_run(names)
    worker = workers.start(run)
    wait_until(lambda: run.status().step > 50, what="training")

    run.send(commands.Sample(id="running", prompt="an", count=2))
    wait_until(lambda: "running" in samples(run), 20, "a sample in mid-run")
    assert all(text.startswith("an") for text in samples(run)["running"]["texts"])

    run.send(commands.Pause())
    wait_until(lambda: run.status().state is RunState.PAUSED, 20, "the pause")
    step = run.status().step
    run.send(commands.Sample(id="paused", count=1))
    wait_until(lambda: "paused" in samples(run), 20, "a sample while paused")
    assert run.status().step == step

    run.send(commands.Continue())
    wait_until(lambda: run.status().step > step, 20, "training after the pause")
    run.send(commands.Edit(path="optimizer.learning_rate", value=0.05))
    wait_until(lambda: settings_in_force(run)["optimizer"]["learning_rate"] == 0.05, 20, "the edit")

    run.send(commands.Stop())
    wait_until(lambda: run.status().state is RunState.STOPPED, 30, "the stop")
    wait_until(lambda: run.status().serving, 20, "the idle life")
    assert run.status().step in run.checkpoints()
    assert list(run.inbox.iterdir()) == []
    run.send(commands.Sample(id="afterwards", prompt="b", count=3))
    wait_until(lambda: "afterwards" in samples(run), 20, "a sample after the run")

    run.send(commands.Release())
    wait_until(lambda: not worker.is_alive, 30, "the worker's leave")
    assert not run.status().serving
    assert states(run) == ["running", "paused", "running", "stopped"]
    assert "Traceback" not in run.log_path.read_text()


def test_sigterm_means_a_checkpoint_and_stopped_and_another_worker_goes_on(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    run = new_run(names)
    worker = workers.start(run)
    wait_until(lambda: run.status().step > 50, what="training")
    os.kill(worker.process.pid, signal.SIGTERM)
    wait_until(lambda: not worker.is_alive, 30, "the worker's end")
    status = run.status()
    assert status.state is RunState.STOPPED
    assert status.step in run.checkpoints()

    workers.start(run, Mode.RESUME, **{"training.max_steps": status.step + 100})
    wait_until(lambda: run.status().state is RunState.FINISHED, 40, "the rest of the run")
    assert run.status().step == status.step + 100
    steps = [row["step"] for row in JsonLinesTail(run.metrics_path).read() if "train_loss" in row]
    assert steps == sorted(set(steps))
    run.send(commands.Release())


def test_sigkill_shows_as_lost_within_five_seconds_and_the_files_still_read(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    run = new_run(names, training__checkpoint_interval=200)
    worker = workers.start(run)
    wait_until(lambda: len(run.checkpoints()) > 0, what="a checkpoint")
    os.kill(worker.process.pid, signal.SIGKILL)
    began = time.monotonic()
    wait_until(lambda: run.status().state is RunState.LOST, 5, "lost")
    assert time.monotonic() - began < 5
    assert JsonLinesTail(run.metrics_path).read()
    assert run.configuration().kind == "mlp"
    with run.metrics_path.open("ab") as file:
        file.write(b'{"step": 99999, "train_lo')  # as a killed writer leaves it
    checkpoint = run.checkpoints()[-1]

    workers.start(run, Mode.SERVE)
    run.send(commands.Sample(id="served", count=2))
    wait_until(lambda: "served" in samples(run), 40, "a sample of a lost run")
    assert run.status().state is RunState.LOST

    workers.start(run, Mode.RESUME, **{"training.max_steps": checkpoint + 50})
    wait_until(lambda: run.status().state is RunState.FINISHED, 40, "the rest of the run")
    steps = [row["step"] for row in JsonLinesTail(run.metrics_path).read() if "train_loss" in row]
    assert steps == sorted(set(steps))
    assert max(steps) == checkpoint + 50
    run.send(commands.Release())


def test_a_second_run_queues_until_the_first_is_paused_and_a_third_can_leave_the_queue(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    first, second = new_run(names), new_run(names, training__max_steps=50)
    workers.start(first)
    wait_until(lambda: first.status().state is RunState.RUNNING, what="the first run")
    worker = workers.warm()
    worker.hand_over(second, Mode.TRAIN)
    try:
        wait_until(lambda: second.status().state is RunState.QUEUED, 20, "the queue")
        assert second.status().waiting_for == first.name
        first.send(commands.Pause())
        wait_until(lambda: second.status().state is RunState.FINISHED, 20, "the second run")
        first.send(commands.Continue())
        wait_until(lambda: first.status().state is RunState.RUNNING, 20, "the first run again")
    finally:
        first.send(commands.Stop())
        wait_until(lambda: not first.status().state.is_live, 20, "the stop")
        for run in (first, second):
            run.send(commands.Release())
        wait_until(lambda: not worker.is_alive, 30, "the second worker's leave")


def test_a_run_that_is_being_trained_is_not_taken_by_a_second_worker(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    run = new_run(names)
    first = workers.start(run)
    wait_until(lambda: run.status().step > 10, what="training")
    second = workers.start(run, Mode.RESUME)
    wait_until(lambda: not second.is_alive, 30, "the second worker's leave")
    assert run.status().state is RunState.RUNNING
    assert run.status().pid == first.process.pid
    run.send(commands.Stop())
    wait_until(lambda: run.status().state is RunState.STOPPED, 30, "the stop")
    run.send(commands.Release())


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"data__dataset": "/nowhere/at/all.txt"}, "There is no file"),
        ({"model__block_size": 64, "data__unit": "text", "data__val_fraction": 0.5}, None),
    ],
)
def test_what_cannot_run_fails_with_a_sentence(
    workers: Any, names: Path, wait_until: WaitUntil, flags: dict[str, Any], says: str | None
) -> None:
    if says is None:
        names.write_text("abcdefgh" * 4)
        flags = flags | {"training__max_steps": 10}
        says = "model.block_size of 64 is longer than the text"
    run = new_run(names, **flags)
    worker = workers.start(run)
    wait_until(lambda: run.status().state is RunState.FAILED, 30, "the failure")
    assert says in run.status().message
    wait_until(lambda: not worker.is_alive, 30, "the worker's end")
    assert "Traceback" not in run.log_path.read_text()


def test_a_warm_worker_tells_what_a_configuration_amounts_to(workers: Any, names: Path, wait_until: WaitUntil) -> None:
    worker = workers.warm()
    tree = starting_tree("mlp") | {"data": {"dataset": str(names)}}
    wrong = starting_tree("gpt") | {
        "data": {"dataset": str(names)},
        "model": {"kind": "gpt", "n_embd": 30, "n_head": 4},
    }
    first, second = worker.prepare(tree), worker.prepare(wrong)
    wait_until(lambda: worker.answer(second) is not None, 20, "an answer")
    answer = worker.answer(first)
    vocabulary = answer["vocab_size"]
    assert answer["parameters"] == vocabulary * 10 + 30 * 200 + 200 + 200 * vocabulary + vocabulary
    assert 0 < answer["seconds_per_step"] < 0.5
    assert worker.answer(second)["problems"][0][0] == "model.n_embd"
    worker.close()
    assert not worker.is_alive
    assert not worker.folder.exists()
