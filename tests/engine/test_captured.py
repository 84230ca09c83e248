"""Steps captured as graphs, on a GPU whose kernels do nothing: what is asked of it, and a run that is captured and let go of.

Numbers mean nothing there; that a block of steps computes what eager steps do is tested in `training/test_blocks.py`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_workers import ForkServer

from torchtty.engine.bench.launches import BLOCK, FAMILIES
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.events import BackendChosen
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Continue, Edit, Pause, Stop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.training.checkpoint import read_checkpoint

WaitUntil = Callable[..., None]
SMALL = {"model.n_layer": "1", "model.n_embd": "8", "model.n_head": "2", "model.block_size": "8", "data.dataset": ""}
SMALL |= {"training.batch_size": "4", "training.max_steps": "1000000", "training.device": "cuda"}
SMALL |= {"training.eval_interval": "1000000", "sampling.interval": "0", "training.checkpoint_interval": "1000000"}


@pytest.fixture(scope="module")
def asked(noop_gpu: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What each family asks of a GPU."""
    command = [sys.executable, "-P", "-m", "torchtty.engine.bench.launches"]
    done = subprocess.run(command, env=os.environ | noop_gpu, capture_output=True, text=True)
    assert done.stdout, done.stderr  # how it ends does not matter: a thread of autograd may be late when Python ends
    return {found["family"]: found for found in json.loads(done.stdout)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_captured_step_is_asked_for_with_a_fraction_of_a_request(
    family: str, asked: dict[str, dict[str, Any]]
) -> None:
    found = asked[family]
    assert found["failed"] == ""
    assert found["backend"] == "captured", found["reason"]
    assert found["eager"] > 10
    assert found["chosen"] < 5  # pictures are cut out for one step at a time; text for many
    assert found["chosen"] < found["eager"] / 20
    assert found["waits"] <= 1 / BLOCK, "but for the block before the last, nothing is waited for"


def backends(run: RunDirectory) -> list[BackendChosen]:
    return [event for event in RunLog(run).read().events if isinstance(event, BackendChosen)]


@pytest.fixture
def gpu_run(corpora: Path) -> Callable[..., RunDirectory]:
    def make(**flags: str) -> RunDirectory:
        settings = SMALL | {"data.dataset": str(corpora / "names.txt"), "model.dropout": "0.1"}
        return create(
            with_flags(starting_tree("gpt"), settings | {name.replace("__", "."): v for name, v in flags.items()})
        )

    return make


@pytest.mark.timeout(120)
def test_a_captured_run_is_edited_paused_stopped_and_resumed_on_gpu_and_cpu(
    gpu_run: Callable[..., RunDirectory],
    gpu_forks: ForkServer,
    forks: ForkServer,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    run = gpu_run()
    worker = gpu_forks.start(run)

    def go_on(backend: int, steps: int = 300) -> None:
        """Wait until a backend has been chosen so many times, and for some steps after that."""
        wait_until(lambda: len(backends(run)) == backend or not run.status().state.is_live, 60, "a backend")
        at = run.status().step
        wait_until(lambda: run.status().step > at + steps or not run.status().state.is_live, 60, "more steps")

    go_on(1)
    run.send(Edit(path="optimizer.learning_rate", value=0.02))
    run.send(Edit(path="optimizer.weight_decay", value=0.2))
    go_on(2)
    run.send(Pause())
    wait_until(lambda: run.status().state in (RunState.PAUSED, RunState.FAILED), 20, "the pause")
    run.send(Continue())
    go_on(3)
    run.send(Stop())
    assert worker.wait()
    status = run.status()
    assert status.state is RunState.STOPPED, f"{status.message}\n{run.log_path.read_text()}"
    assert [chosen.backend for chosen in backends(run)] == ["captured"] * 3, backends(run)[-1].reason

    saved = read_checkpoint(run, status.step, with_training=True).training
    assert saved is not None
    [*groups] = saved["task"]["optimizer"]["param_groups"]
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [
        (groups[0]["lr"], 0.2),
        (groups[0]["lr"], 0.0),
    ]
    assert isinstance(groups[0]["lr"], float), "not the place in a buffer that it was read from"
    assert not any(group["capturable"] for group in groups)
    drawn = torch.Generator().manual_seed(run.configuration().tree()["training"]["seed"])
    there = torch.Generator()
    there.set_state(saved["task"]["batches"])
    for generator, steps in ((drawn, status.step), (there, saved["task"]["batches_taken"])):
        torch.randint(1000, (steps * 4,), generator=generator)
    assert torch.equal(drawn.get_state(), there.get_state()), "a batch was drawn for every step, and none beside"

    assert gpu_forks.start(run, Mode.RESUME, **{"training.max_steps": status.step + 700}).wait()
    assert run.status().state is RunState.FINISHED, run.status().message
    assert len(backends(run)) == 4
    edits = {"training.max_steps": status.step + 702, "training.device": "cpu"}
    assert forks.start(run, Mode.RESUME, **edits).wait()
    assert (run.status().state, run.status().step) == (RunState.FINISHED, status.step + 702), run.status().message
    assert "Traceback" not in run.log_path.read_text()


@pytest.mark.timeout(60)
def test_a_run_whose_step_cannot_be_captured_says_so_and_trains_on_eagerly(
    gpu_run: Callable[..., RunDirectory], gpu_forks: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    run = gpu_run(optimizer__kind="muon", training__max_steps="700")
    assert gpu_forks.start(run).wait()
    status = run.status()
    assert (status.state, status.step) == (RunState.FINISHED, 700), f"{status.message}\n{run.log_path.read_text()}"
    [chosen] = backends(run)
    assert chosen.backend == "eager"
    assert chosen.reason.startswith("captured: its step cannot be captured (")
