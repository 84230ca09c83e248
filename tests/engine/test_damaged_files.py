"""Every file of a run, damaged in every way: what reads it ends in a sentence or works, and neither hangs nor raises."""

import ctypes
import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import EntryReader
from torchtty.engine.contract.run.directory import RunDirectory, create, list_runs
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Sample
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.worker.session import Session
from torchtty.tui.cli.console import guarded
from torchtty.tui.cli.program import run as run_command

DEEP = b"[" * 200_000
SECONDS = 30  # a case takes some tenths of one: what takes longer hangs, unless it is the machine that stalls


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _replaced(by: Callable[[Path], object]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        by(path)

    return replace


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": _half,
    "empty": lambda path: os.truncate(path, 0),
    "random": lambda path: path.write_bytes(random.Random(path.name).randbytes(3000)),
    "removed": _replaced(lambda path: None),
    "a folder": _replaced(os.mkdir),
    "unreadable": lambda path: path.chmod(0o000),
    "a FIFO": _replaced(os.mkfifo),
    "deep": lambda path: path.write_bytes(DEEP),
}
FILES = (
    *("config.toml", "meta.json", "status.json", "metrics.jsonl", "events.jsonl", "worker.log", ".worker.lock"),
    *("inbox/1.json", "steps/best.json", "media/notes.json"),
    *(f"steps/000006/{name}" for name in ("checkpoint.json", "model.safetensors", "training.pt", "tokenizer.json")),
    "steps/000006/architecture.json",
)
FOLDERS = ("inbox", "media", "steps", "steps/000006")
CASES = [(name, damage) for name in FILES for damage in DAMAGES] + [
    (name, damage) for name in FOLDERS for damage in ("removed", "unreadable", "a FIFO", "a file")
]
DAMAGES["a file"] = _replaced(lambda path: path.write_bytes(b"x"))


def marks(name: str, damage: str) -> list[pytest.MarkDecorator]:
    """Leave two thirds to the marker: which, changes from file to file, so that every file and damage is in every run."""
    files, damages = [*FILES, *FOLDERS], list(DAMAGES)
    return [] if (files.index(name) + damages.index(damage)) % 3 == 0 else [pytest.mark.kills]


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Have permissions bind this thread and those it starts, though it be root: Linux lets it lay the privilege aside."""
    if os.geteuid() != 0:
        yield
        return
    if not sys.platform.startswith("linux"):
        pytest.skip("root reads everything here")
    libc = ctypes.CDLL(None, use_errno=True)
    header, before = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # two of (effective, permitted, …)
    assert libc.capget(header, before) == 0
    without = (ctypes.c_uint32 * 6)(*before)
    without[0] &= ~0b110  # to override, or read and search in spite of, permissions
    assert libc.capset(header, without) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A finished run of six steps that holds one of every file."""
    folder = tmp_path_factory.mktemp("trained")
    settings = {"training.device": "cpu", "training.max_steps": "6", "training.checkpoint_interval": "3"}
    settings |= {"model.weights": "untrained", "model.block_size": "8", "tokenizer.kind": "character"}
    settings |= {"training.eval_batches": "1", "sampling.interval": "0", "sampling.max_tokens": "5"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHTTY_STATE", str(folder / "state"))
        run = create(with_flags(starting_tree("gpt2"), settings), root=folder, name="one")
        assert session(run, Mode.TRAIN) == ""
    run.log_path.write_text("2026-11-24 01:19:36 worker 26645 takes over one to train it\n")
    (run.media / "notes.json").write_text("{}")
    (run.inbox / "1.json").write_text('{"type": "checkpoint"}')
    assert [name for name in FILES if not (run.path / name).is_file()] == []
    return run


def session(run: RunDirectory, mode: Mode, **edits: Any) -> str:
    """See a run through as its worker does; return the reason where that refuses to begin."""
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        Session(run, mode, edits, idle_seconds=0).work()
    except UserError as error:
        return str(error)
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
    return ""


@pytest.mark.timeout(SECONDS, func_only=True)  # the fixture trains a run first
@pytest.mark.parametrize(
    ("name", "damage"), [pytest.param(*case, id="-".join(case), marks=marks(*case)) for case in CASES]
)
def test_a_damaged_file_ends_in_a_sentence_or_does_no_harm(
    name: str,
    damage: str,
    trained: RunDirectory,
    own_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torchtty.engine.worker.session.SERVED_AT_LEAST", 0.05)
    monkeypatch.setattr("torchtty.engine.worker.session.SEEN", 0.0)
    for room in ("requests", "train"):
        monkeypatch.setattr(f"torchtty.tui.cli.{room}.start", _no_worker)
    for copy in ("one", "two"):
        shutil.copytree(trained.path, own_folders / copy)
    run = RunDirectory(own_folders / "one")
    DAMAGES[damage](run.path / name)
    with bound_by_permissions():
        is_listed = name != "config.toml" or damage not in ("removed", "a folder")
        assert {found.name for found in list_runs()} == {"two"} | ({"one"} if is_listed else set())
        check_reading(run, capfd)
        ask(run)
        reasons = [session(run, Mode.SERVE), session(run, Mode.RESUME, **{"training.max_steps": 8})]
        reasons += [run.status().message, *warnings(run)]
        assert all("\n" not in reason and "unexpected error" not in reason for reason in reasons)
        check_reading(run, capfd)


def _no_worker(*_: object) -> None:
    raise UserError("Here a worker would start.")


def check_reading(run: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    """Read a run in every way that needs no worker."""
    RunSnapshot.of(run)
    EntryReader().read(run)
    RunLog(run).read()
    run.best_step()
    for command in (["runs"], ["runs", "--json"], ["show", "one"], ["show", "one", "--json"]):
        code = guarded(lambda command=command: run_command(command))
        shown = capfd.readouterr()
        assert "Traceback" not in shown.err
        assert code == 0 or (command[0] == "show" and shown.err.strip())
        if command == ["runs", "--json"]:
            assert "two" in [found["run"] for found in json.loads(shown.out)]
    for command in (["sample", "one", "--count", "1"], ["resume", "one", "--max_steps", "8"]):
        assert guarded(lambda command=command: run_command(command)) in (1, 2)
        shown = capfd.readouterr()
        assert shown.err.strip()
        assert "Traceback" not in shown.err


def ask(run: RunDirectory) -> None:
    with suppress(UserError):
        run.send(Sample(id="s", count=1, max_tokens=3))


def warnings(run: RunDirectory) -> tuple[str, ...]:
    log = RunLog(run, with_metrics=False)
    log.read()
    return log.facts.warnings


def test_permissions_bind_the_test(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o000)
    with bound_by_permissions(), pytest.raises(PermissionError):
        path.read_text()
