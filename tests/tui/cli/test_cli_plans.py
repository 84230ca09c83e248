"""Sweeps that choose among their runs, and sweeps in which something goes wrong: what has finished stands, the rest is counted."""

import json
import resource
import subprocess
from collections.abc import Callable

import pytest
from command_line import COMMAND, PATIENCE, Shell

from torchtty.engine.contract.experiments.group import find_group
from torchtty.engine.contract.experiments.objective import evaluations
from torchtty.engine.contract.experiments.results import read_results
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.families import family_of

pytestmark = pytest.mark.timeout(600)  # workers start one after the other, and a busy machine imports torch slowly

HALVING = """
start = "mlp"
plan = "halving"
name = "halved"

[model]
n_hidden = 16

[optimizer]
kind = "sgd"
learning_rate = 0.5
weight_decay = [0, 0.001, 100]    # the last multiplies the weights by -49 at every step

[training]
seed = "1..3"
max_steps = 270
eval_interval = 10
eval_batches = 2
log_interval = 5
batch_size = 16
device = "cpu"

[sampling]
interval = 0
"""
ADDRESS_SPACE = 5_000_000_000  # bytes: torch takes 3.5 of them, a layer of 8,192 units for 65,536 examples 2.1 more


def test_halving_from_a_file_trains_the_better_part_on_and_counts_what_diverges(shell: Shell) -> None:
    (shell.folder / "halved.toml").write_text(HALVING)
    answer = shell("sweep", "halved.toml", "--workers", "1", "--json")
    assert answer.code == 0, answer.err
    assert "9 runs: weight_decay 0, 1e-3, 100 x seed 1..3 (halving: 1 in 3 goes on after each round)." in answer.err
    found = json.loads(answer.out)["runs"]
    assert [run["diverged"] for run in found] == [run["settings"]["optimizer.weight_decay"] == 100 for run in found]
    good = [run for run in found if not run["diverged"]]
    # 9 runs train to step 30, the best 3 to step 90, the best of those to the end; those that diverged are out by themselves
    assert sorted((run["step"], run["ended"]) for run in good) == [(30, "halved")] * 3 + [(90, "halved")] * 2 + [
        (270, "")
    ]
    folder, family = shell.folder / "runs", family_of("mlp")
    curves = {run["run"]: dict(evaluations(RunDirectory(folder / run["run"]), family)) for run in good}
    of_all = sorted(curves, key=lambda name: curves[name][30])
    assert {run["run"] for run in good if run["step"] > 30} == set(of_all[:3])
    best = min(of_all[:3], key=lambda name: curves[name][90])
    assert next(run["run"] for run in good if run["step"] == 270) == best
    shown = shell("results", "halved", COLUMNS="120")
    assert "3 diverged" in shown.out


def test_what_fails_or_lacks_memory_hides_no_other_and_the_sweep_outlives_who_started_it(
    shell: Shell, wait_until: Callable[..., None]
) -> None:
    (shell.folder / "short.txt").write_text("ab\n")
    arguments = ["--data.dataset", "given-names,short.txt", "--model.n_hidden", "16,8192"]
    arguments += ["--training.batch_size", "65536", "--training.max_steps", "40", "--training.eval_batches", "1"]
    arguments += ["--training.device", "cpu", "--sampling.interval", "0", "--name", "mishaps", "--workers", "1"]
    following = subprocess.Popen(
        [*COMMAND, "sweep", "mlp", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=shell.environment,
        cwd=shell.folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE)),
    )
    folder = shell.folder / "runs"
    wait_until(lambda: (group := find_group("mishaps", folder)) is not None and group.runs(), PATIENCE, "the group")
    group = find_group("mishaps", folder)
    assert group is not None
    first = group.runs()[0]
    wait_until(lambda: first.status().state is RunState.FINISHED, PATIENCE, "the first run")
    finished = first.metrics_path.read_bytes()
    following.kill()
    following.wait()
    wait_until(lambda: not group.status().state.is_live, PATIENCE, "the end of the sweep")
    states = {run.name.removeprefix("mishaps-"): run.status() for run in group.runs()}
    assert [status.state for status in states.values()] == [RunState.FINISHED, *[RunState.FAILED] * 3]
    assert first.metrics_path.read_bytes() == finished
    assert "memory" in states["dataset-given-names-n_hidden-8192"].message
    assert "short has 2 tokens to train on" in states["dataset-short-n_hidden-16"].message
    assert group.status().message == "Of 4 runs 3 failed."
    results = read_results(group)
    assert [member.value("val_loss") is not None for member in results.members] == [True, False, False, False]
    again = shell("sweep", "--resume", "mishaps")
    assert again.code == 1
    assert "nothing to go on with" in again.err


def test_optuna_asks_for_one_run_after_the_other(shell: Shell) -> None:
    pytest.importorskip("optuna")
    shape = ["--model.n_hidden", "16", "--training.batch_size", "8", "--training.max_steps", "60"]
    small = [*shape, "--training.eval_interval", "20", "--training.eval_batches", "1", "--sampling.interval", "0"]
    chosen = ["--plan", "optuna", "--runs", "4", "--plan-seed", "1", "--optimizer.learning_rate", "1e-3..1 log"]
    answer = shell(
        "sweep", "mlp", *small, *chosen, "--training.device", "cpu", "--workers", "1", "--name", "sought", "--json"
    )
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)["runs"]
    rates = [run["settings"]["optimizer.learning_rate"] for run in found]
    assert len(set(rates)) == 4
    assert all(1e-3 <= rate <= 1 for rate in rates)
    assert [run["state"] for run in found] == ["finished"] * 4
    for run in found:
        tree = RunDirectory(shell.folder / "runs" / run["run"]).configuration().tree()
        assert tree["optimizer"]["learning_rate"] == run["settings"]["optimizer.learning_rate"]
