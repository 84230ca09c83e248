"""A run whose batches several processes share: real workers, real followers, over gloo on the CPU."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import ConfigurationError, starting_tree, with_flags

WaitUntil = Callable[..., None]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "names.txt"
    names = [f"{a}{b}{c}" for a in ("a", "bar", "d", "kelo") for b in "aeiou" for c in "lmnr"]  # of several lengths
    path.write_text("\n".join(names), encoding="utf-8")
    return path


def new_run(names: Path, kind: str = "gpt", devices: str = "cpu,cpu", **flags: Any) -> RunDirectory:
    small = {"model.n_layer": 2, "model.n_head": 2, "model.n_embd": 16, "model.block_size": 8} if kind == "gpt" else {}
    settings = small | {"training.max_steps": 50, "training.batch_size": 9, "training.eval_interval": 25}
    settings |= {"training.eval_batches": 2, "training.log_interval": 5, "sampling.interval": 0}
    settings |= {"data.dataset": names, "training.device": "cpu", "training.devices": devices}
    settings |= {name.replace("__", "."): value for name, value in flags.items()}
    return create(with_flags(starting_tree(kind), {name: str(value) for name, value in settings.items()}))


def weights(run: RunDirectory, step: int | None = None) -> dict[str, torch.Tensor]:
    return load_file(run.checkpoint_path(run.checkpoints()[-1] if step is None else step) / "model.safetensors")


def losses(run: RunDirectory, name: str = "train_loss") -> dict[int, float]:
    return {row["step"]: row[name] for row in JsonLinesTail(run.metrics_path).read() if name in row}


def finish(workers: Any, wait_until: WaitUntil, run: RunDirectory, mode: Mode = Mode.TRAIN, **edits: Any) -> None:
    worker = workers.start(run, mode, **edits)
    run.send(requests.Release())  # heeded once the run is over
    wait_until(lambda: not worker.is_alive, 90, f"the end of {run.name}")
    assert run.status().state is RunState.FINISHED, run.status().message


def followers(worker: Any) -> list[psutil.Process]:
    return psutil.Process(worker.process.pid).children()


def largest_difference(one: RunDirectory, two: RunDirectory, step: int) -> float:
    """Return by how much a weight of two runs differs at most."""
    ones, twos = weights(one, step), weights(two, step)
    assert ones.keys() == twos.keys()
    return max(float((ones[name] - twos[name]).abs().max()) for name in ones)


def test_two_processes_train_what_one_does_after_live_edits_too(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    edits = {"optimizer.weight_decay": 0.3, "training.grad_clip": 0.1, "training.max_steps": 70}
    alone, shared = new_run(names, devices="one"), new_run(names)
    for run in (alone, shared):
        finish(workers, wait_until, run)
        finish(workers, wait_until, run, Mode.RESUME, **edits)
    assert largest_difference(alone, shared, 50) < 1e-6  # float32, in another order of sums
    assert largest_difference(alone, shared, 70) < 3e-6
    assert losses(shared) == pytest.approx(losses(alone), abs=3e-6)  # written with seven digits
    assert losses(shared, "val_loss") == pytest.approx(losses(alone, "val_loss"), abs=3e-6)
    [ready, _] = [row for row in JsonLinesTail(shared.events_path).read() if row["event"] == "ready"]
    assert any(note.startswith("2 processes share each batch") for note in ready["notes"])


def test_a_shared_run_is_prompted_edited_paused_stopped_and_resumed_bit_for_bit(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    settings = {"model.dropout": 0.2, "schedule.kind": "constant"}
    parted = new_run(names, **settings | {"training.max_steps": 10**6})
    worker = workers.start(parted)
    wait_until(lambda: parted.status().step > 20, what="training")
    [follower] = followers(worker)
    parted.send(requests.Sample(id="meanwhile", count=1))
    parted.send(requests.Edit(path="training.eval_interval", value=50))
    parted.send(requests.Pause())
    wait_until(lambda: parted.status().state is RunState.PAUSED, 20, "the pause")
    step = parted.status().step
    assert settings_in_force(parted)["training"]["eval_interval"] == 50
    assert any(row["event"] == "answered" for row in JsonLinesTail(parted.events_path).read())
    parted.send(requests.Continue())
    wait_until(lambda: parted.status().step > step, 20, "training after the pause")
    parted.send(requests.Stop())
    wait_until(lambda: parted.status().state is RunState.STOPPED, 30, "the stop")
    wait_until(lambda: not follower.is_running(), 20, "the follower's leave")
    last = parted.status().step + 30
    parted.send(requests.Release())
    wait_until(lambda: not worker.is_alive, 30, "the worker's leave")

    finish(workers, wait_until, parted, Mode.RESUME, **{"training.max_steps": last})
    whole = new_run(names, **settings | {"training.max_steps": last})
    finish(workers, wait_until, whole)
    one, two = weights(whole), weights(parted)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert losses(parted) == losses(whole)


def test_a_process_that_is_killed_fails_the_run_in_one_sentence(
    workers: Any, names: Path, wait_until: WaitUntil
) -> None:
    run = new_run(names, training__max_steps=10**8)
    worker = workers.start(run)
    wait_until(lambda: run.status().step > 5, what="training")
    [follower] = followers(worker)
    follower.send_signal(signal.SIGKILL)
    wait_until(lambda: run.status().state is RunState.FAILED, 20, "the failure")
    assert run.status().message.startswith("Process 2 of the 2 that share each batch, on cpu of ")
    assert "was ended by signal 9" in run.status().message
    assert f"torchtty resume {run.name}" in run.status().message
    assert run.checkpoints()[-1] == run.status().step  # what was learnt until then is kept
    assert "Traceback" not in run.log_path.read_text()
    wait_until(lambda: not worker.is_alive, 20, "the worker's leave")


def test_a_process_whose_worker_is_killed_leaves(workers: Any, names: Path, wait_until: WaitUntil) -> None:
    run = new_run(names, training__max_steps=10**8, training__checkpoint_interval=10)
    worker = workers.start(run)
    wait_until(lambda: bool(run.checkpoints()), what="a checkpoint")
    [follower] = followers(worker)
    worker.process.kill()
    worker.process.wait()
    wait_until(
        lambda: not follower.is_running() or follower.status() == psutil.STATUS_ZOMBIE, 20, "the follower's leave"
    )
    assert "Traceback" not in run.log_path.read_text()


@pytest.mark.parametrize(
    ("kind", "flags", "why"),
    [
        ("rnn", {"model.carry_state": "on"}, "carries its state"),
        ("mlp", {"model.batch_norm": "on"}, "batch norm compares all its examples"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    workers: Any, names: Path, wait_until: WaitUntil, kind: str, flags: dict[str, Any], why: str
) -> None:
    run = new_run(names, kind, **flags)
    worker = workers.start(run)
    wait_until(lambda: run.status().state is RunState.FAILED, 30, "the refusal")
    assert why in run.status().message
    wait_until(lambda: not worker.is_alive, 20, "the worker's leave")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"training.devices": "0,0"}, "names a GPU twice"),
        ({"training.batch_size": 1}, "more than a batch has examples"),
        ({"training.devices": "cpu"}, "one, GPUs such as 0,1, or cpu,cpu"),
        ({"training.compile": "on"}, "is for one process"),
    ],
)
def test_devices_that_make_no_sense_are_refused_at_once(names: Path, flags: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        new_run(names, **flags)


def test_torchrun_starts_the_processes_instead(names: Path, own_folders: Path) -> None:
    settings = [
        "--training.max_steps",
        "20",
        "--training.device",
        "cpu",
        "--data.dataset",
        str(names),
        "--name",
        "many",
    ]
    settings += ["--model.n_layer", "1", "--model.n_head", "1", "--model.n_embd", "8", "--training.eval_interval", "10"]
    command = [
        sys.executable,
        "-P",
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        str(free_port()),
    ]
    done = subprocess.run(
        [*command, "-m", "torchtty", "train", "gpt", *settings],
        env=os.environ | {"TORCHTTY_IDLE_SECONDS": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 1
    [run] = own_folders.iterdir()
    [ready] = [row for row in JsonLinesTail(RunDirectory(run).events_path).read() if row["event"] == "ready"]
    assert any(note.startswith("2 processes share each batch") for note in ready["notes"])


def test_two_gpus_share_a_run(names: Path, own_folders: Path, noop_gpu: dict[str, str]) -> None:
    """Their kernels do nothing, so devices and states are all that can be looked at; NCCL wants real ones."""
    settings = ["--training.max_steps", "20", "--devices", "0,1", "--data.dataset", str(names), "--name", "gpus"]
    settings += ["--model.n_layer", "1", "--model.n_head", "1", "--model.n_embd", "8", "--training.eval_interval", "20"]
    gpus = {"NOOP_GPUS": "2", "TORCHTTY_COLLECTIVES": "gloo", "TORCHTTY_IDLE_SECONDS": "0"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "torchtty", "train", "gpt", *settings],
        env=os.environ | noop_gpu | gpus,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [ready] = [
        row for row in JsonLinesTail(RunDirectory(own_folders / "gpus").events_path).read() if row["event"] == "ready"
    ]
    assert ready["device"] == "cuda:0"
    [shared] = [note for note in ready["notes"] if note.startswith("2 processes share each batch")]
    assert "cuda:0 of " in shared
    assert "cuda:1 of " in shared


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
