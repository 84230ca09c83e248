"""A replay follows a run's record and comes out the same to the bit; what cannot be replayed honestly is refused."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.replay import Comparison, compare, create_replay, outcome, plan
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail, json_line
from torchtty.engine.contract.run.log import edits_of
from torchtty.engine.contract.run.requests import Edit, drop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.worker.session import Session

WaitUntil = Callable[..., None]

pytestmark = pytest.mark.usefixtures("signals_of_their_own")

TINY = {
    "mlp": {"model.n_hidden": "16"},
    "gpt": {"model.n_layer": "1", "model.n_embd": "16", "model.n_head": "2", "model.block_size": "8"}
    | {"model.dropout": "0.2", "schedule.warmup_steps": "5"},
}


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"{a}{b}{c}" for a in "abdk" for b in "aeiou" for c in "lmnr"), encoding="utf-8")
    return path


@pytest.fixture
def new_run(names: Path) -> Callable[..., RunDirectory]:
    def make(kind: str = "mlp", **flags: Any) -> RunDirectory:
        settings = TINY[kind] | {"data.dataset": str(names), "training.device": "cpu", "training.batch_size": "8"}
        settings |= {"training.eval_batches": "1", "training.log_interval": "4", "sampling.max_tokens": "4"}
        settings |= {name.replace("__", "."): str(value) for name, value in flags.items()}
        return create(with_flags(starting_tree(kind), settings))

    return make


def work(run: RunDirectory, mode: Mode = Mode.TRAIN, **edits: Any) -> RunDirectory:
    """Let a worker's session do its work in this very process."""
    Session(run, mode, edits, idle_seconds=0.0).work()
    return run


def replayed(run: RunDirectory, to: int | None = None) -> tuple[RunDirectory, Comparison]:
    planned = plan(run, to)
    again = work(create_replay(planned))
    return again, compare(run, again, planned.replay.to)


def rows(run: RunDirectory, name: str = "step") -> list[Any]:
    return [row[name] for row in JsonLinesTail(run.metrics_path).read() if name in row]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "killed"), [("mlp", False), ("gpt", True)])
def test_a_run_that_was_edited_sampled_paused_killed_stopped_and_resumed_is_replayed_to_the_bit(
    kind: str, killed: bool, workers: Any, new_run: Callable[..., RunDirectory], wait_until: WaitUntil
) -> None:
    flags = {"training__eval_interval": 40, "training__checkpoint_interval": 100, "sampling__interval": 150}
    run = new_run(kind, training__max_steps=100_000, training__log_interval=7, **flags)

    def edit(path: str, value: Any) -> None:
        count = len(edits_of(run))
        run.send(Edit(path=path, value=value))
        wait_until(lambda: len(edits_of(run)) > count, 20, "the edit")

    def trains_on(steps: int) -> None:
        step = run.status().step
        wait_until(lambda: run.status().step >= step + steps, 30, "training")

    worker = workers.start(run)
    wait_until(lambda: run.status().step > 30, 40, "training")
    edit("optimizer.learning_rate", 0.02)
    edit("training.eval_interval", 30)
    run.send(requests.Sample(id="one", count=2))
    trains_on(30)
    run.send(requests.Pause())
    wait_until(lambda: run.status().state is RunState.PAUSED, 20, "the pause")
    edit("optimizer.weight_decay", 0.5)
    run.send(requests.Continue())
    trains_on(30)
    if killed:
        edit("training.checkpoint_interval", 1_000_000)
        trains_on(30)
        edit("optimizer.learning_rate", 0.005)  # the checkpoint that the run goes back to is older than this
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
        undone = edits_of(run)[-1].step
        workers.start(run, Mode.RESUME, **{"training.grad_clip": 0.5})
        wait_until(lambda: run.status().state is RunState.RUNNING, 40, "the resumed run")
        resumed_at = edits_of(run)[-1].step
        assert edits_of(run)[-2].step == resumed_at < undone, "the edit holds from the step to which the run went back"
        trains_on(20)
    run.send(requests.Stop())
    wait_until(lambda: run.status().state is RunState.STOPPED, 30, "the stop")
    for more in (33, 18)[: 1 + killed]:  # both ends lie between two rows
        run.send(requests.Release())
        end = run.status().step + more
        workers.start(run, Mode.RESUME, **{"training.max_steps": end})
        wait_until(lambda: (run.status().state, run.status().step) == (RunState.FINISHED, end), 40, "the rest")  # noqa: B023
    run.send(requests.Release())

    before = run.metrics_path.read_bytes(), run.events_path.read_bytes()
    planned = plan(run)
    assert [edit.value for edit in planned.replay.edits][:2] == [0.02, 30]
    again = create_replay(planned)
    replayer = workers.start(again)
    wait_until(lambda: not again.status().state.is_live, 60, "the replay")
    compared = compare(run, again, planned.replay.to)
    assert compared.equal, str(compared)
    assert compared.rows == len(rows(run)) > 20
    assert compared.checkpoints[-1] == run.status().step == again.status().step
    assert again.status().state is RunState.FINISHED
    assert [(edit.step, edit.path) for edit in edits_of(again)] == [(edit.step, edit.path) for edit in edits_of(run)]
    assert (run.metrics_path.read_bytes(), run.events_path.read_bytes()) == before, "the run itself is not touched"
    wait_until(lambda: not replayer.is_alive, 20, "the end of the replay's worker, which nobody is going to ask")


def test_a_run_that_was_given_more_steps_twice_and_ended_early_is_replayed(
    new_run: Callable[..., RunDirectory],
) -> None:
    run = new_run("gpt", training__max_steps=10, training__eval_interval=5)
    drop(run.inbox, Edit(path="optimizer.learning_rate", value=0.01))
    work(run)
    work(run, Mode.RESUME, **{"training.max_steps": 23})
    work(run, Mode.RESUME, **{"training.max_steps": 30, "optimizer.learning_rate": 0.002})
    again, compared = replayed(run)
    assert compared.equal, str(compared)
    assert (compared.rows, compared.checkpoints) == (len(rows(run)), (23, 30))
    assert rows(again) == rows(run)
    part, shorter = replayed(run, to=17)
    assert shorter.equal, str(shorter)
    assert shorter.rows == len([step for step in rows(run) if step <= 17])
    assert part.status().step == 17


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("ngram", {}),
        ("rnn", {"model.n_hidden": "12", "training.eval_batches": "0"}),
        ("transformer", {"model.d_model": "16", "model.d_ff": "16", "model.n_head": "2", "optimizer.kind": "muon"}),
        ("wavenet", {"model.n_hidden": "8", "schedule.kind": "one-cycle"}),
        (
            "dcgan",
            {"model.n_generator": "4", "model.n_discriminator": "4", "data.limit": "40"},
        ),
    ],
)
def test_every_kind_of_training_is_replayed(kind: str, flags: dict[str, str], names: Path) -> None:
    flags = flags | ({"data.dataset": str(names)} if kind != "dcgan" else {})
    if kind != "ngram":
        flags |= {
            "training.device": "cpu",
            "training.max_steps": "9",
            "training.batch_size": "8",
            "training.log_interval": "4",
        }
    run = create(with_flags(starting_tree(kind), flags))
    if kind != "ngram":
        drop(run.inbox, Edit(path="optimizer.weight_decay", value=0.01))
    work(run)
    if kind != "ngram":
        work(run, Mode.RESUME, **{"training.max_steps": 15, "optimizer.learning_rate": 0.003})
    again, compared = replayed(run)
    assert compared.equal, str(compared)
    assert compared.rows == len(rows(run)) >= 2
    assert run.checkpoints()[-1] in compared.checkpoints
    assert len(edits_of(again)) == len(edits_of(run)) == (0 if kind == "ngram" else 3)


def test_a_changed_row_a_missing_row_and_other_weights_are_found(new_run: Callable[..., RunDirectory]) -> None:
    run = work(new_run(training__max_steps=40, training__eval_interval=20))
    again, compared = replayed(run)
    assert compared.equal, str(compared)
    assert str(compared).startswith(f"{len(rows(run))} rows up to step 40 and the weights of step")
    assert str(compared).endswith("40, all equal to the bit.")
    written = JsonLinesTail(run.metrics_path).read()
    place = next(number for number, row in enumerate(written) if row["step"] == 24)
    changed = written[place] | {"train_loss": written[place]["train_loss"] + 1e-6}
    run.metrics_path.write_bytes(b"".join(json_line(row) for row in [*written[:place], changed, *written[place + 1 :]]))
    found = compare(run, again, 40)
    assert not found.equal
    assert (found.rows, found.difference.step, found.difference.column) == (place, 24, "train_loss")
    assert "1e-06 apart" in str(found)

    run.metrics_path.write_bytes(b"".join(json_line(row) for row in [*written[:place], *written[place + 1 :]]))
    found = compare(run, again, 40)
    assert f"after {place} equal rows: at step 24 the replay has a train_loss" in str(found)

    run.metrics_path.write_bytes(b"".join(json_line(row) for row in written))
    weights = run.checkpoint_path(40) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = compare(run, again, 40)
    assert (found.difference, found.other_weights, found.equal) == (None, (40,), False)
    assert "but not the weights of step 40" in str(found)


def test_a_replay_takes_no_edits_of_its_own_and_continues_with_those_it_has_not_made(
    new_run: Callable[..., RunDirectory],
) -> None:
    run = work(new_run(training__max_steps=10))
    work(run, Mode.RESUME, **{"training.max_steps": 20})
    work(run, Mode.RESUME, **{"training.max_steps": 30})
    planned = plan(run)
    again = create_replay(planned)
    drop(again.inbox, Edit(path="optimizer.learning_rate", value=0.9))
    work(again)
    [failed] = [row for row in JsonLinesTail(again.events_path).read() if row["event"] == "failed"]
    assert f"this run replays {run.name} and follows its record" in failed["message"]

    halted = create_replay(planned)
    meta = halted.meta()
    halted.meta_path.write_text(json.dumps(meta | {"replay": meta["replay"] | {"to": 12}}))
    work(halted)
    assert (halted.status().state, halted.status().step) == (RunState.STOPPED, 12)
    halted.meta_path.write_text(json.dumps(meta))
    work(halted, Mode.RESUME)
    assert compare(run, halted, 30).equal, "one that was stopped goes on as the record says"
    assert [again.name, halted.name] == [f"{run.name}-replay", f"{run.name}-replay-2"]


def test_what_cannot_be_replayed_is_refused_with_a_sentence(names: Path, new_run: Callable[..., RunDirectory]) -> None:
    empty = new_run()
    empty.write_status(empty.written_status().model_copy(update={"state": RunState.FAILED}))
    with pytest.raises(UserError, match="has logged no step"):
        plan(empty)
    run = work(new_run(training__max_steps=8))
    for to in (0, 9):
        with pytest.raises(UserError, match="a step from 1 to 8"):
            plan(run, to)
    meta = run.meta()
    for changes, says in (
        ({"parent": {"run": "first", "step": 3}}, "is a fork of first"),
        ({"data_sha256_before": ["0" * 64]}, "The data of .* were changed while it trained"),
    ):
        run.meta_path.write_text(json.dumps(meta | changes))
        with pytest.raises(UserError, match=says):
            plan(run)
    run.meta_path.write_text(json.dumps(meta))
    status = run.written_status()
    run.write_status(status.model_copy(update={"state": RunState.RUNNING, "pid": os.getpid()}))
    with pytest.raises(UserError, match="once it is paused or over"):
        plan(run)
    run.write_status(status)
    names.write_text(names.read_text().upper())
    again, _ = replayed(run)
    assert again.status().state is RunState.FAILED
    assert f"have changed since {run.name} was trained on them" in again.status().message


def test_a_run_that_went_on_elsewhere_is_replayed_as_far_as_it_was_on_one_device(
    new_run: Callable[..., RunDirectory],
) -> None:
    run = work(new_run(training__max_steps=8))
    work(run, Mode.RESUME, **{"training.max_steps": 16})
    events = JsonLinesTail(run.events_path).read()
    at = next(number for number, row in enumerate(events) if row["event"] == "ready" and row["step"] == 8)
    events[at]["device"] = "cuda:0"
    run.events_path.write_bytes(b"".join(json_line(row) for row in events))
    planned = plan(run)
    assert planned.replay.to == 8
    assert planned.limit == "it trained on cuda:0 from there on, which rounds and draws otherwise"
    _, compared = replayed(run)
    assert compared.equal, str(compared)
    assert compared.checkpoints == (8,)

    events[0 if events[0]["event"] == "ready" else 1]["device"] = "cuda:0"
    run.events_path.write_bytes(b"".join(json_line(row) for row in events))
    planned = plan(run)
    assert (planned.replay.to, planned.limit) == (16, "")
    again = work(create_replay(planned))
    with pytest.raises(UserError, match=f"{run.name} could not be replayed: .*cuda"):
        outcome(planned, again)


def test_a_run_that_was_stopped_before_its_first_step_has_no_row_twice(new_run: Callable[..., RunDirectory]) -> None:
    run = new_run(training__max_steps=8)
    drop(run.inbox, requests.Stop())
    work(run)
    assert (run.status().state, run.checkpoints(), rows(run)) == (RunState.STOPPED, [0], [0])
    work(run, Mode.RESUME)
    assert rows(run) == [0, 1, 4, 8, 8]
    _, compared = replayed(run)
    assert compared.equal, str(compared)


def test_a_run_that_ended_before_its_last_step_and_was_continued_is_replayed_with_both_its_ends(
    new_run: Callable[..., RunDirectory],
) -> None:
    run = new_run("gpt", training__max_steps=30, training__eval_interval=10)
    meta = run.meta()
    run.meta_path.write_text(json.dumps(meta | {"replay": {"run": "whatever ended it", "to": 17, "ends": [17]}}))
    work(run)
    assert (run.status().state, run.status().step) == (RunState.FINISHED, 17)
    run.meta_path.write_text(json.dumps({name: value for name, value in run.meta().items() if name != "replay"}))
    work(run, Mode.RESUME, **{"optimizer.learning_rate": 0.02})
    assert rows(run)[-2:] == [30, 30]
    assert rows(run).count(17) == 2, "the row of the last steps, and an evaluation"
    planned = plan(run)
    assert planned.replay.ends == (17, 30)
    again, compared = replayed(run)
    assert compared.equal, str(compared)
    assert again.status().state is RunState.FINISHED
