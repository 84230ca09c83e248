"""What `runs`, `show` and the commands that steer a run say of runs that were written without a worker."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Answer
from rich.console import Console

from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.tui.cli.follow import InPlace, fitting

Here = Callable[..., Answer]


@pytest.fixture
def here(here: Here, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The commands, with the runs of this test alone."""
    monkeypatch.setenv("TORCHTTY_RUNS", str(own_folders))
    return here


@pytest.fixture
def three(write_run: Callable[..., Any], tmp_path: Path) -> None:
    """Runs with long words: a model, a dataset and a state each."""
    text = tmp_path / "a-text-with-a-long-name.txt"
    text.write_text("abc\n" * 40, encoding="utf-8")
    for name, kind, flags in (
        ("names-gpt-1", "gpt", {}),
        ("mlp-given-names-12", "mlp", {}),
        ("transformer-on-my-text", "transformer", {"data__dataset": str(text)}),
    ):
        run = write_run(name, kind, **flags)
        losses = {"train_loss": 1.5, "val_loss": 1.6254}
        run.status(RunState.FINISHED, step=123_456, max_steps=123_456, metrics=losses, best=1.6123, best_step=9)


def test_columns_of_runs_give_way_before_a_cell_is_cut(three: None, here: Here) -> None:
    for columns in (120, 100, 80, 60, 40):
        answer = here("runs", columns=columns)
        lines = answer.out.splitlines()
        assert max(map(len, lines)) <= columns
        for name in ("names-gpt-1", "mlp-given-names-12", "transformer-on-my-text"):
            (line,) = [line for line in lines if line.startswith(name)]
            assert re.search(rf"{name}\s+finished", line)
        assert "…" not in answer.out
    at_80 = here("runs", columns=80).out
    assert "val loss" in at_80
    assert "1.6254" in at_80


def test_a_pipe_gets_every_column(three: None, here: Here) -> None:
    answer = here("runs", columns=None)
    for cell in ("transformer", "a-text-with-a-long-name.txt", "123,456", "1.6254", "1.6123", "just now"):
        assert cell in answer.out


def test_runs_that_are_summed_up_differently_name_their_metrics(write_run: Callable[..., Any], here: Here) -> None:
    write_run("words", "mlp").status(step=5, metrics={"train_loss": 1.5, "val_loss": 1.6})
    assert "val loss" in here("runs").out
    write_run("pictures", "dcgan").status(step=5, metrics={"loss_d": 0.51, "loss_g": 3.4})
    answer = here("runs")
    assert "val loss" not in answer.out
    assert "val 1.600" in answer.out
    assert "D 0.51 G 3.40" in answer.out


def test_settings_that_were_changed_live_are_shown_with_what_they_were(
    write_run: Callable[..., Any], here: Here
) -> None:
    run = write_run("edited", optimizer__learning_rate="1e-3")
    run.status(step=900)
    run.event("edit", 470, path="optimizer.learning_rate", value=8e-3, old=1e-3)
    run.event("edit", 480, path="training.grad_clip", value=1.0, old=1.0)  # changed nothing
    run.event("edit", 800, path="optimizer.learning_rate", value=4e-3, old=8e-3)
    shown = here("show", "edited", columns=200).out
    assert "learning_rate 1e-3 → 8e-3 at 470 → 4e-3 at 800" in shown
    assert "differs from the model's default" in shown
    (entry,) = json.loads(here("runs", "--json").out)
    assert entry["settings"]["optimizer"]["learning_rate"] == 4e-3
    assert entry["edits"] == [
        {"step": 470, "path": "optimizer.learning_rate", "old": 1e-3, "value": 8e-3},
        {"step": 800, "path": "optimizer.learning_rate", "old": 8e-3, "value": 4e-3},
    ]
    everything = json.loads(here("show", "edited", "--json").out)
    assert everything["configuration"]["optimizer"]["learning_rate"] == 1e-3
    assert everything["edited"]["optimizer"]["learning_rate"] == 4e-3
    assert everything["edits"] == entry["edits"]


def test_a_stopped_run_says_from_where_it_resumes(write_run: Callable[..., Any], here: Here) -> None:
    run = write_run("halfway")
    run.status(RunState.STOPPED, step=450)
    run.checkpoint(400)
    assert "Stopped · 'torchtty resume halfway' resumes from step 400" in here("show", "halfway").out


def test_a_stopped_run_is_not_resumed_to_fewer_steps_than_it_has_done(
    write_run: Callable[..., Any], here: Here
) -> None:
    run = write_run("halfway")
    run.status(RunState.STOPPED, step=450)
    run.checkpoint(450)
    answer = here("resume", "halfway", "--training.max_steps", "10")
    assert answer.code == 2
    assert "halfway has done 450 steps already" in answer.err


@pytest.mark.parametrize(
    ("command", "state", "checkpoint", "code", "message"),
    [
        ("pause", RunState.FINISHED, True, 1, "one is finished: only a run that trains can be paused."),
        ("pause", RunState.PAUSED, True, 1, "one is paused already."),
        ("stop", RunState.STOPPED, True, 0, "one is stopped: there is nothing to stop."),
        ("resume", RunState.RUNNING, True, 1, "one is running already."),
        ("release", RunState.RUNNING, True, 1, "one is running and needs its model: stop it first."),
        ("release", RunState.FINISHED, True, 0, "one is finished, and its model is not in memory."),
        ("advance", RunState.RUNNING, True, 1, "one is running: it does not wait for a device."),
        ("resume", RunState.STOPPED, False, 1, "one has no checkpoint to resume from."),
        ("sample", RunState.STOPPED, False, 1, "one has no checkpoint, so there is no model to load."),
        ("resume", RunState.FINISHED, True, 2, "one has done 1,000 steps already: add --training.max_steps"),
    ],
)
def test_what_is_not_possible_with_a_run_is_refused_with_the_reason(
    write_run: Callable[..., Any],
    here: Here,
    command: str,
    state: RunState,
    checkpoint: bool,
    code: int,
    message: str,
) -> None:
    run = write_run("one")
    run.status(state, step=1000)
    if checkpoint:
        run.checkpoint(1000)
    answer = here(command, "one")
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert not list(run.run.inbox.iterdir())


def test_the_run_whose_model_is_in_memory_is_named(three: None, write_run: Callable[..., Any], here: Here) -> None:
    assert "in memory" not in here("show", "names-gpt-1").out
    assert "No run keeps a model in memory." in here("release").err
    write_run("warm", "mlp").status(RunState.FINISHED, step=9, device="cpu", parameters=77, serving=True)
    answer = here("runs")
    assert [line.split()[0] for line in answer.out.splitlines() if "finished*" in line] == ["warm"]
    assert "* its model is in memory: 'torchtty release warm' lets it go." in answer.err
    assert [entry["run"] for entry in json.loads(here("runs", "--json").out) if entry["serving"]] == ["warm"]
    assert re.search(r"parameters\s+77 on cpu, in memory", here("show", "warm").out)
    answer = here("release", "warm", "--all")
    assert answer.code == 2
    assert "Either warm or --all" in answer.err


def test_a_model_that_is_trained_in_one_pass_is_not_resumed(write_run: Callable[..., Any], here: Here) -> None:
    write_run("counts", "ngram").status(RunState.FINISHED, step=1, max_steps=1)
    answer = here("resume", "counts")
    assert answer.code == 1
    assert "counts is trained in one pass over the data: there is nothing to resume." in answer.err


@pytest.mark.parametrize("width", [80, 100])
def test_progress_has_name_steps_losses_speed_and_time_left(width: int) -> None:
    status = Status(
        state=RunState.RUNNING,
        step=4512,
        max_steps=50_000,
        steps_per_second=410,
        metrics={"train_loss": 1.84, "val_loss": 1.93},
    )
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    with InPlace(console, "names-gpt-1", family_of("gpt")) as shown:
        shown.show(status)
    drawn = file.getvalue()
    for part in ("names-gpt-1", "4,512/50,000", "train 1.840", "val 1.930", "410 it/s", "ETA 1:51"):
        assert part in drawn
    assert "…" not in drawn


@pytest.mark.parametrize("width", [40, 50, 64, 80, 120, 200])
@pytest.mark.parametrize(
    "name", ["g", "names-gpt-1", "a-run-with-a-name-that-is-as-long-as-names-may-be-in-these-parts"]
)
def test_name_speed_and_time_left_are_there_at_every_width(width: int, name: str) -> None:
    figures, needed = ["train 1.840", "val 1.930"], ["410 it/s", "ETA 1:51"]
    shown, text = fitting(name, "4,512/50,000", figures, needed, width)
    assert len(f"{shown}  {text}") <= width
    assert text.endswith("410 it/s  ETA 1:51")
    assert shown == name or (shown.endswith("…") and shown[:-1] == name[: len(shown) - 1])
    whole = "4,512/50,000  train 1.840  val 1.930  410 it/s  ETA 1:51"
    assert text == whole or len(f"{name}  {whole}") > width
