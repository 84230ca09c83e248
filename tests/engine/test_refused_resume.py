"""A run that cannot go on is as it was before it was asked to, and says why."""

import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.worker.session import Session
from torchtty.tui.cli.console import Exit
from torchtty.tui.cli.follow import Interruptions
from torchtty.tui.cli.train import conclude, follow_on

pytestmark = pytest.mark.usefixtures("signals_of_their_own")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A finished run of four steps."""
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["anna", "bea", "carla", "dora", "eva"] * 4))
    settings = {"data.dataset": str(names), "training.device": "cpu", "training.max_steps": "4"}
    made = create(with_flags(starting_tree("mlp"), settings | {"sampling.interval": "0"}))
    assert worked(made, Mode.TRAIN).state is RunState.FINISHED
    return made


def worked(run: RunDirectory, mode: Mode, **edits: Any) -> Status:
    Session(run, mode, edits, idle_seconds=0).work()
    return run.written_status()


def spoil_checkpoint(run: RunDirectory) -> None:
    weights = run.checkpoint_path(4) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def more(run: RunDirectory) -> Status:
    return worked(run, Mode.RESUME, **{"training.max_steps": 8})


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.STOPPED, RunState.FAILED])
def test_a_run_with_a_broken_checkpoint_is_what_it_was_and_says_what_is_broken(
    run: RunDirectory, state: RunState
) -> None:
    run.write_status(run.written_status().model_copy(update={"state": state, "pid": 4, "message": "of old"}))
    before = run.written_status()
    spoil_checkpoint(run)
    after = more(run)
    assert after.message.startswith(f"The checkpoint of {run.name} at step 4 cannot be read: ")
    unchanged = after.model_copy(update={"message": before.message, "heartbeat": before.heartbeat})
    assert unchanged == before
    told = [row for row in JsonLinesTail(run.events_path).read() if row["event"] == "state"][-1]
    assert (told["state"], told["message"]) == (state, after.message)
    assert settings_in_force(run)["training"]["max_steps"] == 4


def test_a_run_that_was_lost_stays_lost(run: RunDirectory) -> None:
    run.write_status(run.written_status().model_copy(update={"state": RunState.RUNNING, "pid": 2**22 + 1}))
    spoil_checkpoint(run)
    assert more(run).state is RunState.LOST


def test_a_value_that_no_longer_is_one_leaves_the_run_finished(run: RunDirectory) -> None:
    run.config_path.write_text(run.config_path.read_text().replace("n_hidden = 200", "n_hidden = -200"))
    after = more(run)
    assert after.state is RunState.FINISHED
    assert "n_hidden" in after.message


def test_a_run_goes_on_once_its_checkpoint_is_whole_again_and_forgets_the_reason(run: RunDirectory) -> None:
    weights = run.checkpoint_path(4) / "model.safetensors"
    whole = weights.read_bytes()
    spoil_checkpoint(run)
    more(run)
    weights.write_bytes(whole)
    after = more(run)
    assert (after.state, after.step, after.message) == (RunState.FINISHED, 8, "")


def test_a_run_that_diverges_after_it_went_on_has_failed(run: RunDirectory) -> None:
    weights = run.checkpoint_path(4) / "model.safetensors"
    save_file({name: value * math.nan for name, value in load_file(weights).items()}, weights)
    after = more(run)
    assert after.state is RunState.FAILED
    assert "diverged" in after.message


def test_an_observer_who_looks_a_few_times_a_second_sees_it_begin_and_end(run: RunDirectory) -> None:
    spoil_checkpoint(run)
    seen: list[RunState] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.25):
            seen.append(run.status().state)

    observer = threading.Thread(target=look)
    observer.start()
    more(run)
    over.set()
    observer.join()
    assert RunState.STARTING in seen


def test_the_command_line_says_the_reason_and_fails(
    run: RunDirectory, workers: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil_checkpoint(run)
    worker = workers.start(run, Mode.RESUME, **{"training.max_steps": 8})
    followed = follow_on(run, worker, Interruptions(), as_json=True)
    assert conclude(followed, as_json=True) == Exit.FAILED
    shown = capsys.readouterr()
    assert "cannot be read" in json.loads(shown.out)["message"]
    assert "cannot be read" in shown.err
    assert run.status().state is RunState.FINISHED
