"""A run records what it was trained on, and is not continued with other data unless that is wanted."""

from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.worker.session import Session


def trained(text: Path) -> RunDirectory:
    """A short run over a text, trained in this very process."""
    flags = {"data.dataset": str(text), "data.unit": "items", "model.n_hidden": "8", "training.device": "cpu"}
    flags |= {"training.max_steps": "4", "training.eval_batches": "1", "sampling.interval": "0"}
    run = create(with_flags(starting_tree("mlp"), flags))
    assert work(run, Mode.TRAIN) == 0
    return run


def work(run: RunDirectory, mode: Mode, **edits: Any) -> int:
    return Session(run, mode, edits, idle_seconds=0.0).work()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("anna\nbea\ncarla\ndora\nemma\nfrida\n" * 8)
    return path


def test_the_hash_of_the_training_text_is_part_of_the_run(text: Path) -> None:
    first, second = trained(text), trained(text)
    assert len(first.meta()["data_sha256"]) == 64
    assert first.meta()["data_sha256"] == second.meta()["data_sha256"]
    text.write_text(text.read_text().replace("bea", "bee"))
    assert trained(text).meta()["data_sha256"] != first.meta()["data_sha256"]


def test_a_run_whose_text_has_changed_is_continued_only_when_that_is_accepted(text: Path) -> None:
    run = trained(text)
    before = run.meta()["data_sha256"]
    text.write_text(text.read_text().replace("bea", "bee"))
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 1
    status = run.status()
    assert (status.state, status.step) == (RunState.FINISHED, 4), "it stays what it was"
    assert "have changed since this run was trained on them" in status.message
    assert f"torchtty resume {run.name} --changed-data" in status.message
    run.accept_changed_data()
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 0
    assert run.status().step == 8
    assert run.meta()["data_sha256"] != before
    assert run.meta()["data_sha256_before"] == [before]


def test_a_text_that_is_the_same_is_continued_without_a_word(text: Path) -> None:
    run = trained(text)
    text.write_text(text.read_text())
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 0
    assert run.status().step == 8
