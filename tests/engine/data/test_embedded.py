"""The texts that come with the installation."""

import string
import time
from pathlib import Path

from torchtty.engine.data.catalogue import given_names, load_corpus, python_docs


def test_given_names_are_many_plain_and_in_a_fixed_order() -> None:
    names = given_names().split("\n")
    # 12,460 with Faker 40.54; other versions differ by some.
    assert 11_000 < len(names) < 14_000
    assert names == sorted(set(names))
    assert set("".join(names)) == set(string.ascii_lowercase + "-'")
    assert {"achille", "aaliyah"} <= set(names)


def test_given_names_are_kept_and_read_back_quickly(data_folder: Path) -> None:
    first = given_names()
    assert [path.name.startswith("given-names-faker-") for path in data_folder.iterdir()] == [True]
    started = time.perf_counter()
    assert given_names() == first
    assert time.perf_counter() - started < 0.1


def test_a_damaged_copy_is_made_anew(data_folder: Path) -> None:
    first = given_names()
    (kept,) = data_folder.iterdir()
    for damage in (b"", b"\xff\xfe", b"anna\nb\x1b[31m\n"):
        kept.write_bytes(damage)
        assert given_names() == first


def test_a_data_folder_that_cannot_be_made_costs_nothing_but_time(data_folder: Path) -> None:
    data_folder.write_text("a file where the folder should be")
    assert len(given_names()) > 80_000


def test_python_docs_are_about_as_long_as_promised() -> None:
    text = python_docs()
    assert 400_000 < len(text) < 800_000
    assert text == python_docs()


def test_the_three_ifs_have_exactly_three_ambiguous_places() -> None:
    words = load_corpus("three-ifs").text.lower().split()
    assert (len(words), len(set(words))) == (16, 10)
    for context in (1, 2, 3):
        followers: dict[tuple[str, ...], set[str]] = {}
        for start in range(len(words) - context):
            followers.setdefault(tuple(words[start : start + context]), set()).add(words[start + context])
        ambiguous = {seen: next_words for seen, next_words in followers.items() if len(next_words) > 1}
        assert {len(next_words) for next_words in ambiguous.values()} == {3}
        assert list(ambiguous) == [("if", "we", "all")[3 - context :]]


def test_the_lamp_is_18_words_and_marks() -> None:
    line = load_corpus("lamp").text
    assert len(line.replace(",", " ,").replace(".", " .").split()) == 18
