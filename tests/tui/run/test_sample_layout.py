"""Samples are laid out as plain text that fits, whatever a model writes."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from torchtty.engine.contract.run.log import SampleRecord
from torchtty.tui.run.sample_layout import SampleLayout, Wrapped, plain_text, wrap


def laid_out(record, width=60):
    layout = SampleLayout(width)
    layout.show(record)
    return ["".join(piece.text for piece in line) for line in layout.lines]


def test_names_stand_in_columns_each_with_its_mark():
    record = SampleRecord(0, "a", 100, texts=("anna", "bo", "zork"), known=(True, False, False), done=True)
    lines = laid_out(record)
    assert re.split(r"\s{2,}", lines[1].strip()) == ["○ anna", "● bo", "● zork"]


def test_names_stand_at_the_same_places_while_they_grow():
    short = laid_out(SampleRecord(0, "a", 1, texts=("a", "b", "c")))[1]
    grown = laid_out(SampleRecord(0, "a", 1, texts=("anna", "b", "c")))[1]
    assert short.index("b") == grown.index("b")


def test_markup_stays_text():
    record = SampleRecord(0, "a", 1, prompt="[red]x[/]", texts=("[bold]loud[/bold] and [/] [link=x]y",), done=True)
    lines = laid_out(record)
    assert "[red]x[/]" in lines[0]
    assert lines[1] == "[bold]loud[/bold] and [/] [link=x]y"


def test_unknown_symbols_of_the_prompt_are_named():
    assert laid_out(SampleRecord(0, "a", 1, prompt="é", unknown=("'é'",), texts=("x",)))[1].endswith(": é")


def test_a_copy_holds_no_control_characters():
    assert plain_text(SampleRecord(0, "a", 1, texts=("a\x1b[31mb",))) == "a␛[31mb"


ANYTHING = st.text(st.characters(codec="utf-8"), max_size=80) | st.text("ab \n\t世\u0301\x1b[]", max_size=80)


@given(st.lists(ANYTHING, min_size=1, max_size=4), ANYTHING, st.integers(8, 90), st.booleans())
def test_no_line_is_too_wide_and_none_holds_a_control_character(texts, prompt, width, known):
    marks = tuple(True for _ in texts) if known else ()
    for line in laid_out(
        SampleRecord(0, "a", 1, prompt=prompt, texts=tuple(texts), known=marks, unknown=(prompt,)), width
    ):
        assert cell_len(line.rstrip()) <= max(width, 31)
        assert not any(unicodedata.category(character) == "Cc" for character in line)


@given(st.lists(ANYTHING, max_size=8), st.integers(2, 30))
def test_text_that_grows_is_broken_as_if_it_had_come_at_once(pieces, width):
    grown, whole = Wrapped(width), Wrapped(width)
    for piece in pieces:
        grown.append(piece)
    whole.append("".join(pieces))
    assert grown.lines == whole.lines


@given(ANYTHING, st.integers(2, 30))
def test_wrapping_loses_no_letter(text, width):
    paragraph = text.replace("\n", "")
    assert "".join(wrap(paragraph, width)) == paragraph
