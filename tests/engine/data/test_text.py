"""Reading a text file: what is accepted, what is refused and with which words."""

import os
from pathlib import Path

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.files import read_text
from torchtty.engine.data.text import detect_unit


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_bytes(data)
    return path


def test_line_ends_become_newlines_and_are_noted(tmp_path: Path) -> None:
    text, notes = read_text(written(tmp_path, b"one\r\ntwo\rthree\n"))
    assert text == "one\ntwo\nthree\n"
    assert "Carriage returns" in notes[0]


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    text, notes = read_text(written(tmp_path, b"\xef\xbb\xbfword"))
    assert text == "word"
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"abc\x00def", "byte 3 is NUL"),
        (b"\xff\xfet\x00e\x00x", "is not UTF-16-LE: byte 4"),
        (bytes(range(128, 256)) * 50, "not text that can be told: byte 0 is 0x80"),
    ],
)
def test_bytes_that_are_no_text_are_refused_by_name(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_text(written(tmp_path, data))


def test_a_missing_file_a_folder_and_a_pipe_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        read_text(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match="is a folder"):
        read_text(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        read_text(tmp_path / "pipe")
    with pytest.raises(UserError, match="is not a path"):
        read_text(Path("a\0b"))


def test_a_file_without_read_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, b"secret")
    path.chmod(0)
    if os.geteuid() == 0:
        # Root may read everything, so the refusal of the system is reported by hand.
        def refuse(self: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match="may not be read"):
        read_text(path)


def test_one_word_lines_are_items_and_running_text_is_not(corpora: Path) -> None:
    assert detect_unit((corpora / "names.txt").read_text()) == "items"
    assert detect_unit((corpora / "nomi_italiani.txt").read_text(encoding="utf-8")) == "items"
    assert detect_unit((corpora / "tinyshakespeare.txt").read_text()) == "text"
    assert detect_unit((corpora / "commedia.txt").read_text(encoding="utf-8")) == "text"


def test_items_need_ten_lines_of_which_at_most_one_in_twenty_is_something_else() -> None:
    assert detect_unit("anna\n" * 9) == "text"
    assert detect_unit("anna\n\n" * 10) == "items"
    assert detect_unit("anna\n" * 19 + "maria grazia\n") == "items"
    assert detect_unit("anna\n" * 18 + "maria grazia\n" * 2) == "text"
    assert detect_unit("----\n" * 20) == "text"
    assert detect_unit(("a" * 41 + "\n") * 20) == "text"
