"""A race from the command line, with real workers: a budget of seconds that a stop divides, and one of steps."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from command_line import PATIENCE, Answer, Shell

from torchtty.engine.contract.experiments.group import RunGroup, find_group
from torchtty.engine.contract.run.events import Summary
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState

pytestmark = pytest.mark.timeout(600)  # workers start one after the other, and a busy machine imports torch slowly

SMALL = ["--data.limit", "200", "--training.device", "cpu", "--training.batch_size", "4"]
SECONDS = 4.5


@dataclass
class Story:
    """What each command answered."""

    group: RunGroup
    midway: dict[str, float]  # seconds of each run once the race had been stopped
    stopped: Answer
    resumed: Answer
    again: Answer


@pytest.fixture(scope="module")
def story(shell: Shell, wait_until: Callable[..., None]) -> Story:
    begun = shell(
        *("race", "given-names", "--seconds", str(SECONDS), "--recipes", "ngram,names-mlp,rnn"),
        *(*SMALL, "--name", "half-raced", "--detach"),
    )
    assert begun.code == 0, begun.err
    group = find_group("half-raced", shell.folder / "runs")
    assert group is not None
    second = group.runs()[1]
    wait_until(lambda: second.status().seconds > 0.3, PATIENCE, "the second model")
    stopped = shell("stop", "half-raced")
    midway = {run.name: run.status().seconds for run in group.runs()}
    resumed = shell("sweep", "--resume", "half-raced", "--workers", "3")
    return Story(group, midway, stopped, resumed, shell("sweep", "--resume", "half-raced"))


def test_a_stopped_race_goes_on_and_each_run_ends_when_its_seconds_are_over_and_once(story: Story) -> None:
    assert (story.stopped.code, story.resumed.code, story.again.code) == (0, 0, 1), story.resumed.err
    assert "nothing to go on with" in story.again.err
    counted, cut, last = story.group.runs()
    assert 0.3 < story.midway[cut.name] < SECONDS
    assert story.midway[last.name] == 0
    for run in (cut, last):
        log = RunLog(run)
        ends = [event for event in log.read().events if isinstance(event, Summary)]
        assert [event.ended_by for event in ends][-1] == "training.max_seconds"
        assert sum(event.ended_by == "training.max_seconds" for event in ends) == 1
        assert SECONDS <= run.status().seconds < SECONDS + 0.5  # the step in which they were over
        times = [time for batch in log.metrics.pop("val_loss") for time in batch.coordinates["seconds"]]
        assert max(times) == pytest.approx(run.status().seconds, abs=0.01)
    assert counted.status().step == 1


def test_its_models_train_one_after_the_other(story: Story) -> None:
    _, cut, last = story.group.runs()
    begins = [next(e.time for e in RunLog(run).read().events if e.event == "ready") for run in (cut, last)]
    ends = [[e.time for e in RunLog(run).read().events if isinstance(e, Summary)][-1] for run in (cut, last)]
    assert begins[1] >= ends[0] or begins[0] >= ends[1]


def test_the_table_says_what_each_has_bought(story: Story) -> None:
    text = " ".join(story.resumed.out.split())
    assert "half-raced: given-names, 4.5 seconds each" in text
    assert "bought" in text
    rows = [line.split() for line in story.resumed.out.splitlines()]
    bits = [float(row[5]) for row in rows if row[:1] and row[0] in ("chance", "ngram", "names-mlp", "rnn")]
    assert len(bits) == 4
    assert bits[1:] == sorted(bits[1:], reverse=True)  # on so little text a network may end above chance


def test_a_race_of_steps_gives_each_so_many_and_json_says_where_they_are(shell: Shell) -> None:
    done = shell("race", "--steps", "12", "--recipes", "ngram,rnn,mlp", *SMALL, "--name", "dozen", "--json")
    assert done.code == 0, done.err
    answer: dict[str, Any] = json.loads(done.out)
    assert [(run["settings"]["model"], run["step"]) for run in answer["runs"]] == [
        ("ngram", 1),
        ("rnn", 12),
        ("mlp", 12),
    ]
    assert all(run["state"] == RunState.FINISHED for run in answer["runs"])
    shown = shell("results", "dozen", "--format", "csv")
    assert shown.out.splitlines()[0] == "model,parameters,steps,seconds,FLOPs,bits/char,bought"
    assert shell("delete", "dozen", "--yes").code == 0
    assert find_group("dozen", shell.folder / "runs") is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "1", "--steps", "2"], "one budget"),
        (["--seconds", "0"], "a number of seconds above 0"),
        (["digits"], "digits are pictures"),
        (["--recipes", "names-mlp"], "two models or more"),
        (["--recipes", "names-mlp,nams-gpt"], "names-gpt"),
        (["given-names", "ngram", "mlp"], "--recipes NAME,NAME says which models"),
        (["no-such-text"], "neither a known dataset nor a file"),
        (["--model.n_hats", "3"], "not a setting of any"),
    ],
)
def test_mistakes_are_said_before_anything_starts(
    arguments: list[str], message: str, here: Callable[..., Answer]
) -> None:
    answer = here("race", *arguments)
    assert answer.code != 0
    assert message in " ".join(answer.err.split())
