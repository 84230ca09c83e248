"""Telling how a text is encoded."""

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.encoding import decode_text

ITALIAN = (
    "Nel mezzo del cammin di nostra vita mi ritrovai per una selva oscura, ché la diritta via era smarrita. È così. "
)
GERMAN = "„Müde“, sagte er – und öffnete die Tür. Große Größe! "
RUSSIAN = "Привет, как дела? Сегодня хорошая погода, и мы идём гулять. "
CZECH = "Žluťoučký kůň úpěl ďábelské ódy, a příliš dlouho. "
POLISH = "Zażółć gęślą jaźń, powiedział król i poszedł dalej. "
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
CHINESE = "中文测试，今天天气很好，我们去公园散步。"
GREEK = "Γειά σου Κόσμε, τι κάνεις σήμερα; Καλά είμαι. "


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ITALIAN, "latin-1"),
        ("perché", "latin-1"),
        ("andré\nzoë\nfrançois\n", "latin-1"),
        (GERMAN * 3, "cp1252"),
        (RUSSIAN * 3, "cp1251"),
        (RUSSIAN * 3, "koi8-r"),
        (CZECH * 3, "cp1250"),
        (POLISH * 3, "cp1250"),
        (GREEK * 3, "cp1253"),
        (JAPANESE * 3, "shift_jis"),
        (JAPANESE * 3, "euc_jp"),
        (CHINESE * 3, "gb18030"),
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-32"),
    ],
)
def test_a_text_comes_back_from_whichever_encoding_it_was_saved_in(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding), "a.txt").text == text


def test_one_accent_far_into_a_long_text_is_found_and_told() -> None:
    text = "plain words all along\n" * 200_000 + "perché\n"
    found = decode_text(text.encode("latin-1"), "a.txt")
    assert found.text == text
    far = "plain words all along\n" * 200_000 + RUSSIAN * 3
    assert decode_text(far.encode("koi8-r"), "a.txt").text == far
    assert found.notes == ("Read as Windows-1252 (Latin-1). If that is wrong, set data.encoding.",)


def test_a_broken_byte_in_utf8_becomes_a_sign_and_does_not_turn_all_accents_into_nonsense() -> None:
    data = bytearray((ITALIAN * 100).encode())
    data[data.index("é".encode()) + 1] = 0x41
    found = decode_text(bytes(data), "a.txt")
    assert found.encoding == "utf-8"
    assert found.text.count("\ufffd") == 1
    assert found.text.count("è") + found.text.count("é") >= 99
    assert "1 broken byte" in found.notes[0]


def test_an_encoding_that_is_asked_for_is_taken_or_refused_with_the_byte() -> None:
    data = "città".encode("latin-1")
    assert (
        decode_text(data, "a.txt", "cp1251").text == "cittа"
        or decode_text(data, "a.txt", "cp1251").text == "citt\u0430"
    )
    with pytest.raises(UserError, match=r"a.txt is not UTF-8: byte 4 cannot be read. Set data.encoding to auto"):
        decode_text(data, "a.txt", "utf-8")
    for nonsense in ("klingon", "rot13", "zip"):
        with pytest.raises(UserError, match=f"there is no encoding called '{nonsense}'"):
            decode_text(data, "a.txt", nonsense)


def test_a_beginning_may_end_within_a_character_and_a_whole_text_may_not() -> None:
    cut = "città".encode()[:-1]
    assert decode_text(cut, "a.txt", is_whole=False).text == "citt"
    assert decode_text(b"\xff\xfe" + "città".encode("utf-16-le")[:-1], "a.txt", is_whole=False).text == "citt"
    with pytest.raises(UserError, match="is not UTF-8"):
        decode_text(cut, "a.txt", "utf-8")
