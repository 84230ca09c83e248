"""`torchtty diagnose`, and what `show` says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer

from torchtty.engine.contract.run.status import RunState
from torchtty.tui.cli import doctor

Here = Callable[..., Answer]


@pytest.fixture
def here(here: Here, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The commands, with the runs of this test alone."""
    monkeypatch.setenv("TORCHTTY_RUNS", str(own_folders))
    return here


def diverging(write_run: Callable[..., Any], *checkpoints: int) -> Any:
    written = write_run("hot")
    written.curve(200)
    written.metrics(*({"step": step, "train_loss": 9.0} for step in range(210, 700, 10)))
    written.status(RunState.STOPPED, step=700)
    for step in checkpoints:
        written.checkpoint(step)
    return written


def test_findings_are_printed_with_their_evidence_and_a_command(write_run: Callable[..., Any], here: Here) -> None:
    diverging(write_run, 100, 180, 650)
    answer = here("diagnose", "hot", columns=100)
    assert answer.code == 0
    for part in (
        "⚠ diverges since step 210",
        "The training loss rose from 2.275 around step 190 to 9.000",
        "train_loss · steps 210 to 690 · before 2.2750 · now 9.0000",
        "try       learning_rate 0.02: smaller steps do not overshoot",
        "torchtty fork hot --step 180 --optimizer.learning_rate 0.02",
    ):
        assert part in answer.out
    assert "⚠ diverges since step 210" in here("show", "hot").out


def test_json_holds_the_same_and_a_command_that_trains_anew_where_no_checkpoint_is(
    write_run: Callable[..., Any], here: Here
) -> None:
    written = diverging(write_run)
    told = json.loads(here("diagnose", "hot", "--json").out)
    (finding,) = told["findings"]
    assert (told["run"], finding["name"], finding["first_step"]) == ("hot", "diverges", 210)
    assert finding["change"] == {
        "path": "optimizer.learning_rate",
        "value": 0.02,
        "reason": "smaller steps do not overshoot",
    }
    assert finding["command"] == f"torchtty train {written.run.config_path} --optimizer.learning_rate 0.02"
    assert json.loads(here("show", "hot", "--json").out)["findings"] == told["findings"]


def test_a_healthy_run_and_one_that_cannot_be_read(write_run: Callable[..., Any], here: Here) -> None:
    healthy = write_run("healthy")
    healthy.curve(600)
    healthy.status(step=590)
    assert "Nothing is wrong that the log could tell." in here("diagnose", "healthy").out
    healthy.run.config_path.write_text("[broken")
    answer = here("diagnose", "healthy")
    assert answer.code == 1
    assert "config.toml" in answer.err
    assert here("show", "healthy").code == 0


def test_doctor_says_what_runs_when_a_run_ends(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHTTY_NOTIFY", "no-such-command --to me")
    assert doctor._notified_by(doctor._notifications()).startswith("no-such-command --to me (not found")
    monkeypatch.setenv("TORCHTTY_NOTIFY", "sh -c true")
    assert doctor._notified_by(doctor._notifications()) == "sh -c true (found)"
    monkeypatch.setenv("TORCHTTY_NOTIFY", "'half")
    assert "cannot be read" in doctor._notified_by(doctor._notifications())
