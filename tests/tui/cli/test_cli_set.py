"""A run that is changed while it trains, saved, and trained again by its record, from the command line."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from command_line import PATIENCE, Answer, Shell

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import JsonLinesTail, json_line
from torchtty.engine.contract.run.log import edits_of

pytestmark = pytest.mark.timeout(300)

TINY = [
    *("--model.n_hidden", "8", "--training.batch_size=8", "--training.log_interval", "5", "--training.device", "cpu"),
    *("--training.eval_interval", "200", "--training.eval_batches", "1", "--sampling.interval", "0"),
]


@pytest.fixture(scope="module")
def run(shell: Shell, wait_until: Callable[..., None]) -> Iterator[RunDirectory]:
    """A run that trains."""
    assert shell("train", "mlp", "--name", "live", "--max_steps", "1000000", *TINY, "--detach").code == 0
    run = RunDirectory(shell.folder / "runs" / "live")
    wait_until(lambda: run.status().step > 50, PATIENCE, "training")
    yield run
    shell("stop", "live")


Here = Callable[..., Answer]


def test_settings_change_together_and_the_answer_says_what_they_were_and_when(run: RunDirectory, here: Here) -> None:
    answer = here("set", "liv", "lr=0.05", "optimizer.weight_decay=1e-3")
    assert answer.code == 0, answer.err
    first, second = edits_of(run)[-2:]
    assert answer.out.splitlines() == [
        f"optimizer.learning_rate 0.1 → 0.05 at step {first.step:,}",
        f"optimizer.weight_decay 0 → 1e-3 at step {second.step:,}",
    ]
    result = json.loads(here("set", "live", "eval-interval=150", "--json").out)
    [edit] = result["edits"]
    assert (edit["path"], edit["old"], edit["value"]) == ("training.eval_interval", 200, 150)
    assert edit["step"] == edits_of(run)[-1].step


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("learning_rate=fast", "optimizer.learning_rate cannot be 'fast': it takes a number above 0 and up to 100."),
        ("optimizer.lerning_rate=1", "no setting of MLP. Did you mean optimizer.learning_rate?"),
        ("nothing=1", "What can change is optimizer.learning_rate, optimizer.weight_decay, training.max_steps,"),
        ("n_hidden=30", "'torchtty fork live --model.n_hidden 30' begins with the weights of this one."),
        ("training.device=cuda", "'torchtty resume live --training.device cuda'"),
        ("max_steps=1", "training.max_steps cannot be 1: the run has done"),
        ("eval_interval", "training.eval_interval needs a value"),
    ],
)
def test_nothing_changes_where_one_change_cannot_be(run: RunDirectory, here: Here, change: str, says: str) -> None:
    before = edits_of(run)
    answer = here("set", "live", "weight_decay=0.5", change)
    assert answer.code == 2
    assert says in answer.err
    assert list(run.inbox.glob("*.json")) == []
    assert edits_of(run) == before


def test_a_checkpoint_is_saved_now(run: RunDirectory, here: Here) -> None:
    answer = here("checkpoint", "live", "--json")
    assert answer.code == 0, answer.err
    step = json.loads(answer.out)["step"]
    assert step in run.checkpoints()
    assert "'torchtty" not in answer.err


def test_a_paused_run_is_changed_saved_and_replayed_and_a_stopped_one_says_how_to_change_it(
    run: RunDirectory, shell: Shell, here: Here
) -> None:
    assert "once it is paused or over" in here("replay", "live").err
    assert here("pause", "live").code == 0
    step = run.status().step
    assert f"→ 0.02 at step {step:,}" in here("set", "live", "learning_rate=0.02").out
    assert f"live is saved as of step {step:,}" in here("checkpoint", "live").err
    answer = here("replay", "live", "--to", str(step // 2))
    assert (answer.code, "all equal to the bit" in answer.out) == (0, True), answer

    assert here("stop", "live").code == 0
    assert (
        "'torchtty resume live --optimizer.learning_rate 0.5' continues it"
        in here("set", "live", "learning_rate=0.5").err
    )
    assert "live is stopped: its latest checkpoint stands." in here("checkpoint", "live").err
    assert here("replay", "live", "--to", "soon").code == 2

    answer = here("replay", "live", "--json", "--keep")
    result: dict[str, Any] = json.loads(answer.out)
    assert (answer.code, result["equal"], result["to"], result["checkpoints"][-1]) == (0, True, step, step)
    assert [edit["path"].split(".")[1] for edit in result["edits"]] == [
        *("learning_rate", "weight_decay", "eval_interval", "learning_rate")
    ]
    assert f"live up to step {step:,}" in here("show", result["replay"]).out

    rows = JsonLinesTail(run.metrics_path).read()
    at = next(number for number, row in enumerate(rows) if "train_loss" in row and row["step"] > 40)
    rows[at]["train_loss"] *= 1.0001
    run.metrics_path.write_bytes(b"".join(map(json_line, rows)))
    answer = here("replay", "live", "--to", "60")
    assert answer.code == 1
    assert f"differs after {at} equal rows: train_loss at step {rows[at]['step']}" in answer.out
    assert sorted(path.name for path in (shell.folder / "runs").glob("live*")) == ["live", "live-replay"]
