"""Forks: exact where nothing is changed, with what was changed where something is, refused where it does not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from torchtty.engine.contract.client.fork import create_fork, fork_point
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.lineage import curves_before, parent_of
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import ConfigurationError, starting_tree, with_flags
from torchtty.engine.training.checkpoint import read_checkpoint, write_checkpoint
from torchtty.engine.worker.estimate import problems_of_fork
from torchtty.engine.worker.session import Session

pytestmark = pytest.mark.usefixtures("signals_of_their_own")
AT, END = 25, 45  # steps: where forks begin, which is no multiple of the log interval, and where training ends
FLAGS = {
    "training.device": "cpu", "training.log_interval": "10", "training.max_steps": str(END),
    "training.checkpoint_interval": str(AT), "sampling.interval": "0",
}  # fmt: skip
LANGUAGE = {"training.eval_interval": "15", "training.eval_batches": "2", "training.batch_size": "4"}
FAMILIES = {
    "mlp": LANGUAGE | {"model.n_hidden": "16"},
    "gpt": LANGUAGE
    | {"model.n_layer": "1", "model.n_embd": "16", "model.n_head": "2", "model.dropout": "0.2", "optimizer.kind": "muon"},
    "rnn": LANGUAGE | {"model.n_hidden": "12", "model.block_size": "6", "optimizer.kind": "rmsprop"},
    "dcgan": {"model.n_generator": "4", "model.n_discriminator": "4", "training.batch_size": "4", "sampling.count": "4"},
}  # fmt: skip


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(["anna", "bea", "carla", "dora", "eva", "fred", "gala"] * 6))
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(1).integers(0, 256, (12, 32, 32), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def worked(run: RunDirectory, mode: Mode, **edits: Any) -> Status:
    Session(run, mode, edits, idle_seconds=0).work()
    return run.written_status()


def trained(kind: str, data: Path, **flags: Any) -> RunDirectory:
    """A finished run with a checkpoint at `AT` and one at `END`."""
    settings = (
        FLAGS | FAMILIES[kind] | {"data.dataset": str(data)} | {n.replace("__", "."): v for n, v in flags.items()}
    )
    if kind == "rnn":
        settings |= {"model.cell": "lstm"} if "cell" in starting_tree(kind)["model"] else {}
    run = create(with_flags(starting_tree(kind), settings), name=kind)
    assert worked(run, Mode.TRAIN).state is RunState.FINISHED, run.written_status().message
    assert run.checkpoints()[-2:] == [AT, END]
    return run


def forked(run: RunDirectory, step: int = AT, **flags: Any) -> RunDirectory:
    """A fork that has trained to its end."""
    point = fork_point(run, step)
    settings = with_flags(point.settings, {name.replace("__", "."): str(value) for name, value in flags.items()})
    fork = create_fork(point, settings)
    status = worked(fork, Mode.FORK)
    assert status.state is RunState.FINISHED, status.message
    return fork


def rows(run: RunDirectory, after: int = AT) -> list[dict[str, Any]]:
    """What a run has logged behind a step, without what a clock gives."""
    found = [row for row in JsonLinesTail(run.metrics_path).read() if row["step"] > after]
    return [{name: value for name, value in row.items() if name not in ("time", "steps_per_second")} for row in found]


def warnings(run: RunDirectory) -> str:
    log = RunLog(run)
    log.read()
    return " ".join(log.facts.warnings)


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_fork_with_nothing_changed_repeats_what_its_parent_did_to_the_bit(
    kind: str, names: Path, pictures: Path
) -> None:
    parent = trained(kind, pictures if kind == "dcgan" else names)
    fork = forked(parent)
    assert len(rows(parent)) >= 2
    assert rows(fork, 0) == rows(parent), "its own rows begin behind the step of the fork"
    ours, theirs = (load_file(run.checkpoint_path(END) / "model.safetensors") for run in (fork, parent))
    assert all(np.array_equal(ours[name].numpy(), theirs[name].numpy()) for name in ours | theirs)
    assert (fork.written_status().best, fork.written_status().step) == (parent.written_status().best, END)
    assert not warnings(fork)
    assert curves_before(fork).points(next(name for name in rows(parent)[0] if "loss" in name))


def test_a_fork_of_a_fork_has_the_curves_of_both_before_it_and_survives_them(names: Path) -> None:
    parent = trained("mlp", names)
    first = forked(parent, optimizer__learning_rate=0.01, training__max_steps=60)
    assert first.name == "mlp-fork-1"
    second = create_fork(
        fork_point(first, 50), with_flags(fork_point(first, 50).settings, {"training.max_steps": "70"})
    )
    assert second.name == "mlp-fork-2"
    steps = [step for step, _ in curves_before(second).points("train_loss")]
    assert steps == sorted(set(steps))
    assert steps[-1] == 50
    assert [row["step"] for row in rows(first, 0) if row["step"] <= 50 and "train_loss" in row] == steps[-3:]
    found = parent_of(second.meta())
    assert found is not None
    assert (found.run, found.step, found.changes()) == ("mlp-fork-1", 50, "max_steps 60 → 70")
    for gone in (parent, first):
        gone.path.rename(gone.path.with_name(f".{gone.name}"))
    assert worked(second, Mode.FORK).state is RunState.FINISHED
    assert rows(second, 0)[-1]["step"] == 70
    assert curves_before(second).names == set()


def test_edits_behind_the_step_are_not_those_of_the_fork(names: Path) -> None:
    parent = trained("mlp", names)
    with parent.events_path.open("a") as file:
        for step, rate in ((AT, 0.02), (AT + 1, 0.9)):
            file.write(
                json.dumps({"event": "edit", "step": step, "path": "optimizer.learning_rate", "value": rate}) + "\n"
            )
    assert fork_point(parent, AT).settings["optimizer"]["learning_rate"] == 0.02
    assert fork_point(parent).settings["optimizer"]["learning_rate"] == 0.9


def test_what_a_changed_setting_makes_begin_anew_is_said_and_the_rest_goes_on(names: Path) -> None:
    parent = trained("mlp", names)
    other = forked(parent, optimizer__kind="adam", optimizer__learning_rate=0.01)
    assert "The optimizer begins anew, with optimizer sgd → adam." in warnings(other)
    assert rows(other, 0) != rows(parent)
    reseeded = forked(parent, training__seed=7)
    assert "drawn anew, with seed 1337 → 7" in warnings(reseeded)
    larger = forked(parent, training__batch_size=8)
    tokens = {row["step"]: row["tokens"] for row in rows(parent, 0)}
    assert [row["tokens"] for row in rows(larger, 0) if row["step"] == 30] == [tokens[20] + 5 * 4 + 5 * 8] * 2
    assert larger.written_status().best_step is not None
    live = forked(parent, optimizer__learning_rate=0.001, training__grad_clip=0.5)
    assert not warnings(live)
    assert next(row["learning_rate"] for row in rows(live, 0) if "learning_rate" in row) == 0.0001, (
        "the schedule goes on"
    )


@pytest.mark.parametrize("flags", [{"training__batch_size": 6}, {"model__block_size": 5}, {"model__carry_state": "no"}])
def test_a_recurrent_network_reads_other_rows_from_their_beginning(names: Path, flags: dict[str, Any]) -> None:
    assert rows(forked(trained("rnn", names), **flags), 0)[-1]["step"] == END


def test_a_checkpoint_of_weights_alone_can_be_forked_resumed_and_says_what_it_lacks(names: Path) -> None:
    parent = trained("mlp", names)
    (parent.checkpoint_path(AT) / "training.pt").unlink()
    fork = create_fork(fork_point(parent, AT), parent.configuration())
    status = worked(fork, Mode.RESUME)  # as after a fork that was killed before its first own checkpoint
    assert (status.state, status.step) == (RunState.FINISHED, END)
    assert "holds weights only" in warnings(fork)
    assert [row["step"] for row in rows(fork, 0) if "train_loss" in row] == [30, 40, 45]


def test_a_run_of_a_gpu_is_forked_on_a_cpu_and_draws_other_batches(names: Path) -> None:
    parent = trained("gpt", names)
    saved = read_checkpoint(parent, AT, with_training=True)
    assert saved.training is not None
    saved.training["task"] |= dict.fromkeys(("batches", "cuda"), torch.arange(16, dtype=torch.uint8))
    write_checkpoint(parent, saved)
    parent.config_path.write_text(parent.config_path.read_text().replace('device = "cpu"', 'device = "cuda"'))
    parent.write_status(parent.written_status().model_copy(update={"device": "cuda:0"}))
    fork = forked(parent, training__device="cpu")
    assert "trained on cuda:0 and continues on cpu, which draws other batches" in warnings(fork)
    assert rows(fork, 0)[-1]["step"] == END


def test_what_does_not_fit_is_refused_by_its_setting_and_shapes(names: Path, tmp_path: Path) -> None:
    parent = trained("gpt", names)
    point = fork_point(parent, AT)

    def problems(**flags: Any) -> list[list[str]]:
        changed = with_flags(point.settings, {name.replace("__", "."): str(value) for name, value in flags.items()})
        found = problems_of_fork(changed.tree(), {"path": str(parent.path), "step": AT})
        return found.get("problems", [])

    assert problems() == []
    assert problems(model__dropout=0.5, training__batch_size=8, optimizer__kind="sgd") == []
    [[path, message]] = problems(model__n_embd=32, model__dropout=0)
    assert path == "model.n_embd"
    assert message.startswith("32 does not fit the checkpoint: ")
    vocabulary = len({*"annabeacarladoraevafredgala"}) + 1
    assert message.endswith(f" is {vocabulary}x16 there and {vocabulary}x32 here")
    [[path, message]] = problems(model__n_layer=2)
    assert (path, " is missing there and " in message) == ("model.n_layer", True)
    [[path, message]] = problems(tokenizer__kind="byte-pair")
    assert (path, "belong to its vocabulary" in message) == ("tokenizer.kind", True)
    assert problems(training__max_steps=AT) == [
        ["training.max_steps", f"must be above {AT}, the step where the fork begins"]
    ]
    other = tmp_path / "other.txt"
    other.write_text("\n".join(["adele", "clara"] * 20))
    assert problems(data__dataset=other) == []
    fork = forked(parent, data__dataset=other)
    assert "which is not what the parent learnt from" in warnings(fork)
    other.write_text("\n".join(["adele", "clara", "zoë"] * 20))
    [[path, message]] = problems(data__dataset=other)
    assert path == "data.dataset"
    assert message.endswith("does not fit the checkpoint, whose vocabulary lacks 'z', 'ë'")
    refused = create_fork(point, with_flags(point.settings, {"model.n_embd": "32"}))
    status = worked(refused, Mode.FORK)
    assert status.state is RunState.FAILED
    assert "model.n_embd 32 does not fit the checkpoint" in status.message
    with pytest.raises(ConfigurationError, match="above 25"):
        create_fork(point, with_flags(point.settings, {"training.max_steps": "25"}))
    with pytest.raises(UserError, match=f"gpt has no checkpoint at step 7. There are those at .*{AT}, {END}."):
        fork_point(parent, 7)


def test_a_damaged_checkpoint_is_said_to_be_broken(names: Path) -> None:
    parent = trained("mlp", names)
    weights = parent.checkpoint_path(AT) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    fork = {"path": str(parent.path), "step": AT}
    [[_, message]] = problems_of_fork(fork_point(parent, AT).settings, fork)["problems"]
    assert "cannot be read" in message
