"""Cleaning gives the corpora that the reference figures were taken on."""

import string
from pathlib import Path

from torchtty.engine.contract.settings.catalogue import Normalisation, catalogue
from torchtty.engine.data.catalogue import load_corpus
from torchtty.engine.data.text import normalise_items, normalise_text


def test_the_poem_comes_out_as_described(corpora: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(corpora))
    poem = load_corpus("divina-commedia")
    assert len(poem.text) == 504_408
    assert len(poem.symbols()) == 33
    assert poem.text.startswith("nel mezzo del cammin di nostra vita mi ritrovai")
    assert poem.text.endswith("l altre stelle")
    assert "canto ii " not in poem.text
    assert "  " not in poem.text


def test_the_italian_names_come_out_as_described(corpora: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(corpora))
    names = load_corpus("nomi-italiani")
    assert len(names.items) == 9_092
    assert set(names.symbols()) == set(string.ascii_lowercase + "-")
    assert round(sum(map(len, names.items)) / len(names.items), 2) == 7.09
    assert sum(name.endswith("o") for name in names.items) == 4_235
    assert any("disclaimer" not in note and "left out" in note for note in names.notes)


def test_the_same_file_by_its_path_gives_the_same_corpus(corpora: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", str(corpora))
    options = catalogue()["divina-commedia"].normalisation
    by_path = load_corpus(str(corpora / "commedia.txt"), normalisation=options)
    assert by_path.text == load_corpus("divina-commedia").text


def test_a_path_alone_is_not_cleaned(corpora: Path) -> None:
    assert "Nel mezzo" in load_corpus(str(corpora / "commedia.txt")).text


def test_letters_of_every_script_stay_and_the_rest_becomes_one_space() -> None:
    assert normalise_text("Ça va?\n 12 — да_да!", Normalisation(letters_only=True)) == "Ça va да да"
    assert normalise_text("Ça", Normalisation(lower_case=True)) == "ça"


def test_headings_of_chapters_go_and_lines_that_only_look_similar_stay() -> None:
    text = "Chapter IV\nHe lived.\nPart of it\n  CANTO 12.\nLibro primo\nScene 2. A wood\nEnd"
    assert normalise_text(text, Normalisation(drop_headings=True)) == "He lived.\nPart of it\nLibro primo\nEnd"


def test_items_with_other_characters_are_left_out_and_the_order_stays() -> None:
    items = ["Maria  Grazia", "Zoë", "anna", "o'neil", "", "anna"]
    options = Normalisation(lower_case=True, letters_only=True, spaces_to_dashes=True)
    assert normalise_items(items, options) == ("maria-grazia", "anna", "anna")
    assert normalise_items(items, Normalisation()) == ("Maria  Grazia", "Zoë", "anna", "o'neil", "anna")
