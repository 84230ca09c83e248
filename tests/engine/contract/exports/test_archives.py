"""Archives: what is packed, what comes back, and everything that is refused."""

import gzip
import io
import json
import os
import stat
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_run import WrittenRun, write_run

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports import importing
from torchtty.engine.contract.exports.archive import pack
from torchtty.engine.contract.exports.importing import import_run
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState

__all__ = ["write_run"]

NOTHING = (2).to_bytes(8, "little") + b"{}"  # a safetensors file without tensors


@pytest.fixture
def written(write_run: Callable[..., WrittenRun]) -> WrittenRun:
    """A run with curves, samples, a checkpoint, a picture, and what must stay behind."""
    written = write_run("mine")
    written.curve(200)
    written.sample("a", "karina")
    written.checkpoint(100)
    step = written.run.checkpoint_path(100)
    (step / "model.safetensors").write_bytes(NOTHING)
    (step / "checkpoint.json").write_text('{"step": 100, "losses": {}}')
    (step / "training.pt").write_bytes(b"bytes that only resuming reads")
    (written.run.steps / "best.json").write_text('{"step": 100, "val_loss": 2.0}')
    (written.run.media / "fixed-000100.png").write_bytes(b"\x89PNG")
    (written.run.inbox / "1.json").write_text("{}")
    (written.run.path / ".worker.lock").touch()
    (written.run.path / "outside").symlink_to("/etc")
    (written.run.path / "samples.txt").symlink_to("/etc/passwd")
    written.status(RunState.RUNNING, step=200, serving=True)
    return written


def packed(run: RunDirectory, path: Path) -> Path:
    with path.open("wb") as file:
        pack(run, file, as_zip=path.suffix == ".zip")
    return path


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_a_run_comes_back_with_all_it_learnt_and_without_its_worker(
    written: WrittenRun, tmp_path: Path, suffix: str
) -> None:
    archive = packed(written.run, tmp_path / f"a{suffix}")
    back = import_run(archive)
    assert back.name == "mine-1", "its own name is taken"
    for name in ("config.toml", "metrics.jsonl", "events.jsonl", "steps/000100/training.pt", "media/fixed-000100.png"):
        assert (back.path / name).read_bytes() == (written.run.path / name).read_bytes()
    assert list(back.inbox.iterdir()) == []
    assert {path.name for path in back.path.iterdir()} == {
        "config.toml", "meta.json", "status.json", "metrics.jsonl", "events.jsonl", "inbox", "steps", "media",
    }  # fmt: skip
    status = back.status()
    assert (status.state, status.step, status.pid, status.host, status.serving) == (RunState.STOPPED, 200, 0, "", False)
    assert status.message == "It was running when it was exported, at step 200."
    assert RunSnapshot.of(back).can_resume
    assert back.best_step() == 100
    assert back.meta()["imported"]["from"] == str(archive)
    assert stat.S_IMODE(back.path.stat().st_mode) == stat.S_IMODE(written.run.path.stat().st_mode)
    assert import_run(archive, "other").name == "other"
    with pytest.raises(UserError, match="There is a run called other already"):
        import_run(archive, "other")
    assert {run.name for run in list_runs()} == {"mine", "mine-1", "other"}


def test_an_imported_run_is_as_old_as_it_was_and_is_lost_without_a_checkpoint(
    write_run: Callable[..., WrittenRun], tmp_path: Path
) -> None:
    written = write_run("old")
    written.status(RunState.QUEUED)
    long_ago = time.time() - 10_000
    written.run.meta_path.write_text(json.dumps(written.run.meta() | {"created": long_ago}))
    back = import_run(packed(written.run, tmp_path / "a.zip"), "back")
    assert back.status().state is RunState.LOST
    assert back.config_path.stat().st_mtime == pytest.approx(long_ago)


def test_a_checkpoint_that_is_removed_while_it_is_packed_is_left_out_whole(
    written: WrittenRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (written.run.checkpoint_path(100) / "training.pt").unlink()
    listed = os.scandir(written.run.checkpoint_path(100))
    names = [entry.name for entry in listed]
    scandir = os.scandir

    def scanned(path: Any) -> Any:
        found = list(scandir(path))
        if Path(path) == written.run.checkpoint_path(100):
            assert len(found) == len(names)
            (written.run.checkpoint_path(100) / "checkpoint.json").unlink()  # as the worker does, file by file
        return found

    monkeypatch.setattr(os, "scandir", scanned)
    archive = packed(written.run, tmp_path / "a.tar.gz")
    monkeypatch.undo()
    with tarfile.open(archive) as tar:
        assert not [name for name in tar.getnames() if "000100/" in name]


# What is refused.

CONFIG = "[model]\nkind = 'mlp'\n"


def tar_with(path: Path, *entries: tuple[str, Any], **changes: Any) -> Path:
    """Write a .tar.gz of a run and further entries: bytes, or a dict of fields of a TarInfo."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in (("evil/config.toml", CONFIG.encode()), *entries):
            entry = tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else b""
            entry.size = len(data)
            for field, value in content.items() if isinstance(content, dict) else ():
                setattr(entry, field, value)
            tar.addfile(entry, io.BytesIO(data))
    return path


def zip_with(path: Path, *entries: tuple[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("evil/config.toml", CONFIG)
        for name, content in entries:
            about = zipfile.ZipInfo(name)
            about.external_attr = mode << 16
            packed.writestr(about, content)
    return path


BAD_PATHS = (
    "../evil.txt", "evil/../../out.txt", "/tmp/out.txt", "evil//x.txt", "evil/a\\b.txt", "evil/./x.txt", "x.txt",
    "other/config.toml",
)  # fmt: skip
BAD_FILES = (
    "evil/run.py", "evil/.bashrc", "evil/model.pkl", "evil/training.pt", "evil/inbox/1.json", "evil/.worker.lock",
    "evil/steps/000100/model.bin", "evil/steps/000100/a/b.json", "evil/steps/x/model.safetensors", "evil/media/a.svg",
    "evil/\x1b]0;x.txt",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_PATHS + BAD_FILES)
def test_a_path_that_leaves_the_run_or_is_no_file_of_one_is_refused(
    own_folders: Path, tmp_path: Path, name: str
) -> None:
    for archive in (tar_with(tmp_path / "a.tar.gz", (name, b"x")), zip_with(tmp_path / "a.zip", (name, b"x"))):
        with pytest.raises(UserError, match="was not imported: ") as refusal:
            import_run(archive)
        assert "\x1b" not in str(refusal.value)
    assert os.listdir(own_folders) == []
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("top", ["..", "", ".", "a/.."])
def test_a_folder_that_lies_elsewhere_is_refused_even_where_all_of_it_would_fit(
    own_folders: Path, tmp_path: Path, top: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(f"{top}/config.toml", CONFIG)
    with pytest.raises(UserError, match=r"leads out of the run's folder|is no file of a run"):
        import_run(tmp_path / "a.zip")
    assert os.listdir(own_folders) == []


LINKS = [
    {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    {"type": tarfile.LNKTYPE, "linkname": "evil/config.toml"},
    {"type": tarfile.FIFOTYPE},
    {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
    {"type": tarfile.BLKTYPE},
    {"type": tarfile.GNUTYPE_SPARSE},
]


@pytest.mark.parametrize("entry", LINKS, ids=lambda entry: entry["type"].decode())
def test_links_and_devices_are_refused(own_folders: Path, tmp_path: Path, entry: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"is a link or a device, not a file|it is damaged"):
        import_run(tar_with(tmp_path / "a.tar.gz", ("evil/samples.txt", entry)))
    with pytest.raises(UserError, match=r"is a link or a device, not a file"):
        import_run(zip_with(tmp_path / "a.zip", ("evil/samples.txt", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777))
    assert os.listdir(own_folders) == []


CONTENTS = [
    ("evil/status.json", b"[]", "status.json is no JSON object"),
    ("evil/meta.json", b"{", "meta.json is not valid JSON"),
    ("evil/meta.json", b"[" * 200_000, "meta.json is not valid JSON"),
    ("evil/status.json", b"0" * 2_000_000, "is larger than such a file may be"),
    ("evil/steps/000100/checkpoint.json", b"{}", "its checkpoint at step 100 lacks model.safetensors"),
    ("evil/steps/000100/model.safetensors", b"\x80\x04.", "model.safetensors is no safetensors file"),
    ("evil/config.toml", b"x", "stands in it twice"),
]


@pytest.mark.parametrize(("name", "content", "said"), CONTENTS)
def test_files_that_are_not_what_they_are_called_are_refused(
    own_folders: Path, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        import_run(tar_with(tmp_path / "a.tar.gz", (name, content)))
    assert os.listdir(own_folders) == []


def test_a_configuration_that_does_not_parse_is_refused(own_folders: Path, tmp_path: Path) -> None:
    for text, said in (("kind = [", "is not valid TOML"), ("[model]\nkind = 'mlp'\nn_hidden = -1\n", "n_hidden takes")):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
            packed.writestr("evil/config.toml", text)
        with pytest.raises(UserError, match=said):
            import_run(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("evil/meta.json", "{}")
    with pytest.raises(UserError, match=r"holds no config.toml"):
        import_run(tmp_path / "a.zip")
    assert os.listdir(own_folders) == []


def test_what_unpacks_to_more_than_there_is_room_for_is_refused(
    own_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": importing.SPARE + 3_000_000})
    monkeypatch.setattr(importing.shutil, "disk_usage", lambda _: free)
    archive = tar_with(tmp_path / "a.tar.gz", *((f"evil/{number}.txt", b"\0" * 1_000_000) for number in range(4)))
    assert archive.stat().st_size < 50_000
    with pytest.raises(UserError, match="than the disk has room for"):
        import_run(archive)
    with gzip.open(tmp_path / "b.tar.gz", "wb") as file:  # an entry's description of 100 MB
        header = tarfile.TarInfo("x")
        header.type, header.size = tarfile.XHDTYPE, 100_000_000
        file.write(header.tobuf() + b"\0" * 100_000_000)
    tracemalloc.start()
    with pytest.raises(UserError, match="it is damaged"):
        import_run(tmp_path / "b.tar.gz")
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()
    assert os.listdir(own_folders) == []


def test_no_archive_half_an_archive_and_an_empty_one_are_refused(
    written: WrittenRun, own_folders: Path, tmp_path: Path
) -> None:
    whole = packed(written.run, tmp_path / "a.tar.gz").read_bytes()
    for content, said in (
        (b"no archive", "it is damaged, or no .tar.gz or .zip"),
        (b"", "it is damaged, or no .tar.gz or .zip"),
        (whole[: len(whole) // 2], "its end is missing|it is damaged"),
    ):
        (tmp_path / "b.tar.gz").write_bytes(content)
        with pytest.raises(UserError, match=said):
            import_run(tmp_path / "b.tar.gz")
    with zipfile.ZipFile(tmp_path / "c.zip", "w"):
        pass
    with pytest.raises(UserError, match="it is empty"):
        import_run(tmp_path / "c.zip")
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "nowhere.zip", tmp_path, tmp_path / "fifo"):
        with pytest.raises(UserError, match="cannot be read"):
            import_run(path)
    for name in ("latest", "../x", "", "a" * 90):
        with pytest.raises(UserError, match="cannot be called"):
            import_run(tmp_path / "a.tar.gz", name)
    assert os.listdir(own_folders) == ["mine"]
