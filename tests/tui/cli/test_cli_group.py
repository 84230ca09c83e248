"""A sweep from the command line: several runs trained by one worker, stopped, and gone on with one by one."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from command_line import PATIENCE, Answer, Shell, interrupted

from torchtty.engine.contract.experiments.group import find_group, list_groups
from torchtty.engine.contract.experiments.sweep import define
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree
from torchtty.engine.contract.settings.families import family_of
from torchtty.tui.cli.group import spread

pytestmark = pytest.mark.timeout(600)  # workers start one after the other, and a busy machine imports torch slowly

TINY = [
    *("--model.n_hidden", "16", "--training.batch_size=8", "--training.log_interval", "5"),
    *("--training.eval_interval", "20", "--training.eval_batches", "1", "--sampling.interval", "0"),
    *("--training.device", "cpu", "--sampling.max_tokens", "12"),
]


@dataclass
class Story:
    """What each command answered."""

    midway: dict[str, Any]
    stopped: Answer
    states: list[RunState]
    workers: set[int]
    resumed: Answer
    sampled: Answer
    swept: Answer


@pytest.fixture(scope="module")
def story(shell: Shell, wait_until: Callable[..., None]) -> Story:
    runs = shell.folder / "runs"
    following = shell.begin(
        *("sweep", "mlp", "--name", "tens", "--training.seed", "1..3", "--workers", "1", "--max_steps", "1000000"),
        *TINY,
    )
    try:
        last = RunDirectory(runs / "tens-seed-3")
        wait_until(lambda: "val_loss" in last.status().metrics or following.poll() is not None, PATIENCE)
        assert following.poll() is None, following.communicate()
        group = find_group("tens", runs)
        assert group is not None
        members = group.runs()
        midway = {run.name: run.status().state for run in (group.directory, *members)}
        workers = {run.status().pid for run in members}
        refused = shell("pause", "tens-seed-1")
        stopped = interrupted(following)
    finally:
        following.kill()
    assert refused.code == 1
    assert "trains in the group tens" in refused.err
    states = [run.status().state for run in (group.directory, *members)]
    step = members[1].status().step
    resumed = shell("resume", "tens-seed-2", "--training.max_steps", str(step + 40), "--json")
    sampled = shell("sample", "tens-seed-3", "--count", "1", "--seed", "3", "--json")
    swept = shell(
        "train", "mlp", "--name", "pulls", "--optimizer.weight_decay", "0,100", "--max_steps", "100", *TINY, "--json"
    )
    return Story(midway, stopped, states, workers, resumed, sampled, swept)


def test_one_worker_trains_every_run_of_the_group(story: Story) -> None:
    assert story.midway == dict.fromkeys(("tens", "tens-seed-1", "tens-seed-2", "tens-seed-3"), RunState.RUNNING)
    assert len(story.workers) == 1


def test_the_progress_tells_how_many_runs_there_are_and_how_far_they_lie_apart() -> None:
    good = [
        Status(state=RunState.RUNNING, metrics={"val_loss": value, "train_loss": 2.0}) for value in (2.28, 2.3, 2.35)
    ]
    family = family_of("mlp")
    assert spread(good, family) == "3 runs · val 2.310 (2.280 to 2.350)"
    failed = Status(state=RunState.FAILED, metrics={"val_loss": 9.0})
    assert spread([*good, failed], family) == "4 runs · val 2.310 (2.280 to 2.350) · 1 failed"
    assert spread([Status(metrics={"train_loss": 2.0}), Status()], family) == "2 runs"


def test_ctrl_c_stops_every_run_with_a_checkpoint(story: Story, shell: Shell) -> None:
    assert story.stopped.code == 130
    assert story.states == [RunState.STOPPED] * 4
    for seed in (1, 3):
        run = RunDirectory(shell.folder / "runs" / f"tens-seed-{seed}")
        assert run.checkpoints()[-1] == run.status().step
    assert story.stopped.out.count("tens: validation loss") == 1
    rows = [line.split() for line in story.stopped.out.splitlines() if line.endswith("stopped")]
    assert [row[0] for row in rows] == ["1", "2", "3"]


def test_a_run_of_the_group_is_resumed_and_sampled_alone(story: Story) -> None:
    assert story.resumed.code == 0, story.resumed.err
    assert json.loads(story.resumed.out)["state"] == "finished"
    assert story.sampled.code == 0, story.sampled.err
    assert len(json.loads(story.sampled.out)["samples"]) == 1


def test_a_run_that_diverges_is_a_result_and_the_others_go_on(story: Story) -> None:
    assert story.swept.code == 0, story.swept.err
    found = json.loads(story.swept.out)
    assert [run["state"] for run in found["runs"]] == ["finished", "failed"]
    assert found["state"] == "finished"
    assert "training has diverged" in found["runs"][1]["message"]
    assert [run["diverged"] for run in found["runs"]] == [False, True]
    assert found["message"] == "Of 2 runs 1 diverged."


def test_a_group_that_is_over_is_not_stopped_again(story: Story, here: Callable[..., Answer]) -> None:
    answer = here("stop", "tens")
    assert answer.code == 0
    assert "tens is stopped: there is nothing to stop" in answer.err


def test_a_group_is_shown_and_deleted_with_its_runs(story: Story, here: Callable[..., Answer], shell: Shell) -> None:
    shown = here("show", "pulls", columns=160)
    assert "weight_decay" in shown.out.splitlines()[0]
    assert "diverged" in shown.out
    assert [run["state"] for run in json.loads(here("show", "pulls", "--json").out)["runs"]] == ["finished", "failed"]
    assert here("delete", "pulls", "--yes").code == 0
    assert not list((shell.folder / "runs").glob("pulls*"))
    assert (shell.folder / "runs" / "tens").exists()


def test_a_replay_of_a_member_is_refused_with_the_reason(story: Story, here: Callable[..., Answer]) -> None:
    answer = here("replay", "tens-seed-1")
    assert answer.code == 1
    assert "would not be bit for bit" in answer.err


@pytest.mark.parametrize(("values", "runs"), [("64,128", 2), ("100,200", 2), ("16..18", 3)])
def test_a_shape_takes_several_values_too(values: str, runs: int) -> None:
    assert define(starting_tree("mlp"), {"model.n_hidden": values}).runs == runs


def test_a_sweep_says_what_it_amounts_to_before_it_starts(here: Callable[..., Answer], shell: Shell) -> None:
    before = list_groups(shell.folder / "runs")
    answer = here("sweep", "mlp", "--model.n_hidden", "16,17", *TINY[2:], "--dry-run", columns=None)
    assert answer.code == 0, answer.err
    first, second = answer.err.splitlines()
    assert first == "2 runs: n_hidden 16, 17 (every combination)."
    assert re.fullmatch(r"about \d+ (s|min), \d+ MB of memory, \d+ MB on disk: 2 models(, 1)? at once\.", second)
    assert [group.name for group in list_groups(shell.folder / "runs")] == [group.name for group in before]


def test_what_a_sweep_cannot_do_is_said_before_anything_starts(here: Callable[..., Answer]) -> None:
    for arguments, said in (
        (("mlp",), "Nothing varies in mlp"),
        (("mlp", "--learning_rate", "1e-3..1"), "a grid needs to know how many"),
        (("mlp", "--seed", "1..10", "--n_hiden", "3"), "did you mean --model.n_hidden?"),
        (("mlp", "--training.seed", "1..400", "--learning_rate", "0.1,0.2"), "800 runs, and a sweep has 500 at most"),
        (("ngram", "--training.seed", "1..3", "--plan", "halving"), "no rounds of halving"),
        (("gpt", "--model.n_embd", "32,33", "--model.n_head", "4"), "n_embd"),
        (("mlp", "--optimizer.kind", "adam,sdg"), "cannot be 'sdg'"),
        (("mlp", "--seed", "1,2", "--plan", "hill"), "Known are grid, random"),
    ):
        answer = here("sweep", *arguments, columns=None)
        assert answer.code in (1, 2), (arguments, answer)
        assert said in answer.err, (arguments, answer.err)
