"""Real corpora beside the repository, and a data folder of each test's own."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder with names.txt, tinyshakespeare.txt, nomi_italiani.txt and commedia.txt."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("TORCHTTY_TEST_CORPORA", beside))
    assert (folder / "names.txt").is_file(), f"no corpora in {folder}: set TORCHTTY_TEST_CORPORA to their folder"
    return folder


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for downloads, with no mirror set."""
    folder = tmp_path / "data"
    monkeypatch.setenv("TORCHTTY_DATA", str(folder))
    monkeypatch.delenv("TORCHTTY_MIRROR", raising=False)
    return folder
