"""What `results` prints of a group that was written without a worker."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Answer
from written_run import WrittenRun

from torchtty.engine.contract.experiments.group import create_group, find_group
from torchtty.engine.contract.experiments.lifecycle import fork_of
from torchtty.engine.contract.experiments.sweep import define, texts_of
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree

Here = Callable[..., Answer]


@pytest.fixture
def here(here: Here, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The commands, with a group of two rates and two seeds."""
    monkeypatch.setenv("TORCHTTY_RUNS", str(own_folders))
    values = {"optimizer.learning_rate": (0.1, 0.01), "training.seed": (1, 2)}
    group = create_group(starting_tree("mlp"), Variation(values), root=own_folders, name="rates")
    for run, planned in zip(group.runs(), group.planned(), strict=True):
        writer = WrittenRun(run)
        last = round(10 * planned.settings["optimizer.learning_rate"] + 0.01 * planned.settings["training.seed"], 4)
        writer.metrics({"step": 0, "val_loss": 3.0}, {"step": 50, "val_loss": last})
        writer.status(RunState.FINISHED, step=50)
    return here


def test_settings_are_compared_with_the_noise_of_their_seeds(here: Here) -> None:
    answer = here("results", "rates", columns=100)
    assert answer.code == 0
    assert "1.015 ± 0.0071" in answer.out
    assert "learning_rate 0.01 is lower than learning_rate 0.1 by 0.9000, more than the noise of the seeds" in " ".join(
        answer.out.split()
    )
    assert "95 % of mean needs 5 runs of a setting: 2 are too few" in answer.out
    assert max(map(len, here("results", "latest", columns=60).out.splitlines())) <= 60


def test_tables_are_asked_for_by_rows_columns_metric_and_step(here: Here) -> None:
    answer = here("results", "rates", "--rows", "seed", "--columns", "learning_rate", "--at", "50", "--format", "csv")
    assert answer.out.split("\n\n")[0].splitlines() == [
        "seed,learning_rate 0.01,learning_rate 0.1",
        "1,0.11,1.01",
        "2,0.12,1.02",
    ]
    found = json.loads(here("results", "rates", "--json").out)
    assert found["group"] == "rates"
    assert found["tables"][1]["rows"][0][:3] == ["learning_rate 0.01", 2, pytest.approx(0.115)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nothing",), 1, "no group 'nothing'. There are rates."),
        (("rates", "--metric", "x"), 1, "no metric 'x'"),
        (("rates", "--at", "end"), 2, "--at takes steps, last or best"),
        (("rates", "--at", "50,9999"), 2, "rates has no step 9,999: its runs have come to step 50."),
        (("rates", "--format", "pdf"), 2, "no format 'pdf': take one of md, csv, latex, json"),
    ],
)
def test_what_cannot_be_done_is_said(here: Here, arguments: tuple[str, ...], code: int, said: str) -> None:
    answer = here("results", *arguments)
    assert answer.code == code
    assert said in answer.err.replace("\n", " ")


def test_a_group_is_renamed_with_its_runs_and_none_is_lost_to_it(here: Here, own_folders: Path) -> None:
    group = find_group("rates", own_folders)
    group.directory.write_status(group.status().model_copy(update={"state": RunState.FINISHED}))
    (own_folders / "taken-learning_rate-0.01-seed-2").mkdir()  # which the last of its runs would be called
    taken = here("rename", "rates", "taken")
    assert taken.code == 1
    assert "already" in taken.err
    assert len(find_group("rates", own_folders).runs()) == 4
    answer = here("rename", "rates", "speeds")
    assert (answer.code, answer.err) == (0, "rates is called speeds now, and its runs after it.\n")
    assert find_group("rates", own_folders) is None
    renamed = find_group("speeds", own_folders)
    assert [run.name for run in renamed.runs()] == [
        f"speeds-learning_rate-{rate}-seed-{seed}" for rate in ("0.1", "0.01") for seed in (1, 2)
    ]
    assert {run.meta()["group"] for run in renamed.runs()} == {"speeds"}
    assert "1.015 ± 0.0071" in here("results", "speeds", columns=100).out


def test_a_group_is_forked_with_other_settings_and_the_same_question(here: Here, own_folders: Path) -> None:
    group = find_group("rates", own_folders)
    again = fork_of(group, {"training.seed": "5..7", "training.max_steps": "20"})
    assert again.variation.values == {"optimizer.learning_rate": (0.1, 0.01), "training.seed": (5, 6, 7)}
    assert again.tree["training"]["max_steps"] == 20
    single = fork_of(group, {"optimizer.learning_rate": "0.3"})
    assert (single.runs, single.variation.paths) == (2, ["training.seed"])
    wrong = here("fork", "rates", "--training.seed", "one,two")
    assert wrong.code == 2
    assert "--training.seed" in wrong.err
    nothing = here("fork", "rates", "--step", "50")
    assert nothing.code == 2
    assert "its runs begin anew" in nothing.err


def test_what_varies_is_written_so_that_it_is_read_again_to_the_last_digit(own_folders: Path) -> None:
    texts = {
        "optimizer.learning_rate": "1e-4..1e-1 log 7",
        "training.target_loss": "1e-3..1 log",
        "optimizer.kind": "adam,sgd",
        "training.seed": "1..4",
    }
    sweep = define(starting_tree("mlp"), texts)
    assert define(sweep.tree, texts_of(sweep)).variation == sweep.variation
    assert texts_of(sweep)["training.seed"] == "1..4"
