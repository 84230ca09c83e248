"""A person's own files and folders as corpora."""

import os
from pathlib import Path

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.data import TextData
from torchtty.engine.data import files
from torchtty.engine.data.catalogue import corpus_of
from torchtty.engine.data.files import fingerprint


def section(path: Path, **settings: str) -> TextData:
    return TextData(dataset=str(path), **settings)  # type: ignore[arg-type]


def test_a_folder_is_read_in_the_order_of_its_paths_without_what_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "my.corpus"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("hidden")
    (folder / "b.txt").write_text("second\n")
    (folder / "a.md").write_bytes("perché\n".encode("latin-1"))
    (folder / "deep" / "c.txt").write_text("third\n")
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    (folder / "blank.txt").write_text("\n\n")
    corpus = corpus_of(section(folder))
    assert corpus.text == "perché\n\nsecond\n\nthird"
    assert (corpus.name, corpus.files) == ("my", 3)
    assert corpus.size == sum(path.stat().st_size for path in folder.glob("**/*.*") if path.is_file())
    assert "1 file is no text and left out: logo.png." in corpus.notes
    assert "1 file: Read as Windows-1252 (Latin-1). If that is wrong, set data.encoding." in corpus.notes


def test_links_that_lead_in_circles_or_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("inside")
    (tmp_path / "secret.txt").write_text("outside")
    (folder / "around").symlink_to(folder)
    (folder / "itself").symlink_to("itself")
    (folder / "gone.txt").symlink_to("nowhere")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(folder / "pipe.txt")
    assert corpus_of(section(folder)).text == "inside"
    with pytest.raises(UserError, match="cannot be read: Too many levels of symbolic links"):
        corpus_of(section(folder / "itself"))


def test_a_folder_without_texts_or_with_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="holds no files"):
        corpus_of(section(tmp_path))
    (tmp_path / "a.bin").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="holds no text: none of its 1 files is one"):
        corpus_of(section(tmp_path))
    monkeypatch.setattr(files, "MAX_FILES", 1)
    (tmp_path / "b.txt").write_text("word")
    with pytest.raises(UserError, match="holds more than 1 files"):
        corpus_of(section(tmp_path))


def test_rows_of_a_table_are_items_where_they_are_names(tmp_path: Path) -> None:
    path = tmp_path / "people.CSV"
    path.write_text("name,year\n" + "".join(f"anna{number},19{number}\n" for number in range(10, 30)))
    corpus = corpus_of(section(path, field="name"))
    assert (corpus.unit, corpus.items[0], len(corpus.items)) == ("items", "anna10", 20)
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"text": "one  line\\nand another"}\n{"text": "two"}\n')
    assert corpus_of(section(posts, unit="items")).items == ("one line and another", "two")
    assert corpus_of(section(posts, format="plain")).text.startswith('{"text"')


def test_a_field_where_there_are_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some words")
    with pytest.raises(UserError, match=r"which has no fields\. Leave it empty, or set data\.format"):
        corpus_of(section(tmp_path / "a.txt", field="body"))
    with pytest.raises(UserError, match="given-names has no fields"):
        corpus_of(TextData(field="body"))


def test_of_a_large_file_only_whole_lines_of_its_beginning_are_read(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("perché no\n" * 1000)
    corpus = corpus_of(section(path), most=105)
    assert corpus.text == "perché no\n" * 9
    assert (corpus.size, corpus.read) == (11_000, 105)
    assert corpus_of(section(path), most=11_000).read is None
    (tmp_path / "more.txt").write_text("more")
    part = corpus_of(section(tmp_path), most=105)
    assert (part.files, part.size, part.read) == (2, 11_004, 105)


def test_a_file_of_more_than_a_gibibyte_can_be_looked_into_and_not_learnt_from(tmp_path: Path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.write(b"words\n" * 100)
        file.truncate(2**30 + 1)  # a sparse file takes no room
    assert corpus_of(section(path), most=600).items == ("words",) * 100
    assert "Too large to be learnt from" in corpus_of(section(path), most=600).notes[-1]
    with pytest.raises(UserError, match=r"has 1\.0 GiB; a corpus is held in memory"):
        corpus_of(section(path))


def test_an_edited_file_of_a_folder_changes_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    stat = (tmp_path / "b.txt").stat()
    (tmp_path / "b.txt").write_text("six")
    os.utime(tmp_path / "b.txt", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as rsync and cp -p leave it
    assert fingerprint(tmp_path) != before
    assert fingerprint(tmp_path / "nowhere") == ()
