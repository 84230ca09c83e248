"""A group from the command line: several runs trained by one worker, stopped, and gone on with one by one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from command_line import PATIENCE, Answer, Shell, interrupted

from torchtty.engine.contract.experiments.group import find_group
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status
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
        "train", "mlp", "--name", "tens", "--training.seed", "1..3", "--max_steps", "1000000", *TINY
    )
    try:
        last = RunDirectory(runs / "tens-seed-3")
        wait_until(lambda: "val_loss" in last.status().metrics or following.poll() is not None, PATIENCE)
        assert following.poll() is None, following.communicate()
        group = find_group("tens", runs)
        assert group is not None
        members = group.runs()
        midway = {run.name: run.status().state for run in (group.directory, *members)}
        workers = {run.status().pid for run in (group.directory, *members)}
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
    assert "mean and sd of 3" in story.stopped.out


def test_a_run_of_the_group_is_resumed_and_sampled_alone(story: Story) -> None:
    assert story.resumed.code == 0, story.resumed.err
    assert json.loads(story.resumed.out)["state"] == "finished"
    assert story.sampled.code == 0, story.sampled.err
    assert len(json.loads(story.sampled.out)["samples"]) == 1


def test_a_run_that_diverges_fails_alone_and_the_exit_code_says_so(story: Story) -> None:
    assert story.swept.code == 1
    found = json.loads(story.swept.out)
    assert [run["state"] for run in found["runs"]] == ["finished", "failed"]
    assert found["state"] == "finished"
    assert "training has diverged" in found["runs"][1]["message"]
    assert "1 of 2 runs failed" in story.swept.err


def test_a_group_that_is_over_is_not_stopped_again(story: Story, here: Callable[..., Answer]) -> None:
    answer = here("stop", "tens")
    assert answer.code == 0
    assert "tens is stopped: there is nothing to stop" in answer.err


def test_a_group_is_shown_and_deleted_with_its_runs(story: Story, here: Callable[..., Answer], shell: Shell) -> None:
    shown = here("show", "pulls", columns=160)
    assert "weight_decay 100" in shown.out
    assert "failed" in shown.out
    assert [run["state"] for run in json.loads(here("show", "pulls", "--json").out)["runs"]] == ["finished", "failed"]
    assert here("delete", "pulls", "--yes").code == 0
    assert not list((shell.folder / "runs").glob("pulls*"))
    assert (shell.folder / "runs" / "tens").exists()


def test_a_replay_of_a_member_is_refused_with_the_reason(story: Story, here: Callable[..., Answer]) -> None:
    answer = here("replay", "tens-seed-1")
    assert answer.code == 1
    assert "would not be bit for bit" in answer.err


@pytest.mark.parametrize("values", ["64,128", "100,200", "16..18"])
def test_several_values_of_a_shape_are_refused_with_what_may_differ(here: Callable[..., Answer], values: str) -> None:
    answer = here("train", "mlp", "--model.n_hidden", values, "--name", "never", columns=None)
    assert answer.code == 2
    assert "--model.n_hidden takes one value: the runs of a group may differ in" in answer.err
    assert "optimizer.learning_rate" in answer.err
    assert "training.seed" in answer.err
    assert "n_embd" not in answer.err


def test_a_model_that_counts_has_no_group(here: Callable[..., Answer]) -> None:
    answer = here("train", "ngram", "--training.seed", "1..3")
    assert answer.code == 2
    assert "one run at a time" in answer.err
