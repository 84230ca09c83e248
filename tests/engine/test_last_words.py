"""A worker that ends before it has taken a run over leaves a sentence that its starter reads."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.workers import Mode, WarmWorker, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.training.checkpoint import Saved, read_checkpoint, write_checkpoint
from torchtty.engine.worker.session import seconds_idle
from torchtty.tui.cli.follow import Interruptions, follow, last_line

STALE = "2026-11-24 01:19:36 worker 26645 takes over one to train it\n"


class Silent:
    """Shows nothing of a run."""

    def show(self, status: object) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def run() -> RunDirectory:
    """A run that another worker trained before."""
    made = create(parse(starting_tree("mlp")), name="one")
    made.log_path.write_text(STALE)
    return made


@pytest.mark.parametrize("file", ["events.jsonl", "worker.log"])
def test_a_file_that_cannot_be_written_is_the_reason(
    file: str, run: RunDirectory, workers: Any, wait_until: Callable[..., None]
) -> None:
    (run.path / file).unlink(missing_ok=True)
    (run.path / file).mkdir()
    worker = workers.start(run, Mode.SERVE)
    wait_until(lambda: not worker.is_alive, 30, "the end of the worker")
    words = last_line(run, worker)
    assert words.endswith("cannot be written: Is a directory.")
    assert "one" in words
    worker.close()


def test_only_the_new_workers_part_of_the_log_is_quoted(run: RunDirectory) -> None:
    class Ended:
        process = subprocess.Popen([sys.executable, "-c", ""])

        def log(self) -> str:
            return ""

    worker: Any = Ended()
    worker.process.wait()
    assert last_line(run, worker) == "it left no message"
    with run.log_path.open("a") as log:
        log.write(f"2026-11-24 01:20:00 worker {worker.process.pid} takes over one to serve it\nThe reason.\n")
    assert last_line(run, worker) == "The reason."


def test_a_module_of_the_users_that_is_called_torch_is_named(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("mine = True\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    worker = start(run, Mode.TRAIN)
    shown: Any = Silent()
    status = follow(run, RunLog(run), shown, Interruptions(), worker).status
    assert status.state is RunState.FAILED
    assert f"{tmp_path / 'torch.py'} is imported in place of the installed torch. Rename it" in status.message
    assert run.status() == status
    assert not worker.folder.exists()


@pytest.mark.parametrize("text", ["abc", "-1", "inf", "nan"])
def test_a_time_that_is_none_is_a_sentence(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", text)
    with pytest.raises(UserError, match=f"TORCHTTY_IDLE_SECONDS is '{text}', and takes a number of seconds"):
        seconds_idle()


def test_a_worker_that_cannot_read_its_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "abc")
    worker = WarmWorker()
    try:
        wait_until(lambda: not worker.is_alive, 60, "the end of the worker")
        assert worker.log().strip() == "TORCHTTY_IDLE_SECONDS is 'abc', and takes a number of seconds, such as 600."
    finally:
        worker.close()


def test_torchs_advice_to_load_what_can_run_code_is_not_passed_on(run: RunDirectory) -> None:
    write_checkpoint(run, Saved(1, {}, None, {"step": 1}, {}))
    (run.checkpoint_path(1) / "training.pt").write_bytes(pickle.dumps(Path("x")))
    with pytest.raises(UserError, match="is damaged, or holds more") as raised:
        read_checkpoint(run, 1, with_training=True)
    assert "weights_only" not in str(raised.value)
