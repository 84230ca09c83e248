"""The settings of runs as they were read last: right as long as the files are the same, and never in the way."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import EntryReader
from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.settings_cache import FILE, SettingsCache
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.tui.cli.program import run as run_command


@pytest.fixture
def run() -> RunDirectory:
    made = create(parse(starting_tree("mlp")), name="one")
    made.write_status(Status(state=RunState.FINISHED))
    return made


@pytest.fixture
def known(run: RunDirectory) -> None:
    """Have the run's settings remembered."""
    cache = SettingsCache()
    cache.known(run)
    cache.save()
    assert (state_folder() / FILE).stat().st_mode & 0o777 == 0o600


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Count the configurations that are read from runs."""
    found: list[Path] = []
    whole = RunDirectory.configuration

    def counted(run: RunDirectory) -> Any:
        found.append(run.path)
        return whole(run)

    monkeypatch.setattr(RunDirectory, "configuration", counted)
    return found


@pytest.mark.usefixtures("known")
def test_what_has_not_changed_is_not_read_again(
    run: RunDirectory, read: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    row = EntryReader().read(run)
    assert row.snapshot.configuration == parse(starting_tree("mlp"))
    assert row.created == run.meta()["created"]
    assert run_command(["runs"]) == 0
    assert "given-names" in capsys.readouterr().out
    assert read == []


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.events_path.write_bytes(
            json_line({"event": "edit", "step": 3, "path": "optimizer.learning_rate", "value": 0.5})
        ),
        lambda run: run.config_path.write_text(
            run.config_path.read_text().replace("learning_rate = 0.1", "learning_rate = 0.5")
        ),
    ],
    ids=["a live edit", "another file"],
)
def test_a_change_is_seen_at_once(change: Callable[[RunDirectory], object], run: RunDirectory) -> None:
    change(run)
    assert SettingsCache().known(run).tree["optimizer"]["learning_rate"] == 0.5


@pytest.mark.usefixtures("known")
def test_what_is_broken_now_is_broken_though_it_was_known(run: RunDirectory) -> None:
    run.config_path.write_text("nonsense")
    assert "not valid TOML" in EntryReader().read(run).problem
    run.config_path.unlink()
    os.mkfifo(run.config_path)
    with pytest.raises(UserError, match="no regular file"):
        SettingsCache().known(run)


@pytest.mark.parametrize(
    "content", [b"", b"[" * 200_000, b"\xff\x00", b'{"x": 1}', b'{"RUN": [MARK, [{"model": {"kind": 7}}, 1.0]]}']
)
def test_a_broken_cache_changes_nothing(content: bytes, run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    state_folder().mkdir(parents=True)
    cache = SettingsCache()
    cache.known(run)
    mark = str(next(iter(cache._entries.values()))[0]).replace("None", "null").encode()
    (state_folder() / FILE).write_bytes(content.replace(b"RUN", os.fsencode(run.path)).replace(b"MARK", mark))
    assert EntryReader().read(run).snapshot.configuration == parse(starting_tree("mlp"))
    assert run_command(["runs"]) == 0
    assert "one" in capsys.readouterr().out


def test_a_state_folder_that_cannot_be_written_changes_nothing(run: RunDirectory) -> None:
    state_folder().parent.mkdir(parents=True, exist_ok=True)
    state_folder().write_text("in the way")
    cache = SettingsCache()
    assert cache.known(run).tree == starting_tree("mlp")
    cache.save()


def test_a_live_run_is_not_remembered(run: RunDirectory, read: list[Path]) -> None:
    run.write_status(Status(state=RunState.RUNNING, pid=os.getpid(), heartbeat=1e12, host="elsewhere"))
    reader = EntryReader()
    reader.read(run)
    reader.save()
    assert read
    assert not (state_folder() / FILE).exists()
