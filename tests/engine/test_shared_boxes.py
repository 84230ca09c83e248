"""On a machine of several people a run obeys its owner alone, and others see of it what the owner shows."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from forked_workers import ForkServer

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create, list_runs
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.requests import Edit, Pause, collect, drop
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.training.run_writer import Appender

SOMEBODY = 65534  # the user's number that nobody owns files with
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def another_user() -> Iterator[None]:
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder for runs that every user can enter, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def new_run(root: Path | None = None, **flags: Any) -> RunDirectory:
    settings = {"training.device": "cpu", "training.max_steps": "6", "training.checkpoint_interval": "3"}
    settings |= {"model.n_hidden": "8", "training.eval_batches": "1"}
    return create(with_flags(starting_tree("mlp"), settings | flags), root=root)


def modes(run: RunDirectory) -> dict[str, int]:
    """The mode of everything in a run."""
    paths = [run.path, *run.path.rglob("*")]
    return {str(path.relative_to(run.path)): stat.S_IMODE(path.stat().st_mode) for path in paths}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("share", "access"), [("", 0o700), ("read", 0o755)])
def test_a_run_is_the_owners_to_command_and_as_open_as_the_owner_says_whatever_the_umask(
    share: str, access: int, mask: int, forks: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_SHARE", share)
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    with umask(mask):
        run = new_run()
    assert forks.start(run, umask=mask).wait()
    assert run.status().state is RunState.FINISHED
    found = modes(run)
    assert (found.pop("."), found.pop("inbox")) == (access, 0o700)
    assert {name for name, mode in found.items() if mode != (0o755 if (run.path / name).is_dir() else 0o644)} == set()
    assert {"status.json", "worker.log", "metrics.jsonl", "steps/000006/training.pt", "steps/best.json"} <= found.keys()


def test_what_the_variable_cannot_mean_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHTTY_SHARE", "all")
    with pytest.raises(UserError, match="TORCHTTY_SHARE is 'all', and takes read"):
        new_run()
    assert list_runs() == []


@needs_root
def test_others_read_a_shared_run_and_cannot_steer_it(shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHTTY_SHARE", "read")
    run = new_run(shared_folder)
    monkeypatch.delenv("TORCHTTY_SHARE")
    closed = new_run(shared_folder)
    with another_user():
        assert list_runs(shared_folder) == [run, closed]
        snapshot = RunSnapshot.of(run)
        assert (snapshot.state, snapshot.problem) == (RunState.STARTING, "")
        with pytest.raises(UserError, match=f"{run.name} is another user's run: only its owner can steer it"):
            run.send(Pause())
        assert "Permission denied" in RunSnapshot.of(closed).problem


@needs_root
def test_another_users_request_is_removed_and_said(shared_folder: Path) -> None:
    run = new_run(shared_folder)
    for user, value in ((0, 0.1), (SOMEBODY, 0.2), (SOMEBODY - 1, 0.3)):
        os.chown(drop(run.inbox, Edit(path="optimizer.learning_rate", value=value)), user, -1)
    os.chown(run.inbox, SOMEBODY - 1, -1)  # root works on the run of a user, who still commands it
    first, removed, last = collect(run.inbox)
    assert isinstance(first, Edit)
    assert isinstance(last, Edit)
    assert (first.value, last.value) == (0.1, 0.3)
    assert str(removed).endswith(f"was removed: it came from another user (number {SOMEBODY}).")
    assert list(run.inbox.iterdir()) == []


def test_a_worker_closes_the_inbox_of_an_older_run(forks: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHTTY_IDLE_SECONDS", "0")
    run = new_run()
    run.inbox.chmod(0o777)
    assert forks.start(run).wait()
    assert modes(run)["inbox"] == 0o700


def test_the_log_is_not_written_through_a_link(
    forks: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, target = new_run(), tmp_path / "precious"
    target.write_text("untouched")
    run.log_path.symlink_to(target)
    worker = forks.start(run)
    assert worker.wait()
    assert target.read_text() == "untouched"
    log = run.path.with_name(f".folder-of-{worker.pid}") / "worker.log"
    assert log.read_text().splitlines()[-1] == f"The log of {run.name} cannot be written: It is a link."
    assert run.status().state is RunState.LOST


def test_lines_are_not_appended_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("")
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "precious")
    appender = Appender(tmp_path / "events.jsonl")
    appender.append({"step": 1})
    appender.flush()
    assert appender.error is not None
    assert (tmp_path / "precious").read_text() == ""
    (tmp_path / "events.jsonl").unlink()
    appender.flush()
    assert JsonLinesTail(appender.path).read() == [{"step": 1}]
