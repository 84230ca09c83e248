"""A damaged run is listed with what is wrong, and hides no other run."""

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import EntryReader
from torchtty.engine.contract.run.directory import RunDirectory, create, find_run, list_runs
from torchtty.engine.contract.run.files import read_small
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.tui.cli.console import guarded
from torchtty.tui.cli.program import run as run_command

DEEP = "[" * 200_000


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink(missing_ok=True)
    make(path)


def written(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300 * 1024 * 1024)


DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a process number below zero": (
        "status.json",
        written(json.dumps({"state": "running", "pid": -5, "host": socket.gethostname()})),
    ),
    "a process number beyond all": (
        "status.json",
        written(json.dumps({"state": "running", "pid": 2**70, "host": socket.gethostname()})),
    ),
    "a deep status": ("status.json", written(DEEP)),
    "a status that is a FIFO": ("status.json", os.mkfifo),
    "a status that is a folder": ("status.json", os.mkdir),
    "deep provenance": ("meta.json", written(DEEP)),
    "provenance that is a FIFO": ("meta.json", os.mkfifo),
    "a deep best.json": ("steps/best.json", written(DEEP)),
    "a deep configuration": ("config.toml", written(f"a = {DEEP}")),
    "a configuration that is a FIFO": ("config.toml", os.mkfifo),
    "a configuration of 300 MB": ("config.toml", large),
    "metrics that are a FIFO": ("metrics.jsonl", os.mkfifo),
    "events that are a FIFO": ("events.jsonl", os.mkfifo),
    "a summary that is none": ("events.jsonl", written('{"event": "summary", "metrics": [1, 2]}\n')),
    "a checkpoint with a strange number": ("steps/²", os.mkdir),
}


@pytest.fixture
def whole() -> RunDirectory:
    return create(parse(starting_tree("mlp")), name="whole")


@pytest.fixture
def bad() -> RunDirectory:
    return create(parse(starting_tree("mlp")), name="bad")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_read_as_far_as_it_can_be(
    damage: str, whole: RunDirectory, bad: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make = DAMAGE[damage]
    replaced(bad.path / name, make)
    assert {run.name for run in list_runs()} == {"whole", "bad"}
    snapshot, row = RunSnapshot.of(bad), EntryReader().read(bad)
    RunLog(bad).read()
    bad.best_step()
    if name == "status.json":
        assert snapshot.state is RunState.LOST
        assert snapshot.status.message
    if name == "config.toml":
        assert str(bad.config_path) in snapshot.problem
        assert str(bad.config_path) in row.problem
    assert guarded(lambda: run_command(["runs"])) == 0
    listed = capsys.readouterr().out
    assert "whole" in listed
    assert "bad" in listed
    assert guarded(lambda: run_command(["runs", "--json"])) == 0
    assert {run["run"] for run in json.loads(capsys.readouterr().out)} == {"whole", "bad"}
    assert guarded(lambda: run_command(["show", "bad"])) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


def test_a_folders_name_does_nothing_to_the_terminal(bad: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    bad.write_status(Status(state=RunState.FINISHED, step=3, max_steps=3))
    bad.path.rename(bad.path.with_name("esc\x1b]0;pwn\x07"))
    for command in (["show", "esc"], ["runs"], ["resume", "esc"], ["stop", "esc"], ["sample", "esc"], ["show", "x"]):
        guarded(lambda command=command: run_command(command))
        shown = capsys.readouterr()
        assert "pwn" in shown.out + shown.err
        assert not {"\x1b", "\x07"} & set(shown.out + shown.err)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder for runs, seen by a user whom permissions bind."""
    with tempfile.TemporaryDirectory() as name:
        folder, user = Path(name), os.geteuid()
        folder.chmod(0o777)
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            for path in folder.iterdir():
                path.chmod(0o700)


def test_a_folder_that_may_not_be_looked_into_is_a_row_that_says_so(unprivileged: Path) -> None:
    whole = create(parse(starting_tree("mlp")), root=unprivileged, name="whole")
    closed = create(parse(starting_tree("mlp")), root=unprivileged, name="closed")
    closed.path.chmod(0o000)
    assert list_runs(unprivileged) == [whole, closed]
    assert find_run("whole", unprivileged) == whole
    row = EntryReader().read(closed)
    assert row.problem == f"Cannot read {closed.config_path}: Permission denied."
    assert "Permission denied" in row.status.message


def test_a_small_file_is_a_regular_file_of_limited_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_small(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_small(path, 4)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="no regular file"):
        read_small(tmp_path / "fifo")
    run = create(parse(starting_tree("mlp")))
    large(run.config_path)
    with pytest.raises(UserError, match="more than"):
        run.configuration()
