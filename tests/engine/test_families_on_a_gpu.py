"""Every family on a GPU: trained, evaluated, sampled, paused, stopped, resumed, forked to another GPU, resumed on the CPU.

The GPUs do nothing and leave zeros, so what is asserted is states, steps, devices and what was asked of them.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked_workers import ForkServer
from PIL import Image

from torchtty.engine.contract.client.fork import create_fork, fork_point
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.events import Answered, Evaluated, Failed, Warned
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Continue, Pause, Sample, Stop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags

WaitUntil = Callable[..., None]
FIRST, SECOND = (f"GPU-0{number}000000-0000-0000-0000-000000000000" for number in (1, 2))
EVALUATED = {
    "training.eval_interval": "7",
    "training.eval_batches": "1",
    "sampling.max_tokens": "3",
    "sampling.count": "2",
}
SMALL = {"model.n_layer": "1", "model.n_embd": "8", "model.n_head": "2", "model.block_size": "8"}
FAMILIES: dict[str, dict[str, str]] = {
    "mlp": EVALUATED | {"model.batch_norm": "true"},
    "bigram": EVALUATED | {"optimizer.kind": "adagrad"},
    "wavenet": EVALUATED | {"optimizer.kind": "sgd", "optimizer.momentum": "0.9"},
    "rnn": EVALUATED | {"model.n_hidden": "8", "model.block_size": "6", "model.cell": "lstm", "optimizer.kind": "rmsprop"},
    "transformer": EVALUATED | {"model.d_model": "8", "model.d_ff": "8", "model.n_head": "2", "model.block_size": "8"},
    "gpt": EVALUATED | SMALL | {"model.dropout": "0.1", "optimizer.kind": "muon", "training.precision": "bfloat16"},
    "gpt2": EVALUATED | {"model.weights": "untrained", "model.block_size": "8", "tokenizer.kind": "character"},
    "dcgan": {"model.n_generator": "4", "model.n_discriminator": "4", "sampling.count": "4"},
}  # fmt: skip


NAMES = "\n".join(["anna", "bea", "carla", "dora", "eva", "fred", "gala"] * 6)


@pytest.fixture
def data(tmp_path: Path) -> Callable[[str], Path]:
    """Makes what a family learns from."""

    def make(kind: str) -> Path:
        if kind == "dcgan":
            return drawn_pictures(tmp_path / "pictures")
        path = tmp_path / "names.txt"
        path.write_text(NAMES)
        return path

    return make


def drawn_pictures(folder: Path) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(1).integers(0, 256, (12, 32, 32), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def ended(run: RunDirectory, state: RunState, step: int | None, device: str, gpu: str) -> int:
    """Check how a run has ended, and that nothing went wrong on the way; return its step."""
    status, log = run.status(), run.log_path.read_text()
    assert (status.state, status.device, status.gpu) == (state, device, gpu), f"{status.message}\n{log}"
    assert step is None or status.step == step
    assert "Traceback" not in log
    return status.step


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_trains_on_one_gpu_is_forked_to_another_and_goes_on_without(
    kind: str,
    gpu_forks: ForkServer,
    forks: ForkServer,
    data: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    settings = {"data.dataset": str(data(kind)), "training.device": "cuda:1", "training.max_steps": "1000000"}
    settings |= {"training.batch_size": "4", "training.log_interval": "10", "sampling.interval": "5"}
    run = create(with_flags(starting_tree(kind), settings | FAMILIES[kind]))

    worker = gpu_forks.start(run)
    wait_until(lambda: run.status().step > 20 or not run.status().state.is_live, 60, "training on the GPU")
    run.send(Pause())
    wait_until(lambda: run.status().state in (RunState.PAUSED, RunState.FAILED), 20, "the pause")
    at = run.status().step
    run.send(Sample(id="paused", count=1, max_tokens=3))
    run.send(Continue())
    wait_until(lambda: run.status().step > at or not run.status().state.is_live, 20, "more steps")
    run.send(Stop())
    assert worker.wait()
    step = ended(run, RunState.STOPPED, None, "cuda:1", SECOND)

    log = RunLog(run)
    events = log.read().events
    answers = {event.id for event in events if isinstance(event, Answered) and event.request == "sample"}
    assert "paused" in answers
    assert kind == "dcgan" or "step-5" in answers
    assert not [event for event in events if isinstance(event, Failed | Warned)]
    assert kind == "dcgan" or any(isinstance(event, Evaluated) and event.step == 7 for event in events)

    assert gpu_forks.start(run, Mode.RESUME, **{"training.max_steps": step + 3}).wait()
    ended(run, RunState.FINISHED, step + 3, "cuda:1", SECOND)

    changed = with_flags(run.configuration().tree(), {"training.device": "cuda", "training.max_steps": str(step + 5)})
    fork = create_fork(fork_point(run), changed)
    assert gpu_forks.start(fork, Mode.FORK).wait()
    ended(fork, RunState.FINISHED, step + 5, "cuda:0", FIRST)

    edits = {"training.max_steps": step + 6, "training.device": "cpu", "training.precision": "float32"}
    assert forks.start(run, Mode.RESUME, **edits).wait()
    ended(run, RunState.FINISHED, step + 6, "cpu", "")
    log.read()
    [last] = [
        event for event in RunLog(run).read().events if isinstance(event, Answered) and event.step == step + 6
    ] or [None]
    assert kind == "dcgan" or last is not None, "it is sampled on the CPU"


# -- in one process ---------------------------------------------------------------------------------------------------

LAUNCHES = {"mlp": 26, "bigram": 13, "wavenet": 48, "rnn": 52, "transformer": 76, "gpt": 210, "gpt2": 193, "dcgan": 168}
"""Kernels and library calls a step, at most: with batch norm, LSTM, Muon and so on, as `FAMILIES` says."""


@pytest.fixture(scope="module")
def steps(noop_gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `tests/noop_gpu/steps.py` found, by family; `before` is about the process before the first."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "names.txt").write_text(NAMES)
    drawn_pictures(folder / "pictures")
    common = {"training.device": "cuda:1", "training.batch_size": "4", "training.log_interval": "1000"}
    flags = {
        kind: common | {"data.dataset": str(folder / ("pictures" if kind == "dcgan" else "names.txt"))} | settings
        for kind, settings in FAMILIES.items()
    }
    environment = os.environ | noop_gpu | {"NOOP_GPUS": "2", "NOOP_GPU_PROCESS": str(os.getpid())}
    environment["TORCHTTY_RUNS"] = str(folder / "runs")
    environment["NOOP_GPU_FREE"] = f"{80 << 30},{501 << 20}"
    del environment["PYTORCH_NO_CUDA_MEMORY_CACHING"]  # the allocator tells what is held
    script = Path(__file__).parents[1] / "noop_gpu" / "steps.py"
    done = subprocess.run(
        [sys.executable, "-P", str(script)], input=json.dumps(flags), env=environment, capture_output=True, text=True
    )
    assert done.returncode in (0, -6), done.stderr  # a thread of autograd may be late when Python ends
    return json.loads(done.stdout)


def test_nothing_opens_a_gpu_before_a_run_does(steps: dict[str, Any]) -> None:
    assert steps["before"] == {"warm": 0, "listed": 0, "chosen": 0, "devices": ["cpu", "cuda:0", "cuda:1"]}


def test_an_estimate_opens_no_gpu_and_judges_whether_a_step_fits_one(steps: dict[str, Any]) -> None:
    assert steps["estimated"]["opened"] == 0
    small, large = steps["estimated"]["answers"]
    assert (small["device"], small["fit"], large["fit"]) == ("cuda:1", "fits", "will not fit")
    assert large["memory"] > 100 * small["memory"]
    assert small["memory_free"] == large["memory_free"] == 2**20
    assert "seconds_per_step" not in small


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_step_waits_for_nothing_and_opens_no_other_gpu(kind: str, steps: dict[str, Any]) -> None:
    found = steps[kind]
    assert found["waits"] == 0
    assert found["launches"] <= LAUNCHES[kind]
    assert found["opened"] == ["cuda:1"]


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_paused_run_keeps_nothing_on_its_gpu_and_gets_it_back_to_the_bit(kind: str, steps: dict[str, Any]) -> None:
    found = steps[kind]
    assert found["held"] > 0
    assert (found["parked"], found["devices_parked"]) == (0, ["cpu"])
    assert found["devices_refused"] == ["cpu"], "where the GPU has filled up meanwhile"
    assert found["same"]


def test_a_gpu_that_is_full_says_what_was_asked_what_was_free_and_who_has_the_rest(steps: dict[str, Any]) -> None:
    pattern = (
        r"cuda:0 is full: 64 MB were asked for, [\d.]+ [MG]B of [\d.]+ [MG]B were free\. Of the rest this run held \d+ MB, "
        rf"\S+ \(\w+, process {os.getpid()}\) 3\.0 GB\."
    )
    assert re.fullmatch(pattern, steps["full"])


def test_a_run_that_does_not_fit_says_which_setting_to_halve(
    gpu_forks: ForkServer, data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOOP_GPU_BYTES", str(2**20))
    flags = {"data.dataset": str(data("mlp")), "training.device": "cuda", "training.batch_size": "64"}
    run = create(with_flags(starting_tree("mlp"), flags | {"model.n_hidden": "8000"}))
    assert gpu_forks.start(run).wait()
    ended(run, RunState.FAILED, 0, "cuda:0", FIRST)
    message = run.status().message
    assert message.startswith("cuda:0 is full: ")
    assert message.endswith("Halve training.batch_size, which is 64, or take a smaller model.")


def test_the_best_weights_lie_in_the_machines_memory_and_a_token_takes_eight_bytes(steps: dict[str, Any]) -> None:
    assert steps["mlp"]["best_on"] == "cpu"
    assert steps["mlp"]["bytes_a_token"] == 8


def test_a_sample_that_does_not_fit_fails_alone_and_says_what_to_do(
    gpu_forks: ForkServer, data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setenv("NOOP_GPU_BYTES", str(40 * 2**20))
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    settings = EVALUATED | {"model.n_layer": "1", "model.n_embd": "64", "model.n_head": "2", "model.block_size": "2048"}
    settings |= {"training.batch_size": "1", "training.device": "cuda", "training.max_steps": "1000000"}
    run = create(
        with_flags(starting_tree("gpt"), settings | {"data.dataset": str(data("gpt")), "sampling.interval": "0"})
    )
    worker = gpu_forks.start(run)
    wait_until(lambda: run.status().step > 0 or not run.status().state.is_live, 30, "training on the GPU")
    run.send(Sample(id="large", count=64, max_tokens=2000))
    log, events = RunLog(run), list[Any]()

    def answered() -> bool:
        events.extend(
            event for event in log.read().events if isinstance(event, Failed | Answered) and event.id == "large"
        )
        return bool(events)

    wait_until(answered, 30, "the answer")
    [failed] = events
    assert "not enough memory for 64 samples at once: take a smaller count (--count)" in failed.message
    assert "cuda:0 is full: " in failed.message
    at = run.status().step
    wait_until(lambda: run.status().step > at, 20, "more steps")
    run.send(Stop())
    assert worker.wait()
    ended(run, RunState.STOPPED, None, "cuda:0", FIRST)
