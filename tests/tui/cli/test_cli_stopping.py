"""Runs that stop by themselves and their test split, on the command line."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from command_line import Answer, Shell

from torchtty.engine.contract.run.status import RunState

Here = Callable[..., Answer]
pytestmark = pytest.mark.timeout(600)
SMALL = [
    *(
        "--model.n_hidden",
        "16",
        "--training.batch_size",
        "8",
        "--training.eval_batches",
        "0",
        "--sampling.interval",
        "0",
    ),
    *("--eval_interval", "20", "--max_steps", "60000", "--training.device", "cpu", "--data.limit", "400"),
    *("--training.target_loss", "2.7", "--data.test_fraction", "0.2"),
]


def test_a_run_says_why_it_stopped_and_what_its_test_split_came_to(shell: Shell, here: Here) -> None:
    trained = shell("train", "mlp", "--name", "early", *SMALL)
    assert trained.code == 0
    assert "early  finished by target_loss  " in trained.out
    assert "Stopped at its target: val_loss came to 2.6" in trained.out.replace("\n", " ")
    assert "torchtty resume early --training.target_loss none" in trained.out
    listed = here("runs", columns=120).out
    assert "finished by target_loss" in listed
    entry = next(run for run in json.loads(here("runs", "--json").out) if run["run"] == "early")
    shown = json.loads(here("show", "early", "--json").out)
    assert entry["ended_by"] == shown["ended_by"] == "training.target_loss"
    assert entry["message"] == shown["message"]
    assert entry["test"] == shown["test"]
    assert entry["test"].keys() == {"step", "test_loss", "val_loss"}
    assert f"{entry['test']['test_loss']:.4f}  with the weights of step" in here("show", "early").out

    refused = here("resume", "early")
    assert refused.code == 2
    assert "early was ended by training.target_loss 2.7 at step" in refused.err
    assert "add --training.target_loss none or a lower one" in refused.err
    further = ["--training.target_loss", "none", "--training.max_steps", str(entry["step"] + 40)]
    resumed = json.loads(shell("resume", "early", *further, "--json").out)
    assert (resumed["state"], resumed["step"], resumed["ended_by"]) == ("finished", entry["step"] + 40, "")

    shell("stop", "early")  # lets the model go, so that the next one needs a worker of its own
    tested = json.loads(shell("test", "early", "--json").out)
    assert (tested["run"], tested["weights"]) == ("early", "best")
    assert tested["metrics"] == {name: value for name, value in resumed["test"].items() if name != "step"}


def test_a_run_without_a_test_split_is_refused_with_how_to_have_one(write_run: Callable[..., Any], here: Here) -> None:
    write_run("plain").status(RunState.FINISHED, step=1000)
    answer = here("test", "plain")
    assert answer.code == 1
    assert "plain has no test split. Train a run with --data.test_fraction 0.1" in answer.err.replace("\n", " ")
    write_run("pictures", "dcgan").status(RunState.FINISHED, step=1000)
    assert "DCGAN has no loss on a test split" in here("test", "pictures").err.replace("\n", " ")
    write_run("new", data__test_fraction="0.1").status(RunState.STARTING)
    assert "new is starting and has no model yet" in here("test", "new").err


@pytest.mark.parametrize(
    ("rule", "value", "edit"), [("patience", "5", "5"), ("max_seconds", "60", "30"), ("target_loss", "2", "2.5")]
)
def test_a_rule_that_would_end_the_run_again_is_refused(
    write_run: Callable[..., Any], here: Here, rule: str, value: str, edit: str
) -> None:
    run = write_run(f"by-{rule}", **{f"training__{rule}": value})
    run.status(RunState.FINISHED, step=500, seconds=60.5, ended_by=f"training.{rule}")
    run.checkpoint(500)
    answer = here("resume", f"by-{rule}", f"--training.{rule}", edit)
    assert answer.code == 2
    assert f"by-{rule} was ended by training.{rule} {value} at step 500" in answer.err.replace("\n", " ")
    assert "takes a number" in here("resume", f"by-{rule}", f"--training.{rule}", "soon").err.replace("whole ", "")


def test_the_settings_of_the_rules_are_listed_with_what_they_do(here: Here) -> None:
    listed = here("train", "gpt", "--help", columns=400).out
    assert "--training.patience*" in listed
    assert "--training.max_seconds*" in listed
    assert "a number above 0, or none" in listed
