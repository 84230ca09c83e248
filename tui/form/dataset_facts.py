"""What a look into a dataset has found, in words: the form and `torchtty data` show the same."""

import re
from collections.abc import Mapping
from typing import Any

from torchtty.engine.contract.printable import symbol_name
from torchtty.tui.format import count, size

MOST_SYMBOLS = 100  # that are listed
_SETTINGS = re.compile(r"(?<![\w./-])data\.(field|format|encoding|unit)\b")


def naming_settings(sentence: str, name: str) -> str:
    """Call the settings that a sentence names as a person finds them there: with a `name` of `--\\1`, `data.field` is `--field`."""
    return _SETTINGS.sub(name, sentence)


def facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what is known of a dataset as (name, value); values quote the data and are to be made printable."""
    if not found:
        return []
    is_items, is_part = found["unit"] == "items", found.get("read") is not None
    some = " in what was read" if is_part else ""
    rows = []
    if found.get("size"):
        rows.append(("size", _size(found)))
    if found.get("encoding"):
        rows.append(("encoding", str(found["encoding"])))
    rows.append(("unit", "items, one a line" if is_items else "one running text"))
    if is_items:
        rows.append(("items", f"{count(found['items'])}, {count(found['distinct'])} of them distinct{some}"))
        rows.append(("length", f"{found['mean_length']:.1f} on average; the longest is {found['longest']}"))
    else:
        rows.append(("lines", f"{count(found['lines'])}{some}"))
    rows.append(("characters", f"{count(found['characters'])}{some}"))
    rows.append(("symbols", f"{len(found['symbols']):,}: {found['symbols'][:MOST_SYMBOLS]}"))
    frequent = ", ".join(f"{symbol_name(symbol)} {share:.1%}" for symbol, share in found["frequent"])
    return [*rows, ("most frequent", frequent)]


def _size(found: Mapping[str, Any]) -> str:
    files = f" in {count(found['files'])} files" if (found.get("files") or 1) > 1 else ""
    part = f"; its first {size(found['read'])} are looked at" if found.get("read") is not None else ""
    return f"{size(found['size'])}{files}{part}"
