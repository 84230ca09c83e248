"""A disk that refuses in the middle of a line: nothing is written twice or torn, and the person hears of it at once."""

import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Pause, Stop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.training.loop import Loop
from torchtty.engine.training.run_writer import Appender, RunWriter, new_status


@pytest.fixture(autouse=True)
def _no_signal() -> Iterator[None]:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, in the middle, as on a full disk
    yield
    signal.signal(signal.SIGXFSZ, before)


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let every file of this process be full at a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def steps(path: Path) -> list[int]:
    return [row["step"] for row in JsonLinesTail(path).read()]


def test_a_line_that_did_not_fit_is_written_once_when_it_does(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    appender = Appender(path)
    appender.append({"step": 0})
    appender.flush()
    with no_file_beyond(path.stat().st_size * 2 + 3):
        for step in range(1, 5):
            appender.append({"step": step})
            appender.flush()
            assert appender.error is not None or step == 1
            assert path.read_bytes().endswith(b"}\n")
    appender.flush()
    assert appender.error is None
    assert steps(path) == [0, 1, 2, 3, 4]
    assert len(path.read_bytes().splitlines()) == 5


def test_what_is_beyond_the_limit_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Appender, "LIMIT", 100)
    appender = Appender(tmp_path / "missing" / "metrics.jsonl")
    for step in range(20):
        appender.append({"step": step})
        appender.flush()
    (tmp_path / "missing").mkdir()
    appender.flush()
    kept = steps(appender.path)
    assert appender.lost > 0
    assert kept == list(range(appender.lost, 20))


def test_a_run_reports_a_full_disk_at_once_and_misses_nothing_later(
    loop_for: Callable[..., Loop], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchtty.engine.training.run_writer.FLUSH_INTERVAL", 0.0)
    monkeypatch.setattr("torchtty.engine.training.metrics.FETCH_INTERVAL", 0.0)
    loop = loop_for("mlp", training__log_interval=1, sampling__interval=0)
    train_step, seen = loop.task.train_step, list[str]()

    def observed(step: int) -> object:
        if step == 10:
            resource.setrlimit(resource.RLIMIT_FSIZE, (loop.run.metrics_path.stat().st_size + 10, limits[1]))
        if step == 15:
            seen.append(loop.writer.status.message)
            seen.append(capfd.readouterr().err)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        return train_step(step)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(loop.task, "train_step", observed)
    try:
        assert loop.train() is RunState.FINISHED
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    loop.writer.flush()
    assert [row["step"] for row in JsonLinesTail(loop.run.metrics_path).read() if "train_loss" in row] == list(
        range(1, 21)
    )
    assert len(seen) == 2
    for message in seen:
        assert "The run's files cannot be written: File too large." in message
    assert loop.run.written_status().message == ""
    log = RunLog(loop.run)
    log.read()
    assert [warning.partition(":")[0] for warning in log.facts.warnings] == [
        "The run's files cannot be written",
        "The run's files can be written again. Nothing is missing.",
    ]


def test_the_heartbeat_writes_what_waits_once_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchtty.engine.training.run_writer.HEARTBEAT_INTERVAL", 0.02)
    run = create(parse(starting_tree("mlp")))
    run.metrics_path.mkdir()  # as good as a full disk
    writer = RunWriter(run, new_status(3))
    writer.start()
    writer.metrics(step=1, train_loss=2.0)
    writer.flush()
    assert "cannot be written" in run.written_status().message
    run.metrics_path.rmdir()
    until = time.monotonic() + 5
    while not run.metrics_path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    writer.close()
    assert steps(run.metrics_path) == [1]
    assert run.written_status().message == ""


def test_a_stop_that_cannot_be_written_reaches_the_worker_as_a_signal() -> None:
    run = create(parse(starting_tree("mlp")))
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        run.write_status(new_status(3).model_copy(update={"state": RunState.RUNNING}))
        run.inbox.rmdir()
        with pytest.raises(UserError, match="Cannot send"):
            run.send(Pause())
        run.send(Stop())
        assert received == [signal.SIGTERM]
        for wrong in ({"process_started": 1.0}, {"host": "elsewhere"}, {"state": RunState.FINISHED}, {"pid": -1}):
            run.write_status(new_status(3).model_copy(update={"state": RunState.RUNNING} | wrong))
            with pytest.raises(UserError, match="Cannot send"):
                run.send(Stop())
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_status_that_stands_still_beside_a_living_process_is_explained() -> None:
    status = new_status(3).model_copy(update={"state": RunState.RUNNING})
    assert status.observed().message == ""
    silent = status.observed(now=time.time() + 60)
    assert silent.state is RunState.RUNNING
    assert "the disk may be full" in silent.message
