"""Sweeps by jobs: submitit's own on this machine, and those of a Slurm of one node, preempted, cancelled and gone on with."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from command_line import PATIENCE, Answer, Shell
from one_node_slurm import OneNode, missing

from torchtty.engine.contract.client.workers import Mode, Part
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments import cluster
from torchtty.engine.contract.experiments.cluster import Cluster, Jobs, JobWorker
from torchtty.engine.contract.experiments.group import RunGroup, find_group
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse, starting_tree

pytestmark = pytest.mark.timeout(1800)  # each job imports torch anew, on a busy machine

LONG = 4 * PATIENCE  # seconds until a job has imported torch and done something
SMALL = [
    *("--training.max_steps", "12000", "--training.checkpoint_interval", "500", "--training.eval_batches", "1"),
    *("--training.eval_interval", "1000", "--sampling.interval", "0", "--training.device", "cpu"),
]
SWEEP = [
    "sweep",
    "mlp",
    "--model.n_hidden",
    "16,24",
    *SMALL,
    "--job",
    "cpus=1",
    "--job",
    "memory=1",
    "--job",
    "minutes=20",
]


def curve(run: RunDirectory) -> dict[str, list[tuple[float, float]]]:
    log = RunLog(run)
    log.read()
    return {name: list(log.metrics.points(name)) for name in ("train_loss", "val_loss")}


def group_of(shell: Shell, name: str) -> RunGroup:
    found = find_group(name, shell.folder / "runs")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def solo(shell: Shell) -> RunDirectory:
    """The first run of the sweep, trained by itself without a stop."""
    done = shell("train", "mlp", "--model.n_hidden", "16", *SMALL, "--name", "by-itself", "--json")
    assert done.code == 0, done.err
    return RunDirectory(shell.folder / "runs" / "by-itself")


def warn(run: RunDirectory) -> None:
    """Send the process of a job what a scheduler sends before it takes the node away."""
    worker = psutil.Process(run.written_status().pid)
    job = next(parent for parent in worker.parents() if "submitit.core._submit" in parent.cmdline())
    job.send_signal(signal.SIGUSR2)


def test_jobs_train_a_sweep_and_a_preempted_one_goes_on_with_the_same_curve(
    shell: Shell, solo: RunDirectory, wait_until: Callable[..., None]
) -> None:
    begun = shell(*SWEEP, "--cluster", "local", "--name", "jobs", "--detach")
    assert begun.code == 0, begun.err
    group = group_of(shell, "jobs")
    assert group.cluster() == Cluster("local", cpus=1, memory=1, minutes=20)
    first, second = group.runs()
    wait_until(lambda: first.checkpoints() and first.written_status().state is RunState.RUNNING, LONG, "the first run")
    before = first.written_status().pid
    warn(first)
    wait_until(lambda: first.written_status().pid != before, LONG, "the end of the worker")
    assert first.status().state is not RunState.FINISHED
    wait_until(lambda: not group.status().state.is_live, LONG, "the end of the sweep")
    assert [run.status().state for run in (first, second)] == [RunState.FINISHED] * 2
    assert group.status().state is RunState.FINISHED
    events = [event.state for event in RunLog(first).read().events if event.event == "state"]
    assert events.count("running") > 1
    assert curve(first) == curve(solo)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (["color=red"], "--job takes partition="),
        (["cpus=many"], "--job cpus is a number"),
        (["memory=0"], "--job memory cannot be '0'"),
        (["gpus=-1"], "--job gpus cannot be '-1'"),
    ],
)
def test_what_a_job_cannot_be_given_is_said(job: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Cluster.read("slurm", job)


def test_a_cluster_is_named_and_there(here: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    seeds = ["sweep", "mlp", "--training.seed", "1,2"]
    assert "name that too" in here(*seeds, "--job", "cpus=2").err
    assert "takes slurm or local" in here(*seeds, "--cluster", "pbs").err
    assert "no sbatch here" in here(*seeds, "--cluster", "slurm").err


@pytest.fixture
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNode]:
    if names := missing():
        pytest.fail(f"apt-get install slurm-wlm munge: there is no {', '.join(names)}")
    folder = tmp_path_factory.mktemp("slurm")
    for parent in (folder, *folder.parents):
        if parent != Path("/"):
            os.chmod(parent, parent.stat().st_mode | 0o11)  # munge wants its socket to be reachable
    node = OneNode(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.mark.slurm
def test_slurm_trains_preempts_cancels_and_goes_on(
    shell: Shell, solo: RunDirectory, slurm: OneNode, wait_until: Callable[..., None]
) -> None:
    begun = shell(*SWEEP, "--cluster", "slurm", "--name", "slurmed", "--detach", **slurm.environment)
    assert begun.code == 0, begun.err
    group = group_of(shell, "slurmed")
    first, second = group.runs()
    wait_until(lambda: first.checkpoints() and first.written_status().state is RunState.RUNNING, LONG, "the first run")
    assert second.status().state is RunState.QUEUED  # the node has one core
    assert "Waits for job" in second.status().message
    before = first.written_status().pid
    [running] = slurm("squeue", "--noheader", "--states=RUNNING", "--format=%i").split()
    slurm("scancel", "--signal=USR2", running)
    wait_until(lambda: first.written_status().pid != before, LONG, "the end of the preempted worker")
    stopped = shell("stop", "slurmed", **slurm.environment)
    assert stopped.code == 0, stopped.err
    wait_until(lambda: not slurm("squeue", "--noheader").strip(), PATIENCE, "an empty queue")
    assert RunState.FINISHED not in [run.status().state for run in (first, second)]
    step = first.checkpoints()[-1]
    resumed = shell("sweep", "--resume", "slurmed", "--detach", **slurm.environment)
    assert resumed.code == 0, resumed.err
    wait_until(lambda: not group.status().state.is_live, 2 * LONG, "the end of the sweep")
    assert [run.status().state for run in (first, second)] == [RunState.FINISHED] * 2
    assert 0 < step < 12000
    assert curve(first) == curve(solo)
    refused = shell(*SWEEP, "--cluster", "slurm", "--job", "partition=none", "--name", "refused", **slurm.environment)
    assert refused.code == 1
    assert "could not be submitted" in refused.err
    assert "invalid partition" in refused.err.lower()


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Slurm that takes a job and never says anything again."""
    for name, does in {
        "srun": "exec sleep 600",  # by which submitit knows a machine of a cluster
        "sbatch": "echo Submitted batch job 7",
        "squeue": "exec sleep 600",
        "scancel": "exec sleep 600",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_scheduler_that_does_not_answer_says_nothing_about_a_job(
    silent: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.2)
    jobs = Jobs(Cluster(), tmp_path / "jobs")
    worker = JobWorker(jobs, "silent")
    run = create(parse(starting_tree("mlp")), root=tmp_path)
    worker.hand_over_part([run], Mode.TRAIN, Part(str(tmp_path), None, str(tmp_path / "reply.json")))
    assert worker.taken_back() == "7"
    assert [worker.is_alive for _ in range(3)] == [True] * 3, "asked once, and not known since"
    assert jobs.silent_for >= 0.2


def test_a_sweep_stops_where_its_scheduler_does_not_answer_and_says_what_may_be_left(
    shell: Shell, silent: None, wait_until: Callable[..., None]
) -> None:
    begun = shell(*SWEEP, "--cluster", "slurm", "--name", "silent", "--detach", PATH=os.environ["PATH"])
    assert begun.code == 0, begun.err
    group = group_of(shell, "silent")
    wait_until(lambda: "Waits for job 7" in group.runs()[0].status().message, PATIENCE, "the job")
    stopped = shell("stop", "silent")
    assert stopped.code == 0, stopped.err
    said = " ".join(stopped.err.split())
    assert "silent is stopped; 'torchtty sweep --resume silent' goes on with it." in said
    assert "Slurm does not answer, so that jobs may still wait there which were to be taken back: 7" in said
    assert [run.status().state for run in group.runs()] == [RunState.STOPPED] * 2


@pytest.mark.slurm
def test_a_sweep_stops_while_the_controller_of_slurm_hangs(
    shell: Shell, slurm: OneNode, wait_until: Callable[..., None]
) -> None:
    begun = shell(*SWEEP, "--cluster", "slurm", "--name", "hung", "--detach", **slurm.environment)
    assert begun.code == 0, begun.err
    first, second = group_of(shell, "hung").runs()
    wait_until(lambda: first.checkpoints() and first.written_status().state is RunState.RUNNING, LONG, "the first run")
    slurm.freeze()
    try:
        stopped = shell("stop", "hung", **slurm.environment)
    finally:
        slurm.freeze(freeze=False)
    assert stopped.code == 0, stopped.err
    assert "Slurm does not answer" in stopped.err
    assert [run.status().state for run in (first, second)] == [RunState.STOPPED] * 2
    assert first.checkpoints(), "it saved, since the request to stop does not go through Slurm"
