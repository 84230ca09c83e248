"""The rules on real runs: short ones that are trained here, and longer ones whose logs were recorded.

`recorded.jsonl.gz` holds, a run a line, settings, facts and logged rows (rounded to four digits) of what

    torchtty train RECIPE --training.device cpu

logged on a CPU in November 2026: the recipes names-gpt and b5-rnn whole (of names-mlp and a1-next-word every third row), the first
700 steps of digits-dcgan, 1,500 of python-docs-gpt, 30,000 of b2-mlp and 15,000 of b4-hierarchical; and `collapse`, 250 steps of
digits-dcgan with --optimizer.learning_rate 2e-3 --optimizer.beta1 0.9 --model.n_generator 4.
"""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.diagnosis.case import Case
from torchtty.engine.contract.diagnosis.diagnosis import RULES, Diagnosis
from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.events import Ready
from torchtty.engine.contract.run.log import Facts, RunLog
from torchtty.engine.contract.run.metrics import MetricColumns
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_flags
from torchtty.engine.contract.settings.families import family_of

MLP = {"model.n_hidden": "50", "training.log_interval": "10", "training.eval_interval": "100"}
GPT = {
    "model.n_layer": "1",
    "model.n_head": "2",
    "model.n_embd": "32",
    "model.block_size": "8",
    "training.batch_size": "16",
}
SGD = {"optimizer.kind": "sgd", "training.grad_clip": "0"}
RUNS: dict[str, tuple[str, dict[str, str]]] = {
    "good": ("mlp", MLP | {"training.max_steps": "1500"}),
    "nan": ("gpt", GPT | SGD | {"optimizer.learning_rate": "10", "training.max_steps": "400", "training.log_interval": "1"}),
    "hot": ("mlp", MLP | {"optimizer.learning_rate": "5", "schedule.kind": "constant", "training.max_steps": "600"}),
    "unscaled": ("mlp", MLP | {"model.initialisation": "unscaled", "training.max_steps": "100"}),
    "dead": ("mlp", MLP | {"model.initialisation": "unscaled", "training.loss": "mse", "training.max_steps": "400"}),
    "slow": ("mlp", MLP | {"optimizer.learning_rate": "1e-5", "training.max_steps": "500"}),
    "coarse": ("gpt", GPT | {"optimizer.learning_rate": "0.1", "schedule.kind": "constant", "training.max_steps": "700"}
        | {"training.batch_size": "32", "model.block_size": "16"}),
    "flat": ("mlp", MLP | {"optimizer.learning_rate": "0.7", "schedule.kind": "constant", "training.max_steps": "14000"}
        | {"training.log_interval": "20", "training.eval_interval": "500", "model.n_hidden": "20"}),
    "overfitting": ("mlp", MLP | {"data.limit": "1000", "training.max_steps": "7000", "model.n_hidden": "200"}
        | {"schedule.kind": "constant", "training.eval_interval": "500"}),
    "starving": ("mlp", MLP | {"data.limit": "300", "training.max_steps": "2500", "model.n_hidden": "200"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """The runs above, trained one after the other by one real worker."""
    root = tmp_path_factory.mktemp("runs")
    shared = {"training.device": "cpu", "sampling.interval": "0", "training.checkpoint_interval": "100"}
    runs = {
        name: create(with_flags(starting_tree(kind), shared | flags), root=root, name=name)
        for name, (kind, flags) in RUNS.items()
    }
    worker = WarmWorker()
    worker.hand_over_series(list(runs.values()))
    deadline = time.monotonic() + 240
    while worker.is_alive:
        assert time.monotonic() < deadline, "the runs take too long"
        time.sleep(0.05)
    return runs


def findings(run: RunDirectory) -> tuple[Finding, ...]:
    log = RunLog(run)
    diagnosis = Diagnosis(log)
    log.read()
    return diagnosis.findings(run.status())


@pytest.mark.parametrize(
    ("name", "found", "change"),
    [
        ("good", [], None),
        ("nan", ["diverges"], ("optimizer.learning_rate", 2.0)),
        ("hot", ["diverges"], ("optimizer.learning_rate", 1.0)),
        ("unscaled", ["saturated"], ("model.initialisation", "fan-in")),
        ("dead", ["saturated", "saturated"], ("training.loss", "cross-entropy")),
        ("slow", ["slow"], ("optimizer.learning_rate", 1e-4)),
        ("coarse", ["coarse"], ("optimizer.learning_rate", 0.01)),
        ("flat", ["plateau"], ("optimizer.learning_rate", 0.2)),
        ("overfitting", ["overfits"], ("optimizer.weight_decay", 1e-3)),
        ("starving", ["starves", "few"], ("data.limit", None)),
    ],
)
def test_a_rule_finds_what_a_run_shows_and_nothing_else(
    trained: dict[str, RunDirectory], name: str, found: list[str], change: tuple[str, Any] | None
) -> None:
    seen = findings(trained[name])
    assert [finding.name for finding in seen] == found
    if change is None:
        return
    first, settings = seen[0], trained[name].configuration().tree()
    assert first.change is not None
    assert (first.change.path, first.change.value) == change
    assert first.evidence.first <= first.evidence.last <= trained[name].status().step
    assert with_flags(settings, {first.change.path: first.change.flags[1]}) != parse(settings), "it can be tried"


def test_what_is_found_names_steps_values_and_a_checkpoint_before_the_trouble(trained: dict[str, RunDirectory]) -> None:
    (overfits,) = findings(trained["overfitting"])
    log = RunLog(trained["overfitting"])
    log.read()
    best, loss = min(log.metrics.points("val_loss"), key=lambda point: point[1])
    assert overfits.evidence.first == best
    assert dict(overfits.evidence.values)["best validation"] == loss
    assert overfits.what == f"overfits since step {best:,.0f}"
    steps = trained["overfitting"].checkpoints()
    assert overfits.checkpoint([100, *steps, 100_000]) == max(step for step in [100, *steps] if step <= best)
    (unscaled,) = findings(trained["unscaled"])
    assert unscaled.checkpoint([50, 100]) is None, "first weights are changed at the start"
    assert unscaled.evidence.first <= 1


def test_a_run_that_memory_does_not_hold(tmp_path: Path) -> None:
    large = GPT | {"model.n_embd": "8192", "training.device": "cpu", "training.batch_size": "64"}
    run = create(with_flags(starting_tree("gpt"), large), root=tmp_path, name="large")
    worker = WarmWorker()
    while worker.hello() is None and worker.is_alive:
        time.sleep(0.05)
    process = psutil.Process(worker.process.pid)
    limit = process.memory_info().vms + 400 * 2**20  # one matrix of the model alone has 805 MB
    process.rlimit(psutil.RLIMIT_AS, (limit, limit))
    worker.hand_over_series([run])
    worker.process.wait(120)
    assert run.status().state is RunState.FAILED
    (memory,) = findings(run)
    assert (memory.name, memory.what) == ("memory", "ran out of memory")
    assert (memory.change.path, memory.change.value) == ("training.batch_size", 32)
    run.write_status(run.status().model_copy(update={"message": "There is no file at a.txt."}))
    assert findings(run) == ()


# -- recorded logs ---------------------------------------------------------------------------------------------------


def recorded() -> dict[str, dict[str, Any]]:
    with gzip.open(Path(__file__).with_name("recorded.jsonl.gz"), "rt") as file:
        return {run["name"]: run for run in map(json.loads, file)}


RECORDED = recorded()


def watched(run: dict[str, Any], pieces: int = 60) -> Iterator[tuple[int, tuple[Finding, ...]]]:
    """What was found wrong with a run at so many moments while it trained, and at its end."""
    configuration = parse(run["config"])
    metrics = MetricColumns()
    metrics.follow(("train_loss", "val_loss", "train_eval_loss", "grad_norm", "loss_d", "loss_g"))
    facts = Facts(ready=Ready(tokens=run["tokens"], references=run["references"]))
    rows, size = run["rows"], max(1, len(run["rows"]) // pieces)
    for begin in range(0, len(rows), size):
        metrics.take(rows[begin : begin + size])
        step = rows[min(begin + size, len(rows)) - 1]["step"]
        status = Status(state=RunState.RUNNING, step=step, max_steps=run["max_steps"])
        case = Case(status, facts, configuration.tree(), family_of(configuration.kind), metrics.trends, metrics.tokens)
        yield step, tuple(finding for rule in RULES if (finding := rule(case)) is not None)


@pytest.mark.parametrize("name", [name for name in RECORDED if name != "collapse"])
def test_nothing_is_wrong_with_a_recipe_at_any_time(name: str) -> None:
    assert [(step, found) for step, found in watched(RECORDED[name]) if found] == []


def test_a_game_that_the_discriminator_has_won() -> None:
    seen = list(watched(RECORDED["collapse"], pieces=25))
    assert all(not found for step, found in seen if step < 200), "it may still turn"
    (lost,) = seen[-1][1]
    assert lost.name == "collapses"
    values = dict(lost.evidence.values)
    assert values["discriminator"] < 0.01
    assert values["generator"] > 6
    assert (lost.change.path, lost.change.value) == ("optimizer.beta1", 0.5)


def test_validating_on_very_little_is_told_by_the_tokens() -> None:
    run = RECORDED["names-gpt"]
    few = run | {
        "tokens": {"train": 90_000, "val": 300},
        "config": run["config"] | {"data": {"dataset": "a.txt", "val_fraction": 0.05}},
    }
    for _, found in watched(few, pieces=2):
        assert [finding.name for finding in found] == ["few"]
        assert (found[0].change.path, found[0].change.value) == ("data.val_fraction", 0.1)
