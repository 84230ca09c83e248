"""A run that a GPU made goes on there at any step, and without a GPU goes on, is sampled and exported.

Where there is no GPU, one whose kernels do nothing stands in for it: allocation, copies, generators and the errors of mixed devices
are real, every number is zero. So what is asserted is states, steps, devices and files.
"""

import os
import shutil
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

NEVER = "1000003"  # steps between two logged ones: no step that a run comes to here is a multiple of it


@pytest.fixture(scope="module")
def gpu(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables with which a process sees a GPU."""
    if torch.cuda.is_available():
        return {}
    if torch.version.cuda is None:
        pytest.skip("this build of torch knows no CUDA")
    tool = corpora.parent / "tools" / "noop_gpu" / "build"
    if missing := [str(tool)] * (not tool.exists()) + [name for name in ("gcc", "g++", "nm") if not shutil.which(name)]:
        pytest.skip(f"a GPU that does nothing cannot be built without {', '.join(missing)}")
    built = tmp_path_factory.mktemp("noop-gpu")
    subprocess.run(["bash", str(tool), str(built)], env=os.environ | {"PYTHON": sys.executable}, check=True)
    [line] = (built / "env").read_text().splitlines()
    return dict(word.split("=", 1) for word in line.split()[1:])


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
    assert "Traceback" not in run.log_path.read_text()
