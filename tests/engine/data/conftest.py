"""A data folder of each test's own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for downloads, with no mirror set."""
    folder = tmp_path / "data"
    monkeypatch.setenv("TORCHTTY_DATA", str(folder))
    monkeypatch.delenv("TORCHTTY_MIRROR", raising=False)
    return folder
