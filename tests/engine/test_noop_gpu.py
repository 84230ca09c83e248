"""A run that a GPU made goes on there at any step, and without a GPU goes on, is sampled and exported.

Where there is no GPU, one whose kernels do nothing stands in for it: allocation, copies, generators and the errors of mixed devices
are real, every number is zero. So what is asserted is states, steps, devices and files.
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

from torchtty.engine.contract.client.workers import Mode, WarmWorker
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.log import RunLog, settings_in_force
from torchtty.engine.contract.run.requests import Export, Release, Sample, Stop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.training.checkpoint import read_checkpoint

NEVER = "1000003"  # steps between two logged ones: no step that a run comes to here is a multiple of it


@pytest.fixture(scope="module")
def gpu(noop_gpu: dict[str, str]) -> dict[str, str]:
    """Return the variables with which a process sees a GPU."""
    return {} if torch.cuda.is_available() else noop_gpu


@pytest.fixture
def worked(
    gpu: dict[str, str], monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> Callable[..., WarmWorker]:
    """Have a process with a GPU take over a run."""

    def start(run: RunDirectory, mode: Mode, **edits: Any) -> WarmWorker:
        with monkeypatch.context() as patch:
            for name, text in gpu.items():
                patch.setenv(name, text)
            worker = WarmWorker()
        worker.hand_over(run, mode, edits)
        return worker

    return start


def assert_drawn_on_a_cpu(before: torch.Tensor, taken: int, steps: int) -> None:
    """Assert that a stream of batches stands where as many batches of the same seed, drawn on a CPU, have come to."""
    section = starting_tree("gpt2")["training"]
    there, here = torch.Generator(), torch.Generator().manual_seed(section["seed"])
    there.set_state(before)
    for generator, batches in ((there, taken), (here, steps)):
        torch.randint(1000, (batches * section["batch_size"],), generator=generator)
    assert torch.equal(there.get_state(), here.get_state())


@pytest.mark.timeout(180)
def test_a_gpus_run_goes_on_there_and_goes_on_is_sampled_and_exported_on_a_cpu(
    worked: Callable[..., WarmWorker],
    forks: ForkServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    settings = {"model.weights": "untrained", "model.block_size": "8", "tokenizer.kind": "character"}
    settings |= {"training.device": "cuda", "training.max_steps": "1000000", "training.log_interval": NEVER}
    settings |= {"training.eval_interval": "1000000", "training.eval_batches": "1", "sampling.interval": "0"}
    run = create(with_flags(starting_tree("gpt2"), settings))

    worker = worked(run, Mode.TRAIN)
    wait_until(lambda: run.status().step > 0 or not run.status().state.is_live, 60, "training on the GPU")
    run.send(Stop())
    worker.process.wait(60)
    status = run.status()
    assert (status.state, status.device) == (RunState.STOPPED, "cuda:0"), status.message

    saved = read_checkpoint(run, status.step, with_training=True).training
    assert saved is not None
    windows = saved["task"]["batches"], saved["task"]["batches_taken"]
    assert_drawn_on_a_cpu(*windows, status.step)

    more = status.step + 3
    worked(run, Mode.RESUME, **{"training.max_steps": more}).process.wait(60)
    status = run.status()
    assert (status.state, status.step, status.device) == (RunState.FINISHED, more, "cuda:0"), status.message

    run.send(Sample(id="sample", count=1, max_tokens=3))
    run.send(Export(id="export", path=str(tmp_path / "exported")))
    run.send(Release())
    assert forks.start(run, Mode.SERVE).wait()
    log = RunLog(run)
    log.read()
    [sample] = [sample for sample in log.samples.values() if sample.id == "sample"]
    assert (sample.done, sample.failed) == (True, "")
    assert (tmp_path / "exported" / "model.safetensors").is_file()
    assert settings_in_force(run)["training"]["device"] == "cuda"

    edits = {"training.max_steps": more + 2, "training.device": "cpu"}
    assert forks.start(run, Mode.RESUME, **edits).wait()
    status = run.status()
    assert (status.state, status.step, status.device) == (RunState.FINISHED, more + 2, "cpu"), status.message
    log.read()
    assert not any("draws other batches" in warning for warning in log.facts.warnings)
    assert "Traceback" not in run.log_path.read_text()


IN_A_PROCESS_OF_ITS_OWN = """
import ctypes, json, torch
count = ctypes.CDLL(None).noop_count
now = lambda: {name: count(name.encode()) for name in ("launches", "waits", "captured_launches", "graph_launches")}
x, layer = torch.ones(4, 8, device="cuda"), torch.nn.Linear(8, 8).cuda()
steps = [now()]
layer(x)
steps.append(now())
x.sum().item()
steps.append(now())
side = torch.cuda.Stream()
with torch.cuda.stream(side):
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        layer(x)
    steps.append(now())
    graph.replay(), graph.replay()
    steps.append(now())
    try:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            x.sum().item()
    except RuntimeError as error:
        print(json.dumps({"steps": steps, "refused": str(error).splitlines()[0]}), flush=True)
"""


def test_the_device_counts_launches_waits_and_replays_and_refuses_to_wait_in_a_capture(
    noop_gpu: dict[str, str], tmp_path: Path
) -> None:
    counts = tmp_path / "counts.json"
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN],
        env=os.environ | noop_gpu | {"NOOP_COUNTS": str(counts)},
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    first, forward, item, captured, replayed = found["steps"]

    def more(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
        return {name: b[name] - a[name] for name in a if b[name] != a[name]}

    one_layer = more(first, forward)["launches"]
    assert "waits" not in more(first, forward)
    assert more(forward, item) == {"launches": 1, "waits": 1}
    assert more(item, captured)["captured_launches"] == one_layer
    assert more(captured, replayed) == {"graph_launches": 2}
    assert found["refused"] == "CUDA error: operation not permitted when stream is capturing"
    assert json.loads(counts.read_text())["captures"] == 2
