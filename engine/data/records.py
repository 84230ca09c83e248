"""Texts out of records: one field of JSON lines, or one column of a table with commas."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line, shortened

Format = Literal["plain", "json-lines", "csv"]
SUFFIXES: dict[str, Format] = {
    ".jsonl": "json-lines",
    ".ndjson": "json-lines",
    ".jsonlines": "json-lines",
    ".csv": "csv",
    ".tsv": "csv",
}

_USUAL = "text"  # the field that is taken where there are several
_DELIMITERS = ",;\t|"
_NAMED = 12  # fields that a message lists
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Records:
    """The texts of a field in their order, and a sentence on what they are."""

    texts: tuple[str, ...]
    summary: str


def read_records(text: str, format: Format, field: str, name: str, *, is_whole: bool = True) -> Records:
    """Read the texts of a field, without those that are blank or null.

    Without a `field`, the only one is taken, or the one called `text`. `name` is what an error calls the file. What is not
    `is_whole` may end within a record, which is left out.
    Raises a `UserError` that names the line where a record is broken or lacks the field.
    """
    found = list(
        _of_json(text, field, name) if format == "json-lines" else _of_table(text, field, name, is_whole=is_whole)
    )
    texts = tuple(_LONE_SURROGATES.sub("\ufffd", value) for _, value in found if value.strip())
    if not texts:
        raise UserError(f"{name} holds no text{f' in its field {_quoted(field)}' if field else ''}. Give another file.")
    named = f", their field {_quoted(found[0][0])}" if found[0][0] else ""
    blank = f"; {len(found) - len(texts):,} without text are left out" if len(found) > len(texts) else ""
    return Records(texts, f"{len(texts):,} {'JSON lines' if format == 'json-lines' else 'rows'}{named}{blank}.")


def joined(texts: tuple[str, ...]) -> str:
    """Join records to one text: a line each, or with a blank line between where one of them has several lines."""
    return ("\n\n" if any("\n" in text for text in texts) else "\n").join(text.strip("\n") for text in texts)


def _of_json(text: str, field: str, name: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        where = f"{name}, line {number:,}"
        try:
            record = json.loads(line.rstrip("\n"))
        except RecursionError:
            raise UserError(f"{where} is nested too deeply. Give one flat JSON object a line.") from None
        except json.JSONDecodeError as error:
            raise UserError(
                f"{where} is no JSON: {error.msg} at column {error.colno:,}. Mend the line, or set data.format to plain."
            ) from None
        except ValueError as error:  # a number of thousands of digits
            raise UserError(f"{where} cannot be read: {error}. Mend the line.") from None
        if isinstance(record, str):
            yield "", record
            continue
        if not isinstance(record, dict):
            raise UserError(
                f"{where} is neither a JSON object nor a string. Set data.format to plain to read it as text."
            )
        field = field or _chosen([key for key, value in record.items() if isinstance(value, str)], name)
        if field not in record:
            raise _lacking(field, list(record), where)
        if (value := record[field]) is None:
            value = ""
        if not isinstance(value, str):
            raise UserError(
                f"{where}: its field {_quoted(field)} is {_kind(value)}, no text. Choose another data.field."
            )
        yield field, value


def _of_table(text: str, field: str, name: str, *, is_whole: bool) -> Iterator[tuple[str, str]]:
    csv.field_size_limit(2**31 - 1)  # the default of 128 KB is less than a story
    header = text.lstrip("\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    columns: list[str] = []
    column = -1
    began = 1
    try:
        for row in reader:
            here, began = began, reader.line_num + 1
            if not any(row):
                continue
            if not columns:
                columns = [cell.strip() for cell in row]
                field = field or _chosen(columns, name)
                if field not in columns:
                    raise _lacking(field, columns, name)
                column = columns.index(field)
                continue
            if len(row) <= column:
                raise UserError(
                    f"{name}, line {here:,} has {len(row)} column{'s' * (len(row) != 1)} and no {_quoted(field)}. "
                    "Mend the line, or set data.format to plain."
                )
            yield field, row[column]
    except csv.Error as error:
        if is_whole:
            raise UserError(
                f"{name}, line {began:,} is no row of a table: {error}. Mend the line, or set data.format to plain."
            ) from None


def _chosen(fields: list[str], name: str) -> str:
    """Return the field to take where none was named."""
    if len(fields) == 1:
        return fields[0]
    if _USUAL in fields:
        return _USUAL
    if not fields:
        raise UserError(f"{name} has no field with text in its first record. Name one in data.field.")
    raise UserError(f"{name} has several fields: choose one in data.field. They are {_listed(fields)}.")


def _lacking(field: str, fields: list[str], where: str) -> UserError:
    return UserError(f"{where} has no field {_quoted(field)}. It has {_listed(fields)}: choose one in data.field.")


def _listed(fields: list[str]) -> str:
    named = ", ".join(_quoted(field) for field in fields[:_NAMED])
    return f"{named} and {len(fields) - _NAMED:,} more" if len(fields) > _NAMED else named or "none"


def _quoted(field: str) -> str:
    return f"'{printable_line(shortened(field, 40))}'"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "a list" if isinstance(value, list) else "an object"
