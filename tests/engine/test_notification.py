"""The command of `TORCHTTY_NOTIFY`, run by a real worker and by itself: it hears of every end, and harms no run."""

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_run import WrittenRun, write_run

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.worker import notification
from torchtty.engine.worker.notification import Notifier

__all__ = ["write_run"]

SCRIPT = """
import json, os, sys
facts = {name: value for name, value in os.environ.items() if name.startswith("TORCHTTY_RUN")}
del facts["TORCHTTY_RUNS"]
with open(os.path.join(os.path.dirname(__file__), "told.jsonl"), "a") as told:
    told.write(json.dumps(facts | {"arguments": sys.argv[1:]}) + "\\n")
print("told of", facts["TORCHTTY_RUN"])
sys.exit(3 if facts["TORCHTTY_RUN_STATE"] == "failed" else 0)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A command that notes its environment, and fails where the run did."""
    path = tmp_path / "note.py"
    path.write_text(SCRIPT)
    return path


def told(script: Path) -> list[dict[str, Any]]:
    path = script.with_name("told.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def warnings(run: RunDirectory) -> tuple[str, ...]:
    log = RunLog(run)
    log.read()
    return log.facts.warnings


def new_run(name: str, **flags: str) -> RunDirectory:
    given = {"training.device": "cpu", "training.log_interval": "1", "sampling.interval": "0"}
    return create(
        with_flags(starting_tree("mlp"), given | {key.replace("__", "."): v for key, v in flags.items()}), name=name
    )


def test_a_worker_runs_the_command_at_every_end(
    script: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    argument = f"$HOME; touch {tmp_path / 'touched'}"
    monkeypatch.setenv("TORCHTTY_NOTIFY", f"{sys.executable} {script} {shlex.quote(argument)}")
    good = new_run("good", training__max_steps="30")
    bad = new_run("bad", data__dataset="/nowhere/$(touch x).txt")
    worker = WarmWorker()
    try:
        worker.hand_over_series([good, bad])
        wait_until(lambda: not worker.is_alive, 120, "both runs")
    finally:
        worker.close()
    first, second = told(script)
    assert first["arguments"] == [argument], "no shell reads it"
    assert not (tmp_path / "touched").exists()
    assert (first["TORCHTTY_RUN"], first["TORCHTTY_RUN_STATE"], first["TORCHTTY_RUN_STEP"]) == (
        "good",
        "finished",
        "30",
    )
    assert first["TORCHTTY_RUN_FOLDER"] == str(good.path)
    assert float(first["TORCHTTY_RUN_LOSS"]) == pytest.approx(good.status().metrics["val_loss"], rel=1e-5)
    assert good.status().state is RunState.FINISHED
    assert warnings(good) == ()
    assert (second["TORCHTTY_RUN_STATE"], second["TORCHTTY_RUN_LOSS"]) == ("failed", "")
    assert second["TORCHTTY_RUN_MESSAGE"] == bad.status().message
    assert "There is no file" in bad.status().message
    assert (
        warnings(bad)[-1] == "The command of TORCHTTY_NOTIFY ended with exit code 3; worker.log holds what it printed."
    )
    assert "told of bad" in bad.log_path.read_text()


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("no-such-command-anywhere", "could not be started: no-such-command-anywhere: No such file or directory."),
        ("'half a quote", "cannot be read: no closing quotation."),
        (f"{sys.executable} -c 'import time; time.sleep(60)'", "took more than 0.4 s and was ended."),
        (f"{sys.executable} -c 'import os; os.kill(os.getpid(), 9)'", "was ended by signal 9"),
        ("", None),
    ],
)
def test_a_command_that_goes_wrong_is_a_warning(
    write_run: Callable[..., WrittenRun], monkeypatch: pytest.MonkeyPatch, command: str, warning: str | None
) -> None:
    monkeypatch.setenv("TORCHTTY_NOTIFY", command)
    written, warned = write_run(), []
    began = time.monotonic()
    notifier = Notifier(written.run, warned.append, timeout=0.4 if "sleep" in command else 10.0)
    notifier.ended(written.status(RunState.FINISHED, step=7))
    assert time.monotonic() - began < 0.3, "the run does not wait for it"
    notifier.wait()
    assert time.monotonic() - began < 10
    assert len(warned) == (warning is not None)
    assert warning is None or warning in warned[0]


def test_a_run_that_diverges_is_told_while_it_trains_on_and_once(
    write_run: Callable[..., WrittenRun], script: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setenv("TORCHTTY_NOTIFY", f"{sys.executable} {script}")
    monkeypatch.setattr(notification, "LOOK_INTERVAL", 0.05)
    written, warned = write_run("hot"), []
    notifier = Notifier(written.run, warned.append)
    written.curve(200)
    written.status(RunState.RUNNING, step=200, metrics={"train_loss": 2.0})
    notifier.watch()
    time.sleep(0.3)
    assert told(script) == [], "nothing is wrong yet"
    written.metrics(*({"step": step, "train_loss": 9.0} for step in range(210, 700, 10)))
    wait_until(lambda: told(script), 20, "the notification")
    time.sleep(0.3)
    notifier.ended(written.status(RunState.STOPPED, step=700, metrics={"train_loss": 9.0}))
    notifier.wait()
    first, second = told(script)
    assert (first["TORCHTTY_RUN_STATE"], second["TORCHTTY_RUN_STATE"]) == ("diverging", "stopped")
    assert first["TORCHTTY_RUN_MESSAGE"].startswith("The training loss rose from")
    assert second["TORCHTTY_RUN_LOSS"] == "9"
    assert warned == []
