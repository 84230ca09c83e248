"""A run goes on, and is sampled, where the device it was trained on is missing."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import RunLog, settings_in_force
from torchtty.engine.contract.run.requests import Sample
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.devices import restored_generator
from torchtty.engine.training.checkpoint import read_checkpoint, write_checkpoint
from torchtty.engine.training.metrics import MetricLog
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.worker.session import Session
from torchtty.tui.cli.arguments import live_settings, parse_argv

pytestmark = [
    pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU is not missing"),
    pytest.mark.usefixtures("signals_of_their_own"),
]
GPU_STATE = torch.arange(16, dtype=torch.uint8)  # as large as the state of a generator on a GPU


def worked(run: RunDirectory, mode: Mode, **edits: Any) -> Status:
    Session(run, mode, edits, idle_seconds=0).work()
    return run.written_status()


def warnings(run: RunDirectory) -> tuple[str, ...]:
    log = RunLog(run)
    log.read()
    return log.facts.warnings


@pytest.fixture
def gpu_run(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Makes a run as one looks that a GPU trained for two steps; in an earlier version its batches were drawn by the GPU."""

    def make(kind: str, *, earlier_version: bool = True, **flags: str) -> RunDirectory:
        names = tmp_path / "names.txt"
        names.write_text("\n".join(["anna", "bea", "carla", "dora", "eva"] * 4))
        settings = {"data.dataset": str(names), "training.device": "cpu", "training.max_steps": "2"}
        settings |= {"sampling.interval": "0", "training.log_interval": "1"} | flags
        run = create(with_flags(starting_tree(kind), settings))
        assert worked(run, Mode.TRAIN).state is RunState.FINISHED
        run.config_path.write_text(run.config_path.read_text().replace('device = "cpu"', 'device = "cuda"'))
        saved = read_checkpoint(run, 2, with_training=True)
        assert saved.training is not None
        if earlier_version:
            saved.training["task"]["batches"] = GPU_STATE
        saved.training["task"]["cuda"] = GPU_STATE
        write_checkpoint(run, saved)
        run.write_status(run.written_status().model_copy(update={"device": "cuda:0"}))
        return run

    return make


@pytest.mark.parametrize("kind", ["mlp", "gpt"])
def test_a_gpus_run_is_sampled_without_a_gpu(
    kind: str, gpu_run: Callable[..., RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchtty.engine.worker.session.SERVED_AT_LEAST", 0.2)
    run = gpu_run(kind)
    run.send(Sample(id="s", count=1, max_tokens=3))
    assert worked(run, Mode.SERVE).state is RunState.FINISHED
    assert warnings(run) == ()
    log = RunLog(run)
    log.read()
    [sample] = [sample for sample in log.samples.values() if sample.id == "s"]
    assert (sample.done, sample.failed) == (True, "")
    assert settings_in_force(run)["training"]["device"] == "cuda"


def test_a_gpus_run_is_resumed_on_a_cpu_when_it_is_asked_to(gpu_run: Callable[..., RunDirectory]) -> None:
    run = gpu_run("mlp")
    refused = worked(run, Mode.RESUME, **{"training.max_steps": 4})
    assert refused.state is RunState.FINISHED
    assert f"torchtty resume {run.name} --training.device cpu" in refused.message
    given = live_settings(settings_in_force(run), parse_argv(["--training.device", "cpu", "--max_steps", "4"]))
    status = worked(run, Mode.RESUME, **given)
    assert (status.state, status.step, status.message) == (RunState.FINISHED, 4, "")
    assert settings_in_force(run)["training"]["device"] == "cpu"
    assert warnings(run) == ("The run trained on cuda:0 and continues on cpu, which draws other batches and noise.",)
    assert worked(run, Mode.RESUME, **{"training.max_steps": 6}).step == 6


def test_a_generator_of_another_device_continues_the_same_way_each_time() -> None:
    drawn = []
    for _ in range(2):
        generator, exact = restored_generator(GPU_STATE, torch.device("cpu"))
        assert not exact
        drawn.append(torch.rand(3, generator=generator).tolist())
    assert drawn[0] == drawn[1]
    state = torch.Generator().manual_seed(5).get_state()
    generator, exact = restored_generator(state, torch.device("cpu"))
    assert exact
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize(("kind", "dropout", "warned"), [("mlp", {}, False), ("gpt", {"model.dropout": "0.1"}, True)])
def test_a_gpus_run_learns_from_the_same_batches_on_a_cpu(
    kind: str, dropout: dict[str, str], warned: bool, gpu_run: Callable[..., RunDirectory]
) -> None:
    run = gpu_run(kind, earlier_version=False, **dropout)
    status = worked(run, Mode.RESUME, **{"training.device": "cpu", "training.max_steps": 4})
    assert (status.state, status.step) == (RunState.FINISHED, 4), status.message
    said = "The run trained on cuda:0 and continues on cpu, which draws other dropout."
    assert warnings(run) == ((said,) if warned else ())
    other = create(run.configuration())
    other.config_path.write_text(other.config_path.read_text().replace('device = "cuda"', 'device = "cpu"'))
    assert worked(other, Mode.TRAIN).step == 2
    assert worked(other, Mode.RESUME, **{"training.max_steps": 4}).step == 4
    assert loss_at(run, 4) == loss_at(other, 4)


def loss_at(run: RunDirectory, step: int) -> float:
    return next(row["train_loss"] for row in JsonLinesTail(run.metrics_path).read() if row["step"] == step)


def test_steps_that_a_checkpoint_brings_back_are_averaged_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchtty.engine.training.metrics.FETCH_INTERVAL", math.inf)
    run = create(with_flags(starting_tree("mlp"), {}))
    log = MetricLog(RunWriter(run, new_status(3)), family_of("mlp"), 1)
    log.load_state({"step": 2, "seconds": 0.0, "losses": {}, "window": [{"train_loss": torch.tensor(1.0)}]})
    log.collect(3, {"train_loss": torch.empty((), device="meta")}, 3)  # the stand-in for a GPU
    [(_, row)] = log._unfetched
    assert isinstance(row["train_loss"], torch.Tensor)
    assert row["train_loss"].device.type == "meta"
