"""Texts out of JSON lines and tables: which field, and which line is to blame."""

import pytest

from torchtty.engine.contract.errors import UserError
from torchtty.engine.data.records import Format, joined, read_records

TABLE = 'name;text\nanna;"one\ntwo; three"\n\nbea;\ncarla;four\n'
LINES = '{"id": 1, "text": "one\\ntwo", "by": "anna"}\n\n{"id": 2, "text": null}\n{"id": 3, "text": "four"}\n'


def test_a_table_gives_its_column_with_the_line_ends_in_quotes() -> None:
    assert read_records(TABLE, "csv", "text", "a.csv").texts == ("one\ntwo; three", "four")
    assert read_records(TABLE, "csv", "", "a.csv").summary == "2 rows, their field 'text'; 1 without text are left out."
    assert read_records(TABLE, "csv", "name", "a.csv").texts == ("anna", "bea", "carla")
    assert read_records("word\nanna\nbea\n", "csv", "", "a.csv").texts == ("anna", "bea")
    assert read_records("a\tb\n1\t2\n", "csv", "b", "a.tsv").texts == ("2",)


def test_json_lines_give_their_field_and_strings_need_none() -> None:
    assert read_records(LINES, "json-lines", "", "a.jsonl").texts == ("one\ntwo", "four")
    assert read_records('{"body": "one", "n": 1}\n', "json-lines", "", "a.jsonl").texts == ("one",)
    assert read_records('"one"\n"two"\n', "json-lines", "", "a.jsonl").texts == ("one", "two")
    assert read_records('"\\ud83d half"\n', "json-lines", "", "a.jsonl").texts == ("\ufffd half",)


@pytest.mark.parametrize(
    ("text", "format", "field", "message"),
    [
        ('{"text": "one"}\n{"text": \n', "json-lines", "", r"a, line 2 is no JSON: Expecting value at column 10"),
        ('{"text": "one"}\n{"body": "two"}\n', "json-lines", "", r"a, line 2 has no field 'text'. It has 'body'"),
        (
            '{"a": "one", "b": "two"}\n',
            "json-lines",
            "",
            r"several fields: choose one in data.field. They are 'a', 'b'",
        ),
        ('{"a": "one", "b": "two"}\n', "json-lines", "c", r"line 1 has no field 'c'. It has 'a', 'b'"),
        ('{"text": 7}\n', "json-lines", "text", r"its field 'text' is a number, no text"),
        ("[1]\n", "json-lines", "", r"line 1 is neither a JSON object nor a string"),
        pytest.param("[" * 100_000, "json-lines", "", r"line 1 is nested too deeply", id="nested"),
        ('{"text": " "}\n', "json-lines", "", r"a holds no text"),
        ("a,b\n1,2\n", "csv", "", r"several fields: choose one in data.field. They are 'a', 'b'"),
        ("a,b\n1,2\n", "csv", "c", r"a has no field 'c'. It has 'a', 'b'"),
        ("a,b\n1,2\n3\n", "csv", "b", r"a, line 3 has 1 column and no 'b'"),
        ('a,b\n1,2\n"3,4\n5,6\n', "csv", "b", r"a, line 3 is no row of a table: unexpected end of data"),
        ("a\x1b[2J,b\n1,2\n", "csv", "", r"'a␛\[2J', 'b'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, format: Format, field: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_records(text, format, field, "a")


def test_a_beginning_leaves_out_the_row_that_it_cuts_through() -> None:
    assert read_records('a,b\n1,2\n"3\n', "csv", "b", "a", is_whole=False).texts == ("2",)


def test_records_of_one_line_are_joined_by_line_ends_and_others_by_blank_lines() -> None:
    assert joined(("one", "two")) == "one\ntwo"
    assert joined(("one\nmore\n", "two")) == "one\nmore\n\ntwo"
