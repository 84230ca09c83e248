"""Checkpoints are whole or absent, and a damaged one is told, whatever the damage."""

import os
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.training.checkpoint import Saved, prune, read_checkpoint, write_checkpoint
from torchtty.engine.training.loop import Loop


@pytest.fixture
def run(loop_for: Callable[..., Loop]) -> RunDirectory:
    """A run with a checkpoint at step 3."""
    run = loop_for("mlp").run
    weights = {"table": torch.arange(6.0).view(2, 3)}
    write_checkpoint(run, Saved(3, weights, {"kind": "none"}, {"step": 3, "state": torch.arange(5)}, {"val_loss": 2.0}))
    return run


@pytest.mark.parametrize("name", ["training.pt", "model.safetensors", "checkpoint.json", "tokenizer.json"])
def test_whatever_happens_to_a_file_of_a_checkpoint_it_is_read_or_said_to_be_broken(
    run: RunDirectory, name: str
) -> None:
    path = run.checkpoint_path(3) / name
    whole, damage, told = path.read_bytes(), random.Random(0), list[str]()
    for number in range(250):
        content = bytearray(whole)
        for _ in range(damage.choice((1, 3, 20))):
            content[damage.randrange(len(content))] = damage.randrange(256)
        path.write_bytes(content[: damage.randrange(len(content))] if number % 4 == 0 else content)
        try:
            with warnings.catch_warnings(action="ignore"):  # torch wonders at the damaged file's version
                read_checkpoint(run, 3, with_training=True)
        except UserError as error:
            told.append(str(error))
    assert len(told) > 100
    assert all("cannot be read" in sentence for sentence in told)


@pytest.mark.parametrize("content", ["[]", "3", "null", ""])
def test_json_of_another_form_is_said_to_be_broken(run: RunDirectory, content: str) -> None:
    (run.checkpoint_path(3) / "checkpoint.json").write_text(content)
    with pytest.raises(UserError, match="cannot be read"):
        read_checkpoint(run, 3, with_training=False)


def test_an_interruption_while_a_file_is_written_leaves_the_old_one_and_nothing_else(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = run.steps / "best.json"
    write_atomically(path, "old")
    before = sorted(run.steps.iterdir())
    saved = read_checkpoint(run, 3, with_training=True)
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new", durable=True)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(run, saved)
    assert sorted(run.steps.iterdir()) == before
    assert path.read_text() == "old"
    assert read_checkpoint(run, 3, with_training=True).step == 3


def test_a_checkpoint_that_is_pruned_is_whole_or_not_listed_and_its_rest_goes_with_the_next(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = read_checkpoint(run, 3, with_training=True)
    for step in (6, 9):
        write_checkpoint(run, replace(saved, step=step))
    unlink, removed = os.unlink, list[object]()

    def killed(path: object, **options: Any) -> None:
        if removed:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            prune(run)
    assert removed
    assert run.checkpoints() == [6, 9]
    assert any(path.name.startswith(".") for path in run.steps.iterdir())
    (run.steps / ".000012.writing").mkdir()
    (run.steps / ".best.json.x1").touch()
    prune(run)
    assert sorted(path.name for path in run.steps.iterdir()) == ["000006", "000009"]
    assert all(read_checkpoint(run, step, with_training=True).step == step for step in (6, 9))
