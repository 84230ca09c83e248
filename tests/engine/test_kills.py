"""Workers are killed at moments drawn at random: nothing of their runs is lost but the steps since the latest checkpoint.

Each round trains a small run of one family, kills its worker once to three times, resumes, and compares it with one that nobody
disturbed. 20 rounds belong to every run of the tests; `pytest -n 0 -m kills` does 200.
"""

import json
import random
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from forked_workers import ForkedWorker, ForkServer

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.contract.settings.families import SHIPPED, family_of

ROUNDS, ALL_ROUNDS = 20, 200
INTERVAL = 10  # steps between two checkpoints
BY_STEPS = {
    "training.max_steps": "100",
    "training.checkpoint_interval": str(INTERVAL),
    "training.log_interval": "3",  # a checkpoint falls into the middle of an average
    "training.device": "cpu",
    "training.batch_size": "8",
}
EVALUATED = {"training.eval_interval": "7", "training.eval_batches": "2", "sampling.interval": "25"}
OF_THE_CLOCK = {"time", "steps_per_second"}  # columns of a row that no two runs have in common

SMALL: dict[str, dict[str, str]] = {
    "ngram": {"model.n": "3"},
    "bigram": EVALUATED,
    "mlp": EVALUATED | {"model.batch_norm": "true", "model.n_hidden": "16"},
    "wavenet": EVALUATED | {"model.n_hidden": "8", "model.n_embd": "4"},
    "rnn": EVALUATED | {"model.cell": "lstm", "model.n_hidden": "12"},
    "transformer": EVALUATED | {"model.n_head": "2"},
    "gpt": EVALUATED
    | {
        "model.n_layer": "1",
        "model.n_embd": "16",
        "model.n_head": "2",
        "model.block_size": "8",
        "model.dropout": "0.2",
    },
    "gpt2": EVALUATED | {"model.weights": "untrained", "model.block_size": "8", "tokenizer.kind": "character"},
    "dcgan": {"model.n_generator": "4", "model.n_discriminator": "4", "data.limit": "40", "sampling.interval": "40"},
}


@dataclass(frozen=True)
class Undisturbed:
    """What a run comes to that nobody kills."""

    rows: list[dict[str, Any]]
    weights: dict[int, bytes]  # of every checkpoint that is left at the end
    seconds: float  # from the hand-over to the end


@pytest.fixture
def runs(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    return own_folders


@pytest.fixture(scope="module")
def undisturbed(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Undisturbed]:
    """Train each family once."""
    known: dict[str, Undisturbed] = {}

    def of(kind: str) -> Undisturbed:
        if kind not in known:
            run = new_run(kind)
            began = time.monotonic()
            assert forks.start(run).wait()
            seconds = time.monotonic() - began
            assert run.status().state is RunState.FINISHED, run.log_path.read_text()
            known[kind] = Undisturbed(rows(run), weights(run), seconds)
        return known[kind]

    return of


def new_run(kind: str) -> RunDirectory:
    by_steps = BY_STEPS if family_of(kind).trains_by_steps else {}
    return create(with_flags(starting_tree(kind), by_steps | SMALL[kind]))


def rows(run: RunDirectory) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if name not in OF_THE_CLOCK}
        for row in JsonLinesTail(run.metrics_path).read()
    ]


def weights(run: RunDirectory) -> dict[int, bytes]:
    return {step: (run.checkpoint_path(step) / "model.safetensors").read_bytes() for step in run.checkpoints()}


def killed_at(worker: ForkedWorker, seconds: float) -> bool:
    """Kill a worker after so many seconds; return whether it had ended by itself."""
    over = worker.wait(seconds)
    worker.kill()
    return over


def check_what_is_left(run: RunDirectory, whole: Undisturbed) -> bool:
    """Check a run whose worker was killed; return whether it can go on."""
    snapshot, found = RunSnapshot.of(run), rows(run)
    assert snapshot.state in (RunState.LOST, RunState.FINISHED)
    for step in run.checkpoints():
        check_checkpoint(run.checkpoint_path(step))
    newest = max(run.checkpoints(), default=0)
    durable = [row for row in found if row["step"] <= newest]
    assert durable == [row for row in whole.rows if row["step"] <= newest][: len(durable)]
    assert [row for row in durable if row["step"] < newest] == [row for row in whole.rows if row["step"] < newest]
    if snapshot.family is None or not snapshot.family.trains_by_steps:
        return False
    assert max((row["step"] for row in found), default=0) <= newest + INTERVAL
    assert snapshot.offers(Action.RESUME) is bool(run.checkpoints())
    # The best weights are written before the first checkpoint that training can go on from.
    return any((run.checkpoint_path(step) / "training.pt").exists() for step in run.checkpoints())


def check_checkpoint(folder: Path) -> None:
    assert json.loads((folder / "checkpoint.json").read_text())["step"] == int(folder.name)
    content = (folder / "model.safetensors").read_bytes()
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    ends = [tensor["data_offsets"][1] for name, tensor in head.items() if name != "__metadata__"]
    assert len(content) == 8 + int.from_bytes(content[:8], "little") + max(ends)
    if (folder / "training.pt").exists():  # not where only the best weights were kept
        with zipfile.ZipFile(folder / "training.pt") as archive:
            assert archive.testzip() is None


@dataclass
class Tally:
    """What became of the workers of all rounds."""

    killed: int = 0
    while_writing: int = 0  # a checkpoint, or while removing one
    resumed: int = 0
    over: int = 0  # before they could be killed


TALLY = Tally()


def rounds() -> list[Any]:
    more = pytest.mark.kills
    return [pytest.param(number, marks=[more] if number >= ROUNDS else []) for number in range(ALL_ROUNDS)]


@pytest.mark.parametrize("number", rounds())
def test_a_killed_run_loses_no_row_and_no_more_than_the_steps_since_its_checkpoint(
    number: int, runs: Path, forks: ForkServer, undisturbed: Callable[[str], Undisturbed]
) -> None:
    kind, chance = SHIPPED[number % len(SHIPPED)], random.Random(number)
    whole = undisturbed(kind)
    run, mode = new_run(kind), Mode.TRAIN
    for _ in range(chance.randint(1, 3)):
        over = killed_at(forks.start(run, mode), chance.uniform(0, whole.seconds))
        TALLY.over += over
        if over:
            break
        TALLY.killed += 1
        TALLY.while_writing += any(run.steps.glob(".*"))
        if check_what_is_left(run, whole):
            mode = Mode.RESUME
            TALLY.resumed += 1
        else:  # it had no checkpoint yet: whoever wants it begins anew
            run, mode = new_run(kind), Mode.TRAIN
    if run.status().state is not RunState.FINISHED:
        assert forks.start(run, mode).wait()
    assert run.status().state is RunState.FINISHED, run.log_path.read_text()
    assert rows(run) == whole.rows
    assert weights(run) == whole.weights
    assert "Traceback" not in run.log_path.read_text()
    shutil.rmtree(runs)


def test_the_rounds_killed_workers_and_met_every_family(capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{TALLY}")
    assert SMALL.keys() == set(SHIPPED)
    assert TALLY.killed > TALLY.over
    assert TALLY.resumed
