"""Datasets by name and by path."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.settings.catalogue import catalogue, embedded_alternative
from torchtty.engine.data.catalogue import load_corpus


def test_every_download_of_the_catalogue_is_the_file_that_was_checked(corpora: Path) -> None:
    downloads = [entry for entry in catalogue().values() if entry.source == "download"]
    assert len(downloads) == 4
    for entry in downloads:
        data = (corpora / entry.file).read_bytes()
        assert len(data) == entry.size
        assert hashlib.sha256(data).hexdigest() == entry.sha256


def test_the_embedded_texts_load_without_a_network() -> None:
    loaded = {
        entry.name: load_corpus(entry.name)
        for entry in catalogue().values()
        if entry.embedded and entry.kind != "images"
    }
    assert list(loaded) == ["given-names", "python-docs", "three-ifs", "lamp"]
    assert all(corpus.unit == catalogue()[name].kind for name, corpus in loaded.items())


def test_a_file_unknown_to_the_catalogue_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "towns.txt").write_text("rome\noslo\n" * 6)
    towns = load_corpus(str(tmp_path / "towns.txt"))
    assert (towns.name, towns.unit, len(towns.items)) == ("towns", "items", 12)
    as_text = load_corpus(str(tmp_path / "towns.txt"), unit="text")
    assert (as_text.unit, as_text.text[:10], as_text.items) == ("text", "rome\noslo\n", ())


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(UserError, match=r"no dataset called 'shakespear'.*given-names.*tinyshakespeare"):
        load_corpus("shakespear")
    with pytest.raises(UserError, match=r"There is no file .*corpus\.txt"):
        load_corpus("corpus.txt")


def test_pictures_are_not_read_as_text() -> None:
    with pytest.raises(UserError, match="digits holds pictures"):
        load_corpus("digits")
    assert embedded_alternative("images").name == "digits"


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("aaaa", {}, "single symbol, 'a'"),
        ("anna\n", {"unit": "items"}, "a single item"),
    ],
)
def test_a_corpus_with_nothing_to_learn_is_refused(tmp_path: Path, content: str, options: dict, message: str) -> None:
    path = tmp_path / "tiny.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        load_corpus(str(path), **options)


def test_a_corpus_that_cleaning_empties_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "figures.txt"
    path.write_text("1 2 3, 4!")
    with pytest.raises(UserError, match="Nothing of figures is left"):
        load_corpus(str(path), normalisation=catalogue()["divina-commedia"].normalisation)


def test_reading_the_catalogue_imports_neither_torch_nor_faker_nor_numpy() -> None:
    code = (
        "import sys; from torchtty.engine.contract.settings.catalogue import catalogue; catalogue();"
        "print({'torch', 'faker', 'numpy', 'textual', 'requests'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
