"""The commands fork and pin: a run that was trained by a command is forked by one, and what does not fit is refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from command_line import Answer, Shell

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status

pytestmark = pytest.mark.timeout(600)

TINY = [
    *("--model.n_hidden", "16", "--training.batch_size=8", "--training.log_interval", "5", "--max_steps", "40"),
    *("--training.eval_interval", "20", "--training.eval_batches", "1", "--sampling.interval", "0"),
    *("--training.device", "cpu", "--training.checkpoint_interval", "20", "--sampling.max_tokens", "12"),
]


@dataclass
class Story:
    """What each command answered."""

    same: Answer
    refused: Answer
    detached: Answer


@pytest.fixture(scope="module")
def story(shell: Shell) -> Story:
    assert shell("train", "mlp", "--name", "origin", "--json", *TINY).code == 0
    same = shell("fork", "origin", "--step", "20", "--name", "same", "--json")
    refused = shell("fork", "origin", "--step", "20", "--model.n_embd", "12", "--name", "refused")
    detached = shell("fork", "origin", "--step", "20", "--optimizer.learning_rate", "0.01", "--detach", "--json")
    for name in ("same", "origin-fork-1"):
        shell("stop", name)
    return Story(same, refused, detached)


def curve(shell: Shell, name: str) -> list[tuple[int, float]]:
    rows = map(json.loads, (shell.folder / "runs" / name / "metrics.jsonl").read_text().splitlines())
    return [(row["step"], row["train_loss"]) for row in rows if "train_loss" in row]


def test_an_unchanged_fork_repeats_its_parent(story: Story, shell: Shell) -> None:
    assert story.same.code == 0
    result = json.loads(story.same.out)
    assert (result["state"], result["step"]) == ("finished", 40)
    assert result["parent"] == {"run": "origin", "step": 20, "changed": {}}
    assert curve(shell, "same") == [point for point in curve(shell, "origin") if point[0] > 20]
    assert "same: fork of origin at step 20" in story.same.err


def test_what_does_not_fit_is_wrong_usage_and_makes_no_run(story: Story, shell: Shell) -> None:
    assert story.refused.code == 2
    assert "--model.n_embd 12 does not fit the checkpoint: embedding.weight is 29x10 there and 29x12 here" in (
        story.refused.err
    )
    assert not (shell.folder / "runs" / "refused").exists()


def test_a_detached_fork_tells_its_name_and_what_it_changed(story: Story) -> None:
    found = json.loads(story.detached.out)
    assert (story.detached.code, found["run"]) == (0, "origin-fork-1")
    assert found["parent"]["changed"]["optimizer.learning_rate"]["value"] == 0.01


def test_runs_lists_forks_below_their_parent_and_show_says_where_one_began(
    story: Story, here: Callable[..., Answer]
) -> None:
    lines = here("runs", columns=None).out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("origin "))
    assert [line.split()[:2] for line in lines[at + 1 : at + 3]] == [["└", "origin-fork-1"], ["└", "same"]]
    entry = next(run for run in json.loads(here("runs", "--json").out) if run["run"] == "same")
    assert entry["parent"]["run"] == "origin"
    shown = here("show", "origin-fork-1", columns=100).out
    assert "Fork of origin at step 20: learning_rate" in shown
    assert "0.01\n" in shown
    assert "fork of      origin at step 20" in shown
    assert "┊" in shown, "the chart marks where it began"


def test_pins_are_set_shown_and_let_go(story: Story, here: Callable[..., Answer]) -> None:
    pinned = here("pin", "origin", "20")
    assert (pinned.code, "step 20 is pinned" in pinned.err) == (0, True)
    assert "20 (pinned)" in here("show", "origin").out or "20 (best, pinned)" in here("show", "origin").out
    assert json.loads(here("show", "origin", "--json").out)["pinned"] == [20]
    assert here("pin", "origin", "20", "--off").code == 0
    assert "pinned" not in here("show", "origin").out
    wrong = here("pin", "origin", "7")
    assert (wrong.code, "There are those at 20, 40." in wrong.err) == (1, True)


def test_forks_that_cannot_be_are_refused_with_what_to_do(
    story: Story, here: Callable[..., Answer], shell: Shell
) -> None:
    for arguments, code, says in [
        ([], 2, "Name one run to fork"),
        (["origin", "--step", "7"], 1, "no checkpoint at step 7. There are those at 20, 40."),
        (["origin", "--step", "x"], 2, "--step"),
        (["origin", "--model.n_hiden", "3"], 2, "did you mean model.n_hidden"),
        (["nothing"], 1, "There is no run called 'nothing'"),
    ]:
        answer = here("fork", *arguments)
        assert (answer.code, says in answer.err) == (code, True), answer
    run = RunDirectory(shell.folder / "runs" / "same")
    empty = RunDirectory(shell.folder / "runs" / "empty")
    empty.steps.mkdir(parents=True)
    empty.config_path.write_bytes(run.config_path.read_bytes())
    empty.write_status(Status(state=RunState.STOPPED))
    assert "empty has no checkpoint to fork from yet." in here("fork", "empty").err
    assert "Begin a new run at a checkpoint" in here("fork", "--help").out
