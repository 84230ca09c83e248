"""`torchtty data`: the datasets, and what one of them or a text file contains."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import data_folder, expanded
from torchtty.engine.contract.printable import printable_line, shortened, symbol_name
from torchtty.engine.contract.settings.catalogue import Dataset, catalogue
from torchtty.tui.cli.arguments import suggestion
from torchtty.tui.cli.console import Exit, grid, output, print_json
from torchtty.tui.format import count, size

KINDS = {"items": "list", "text": "text", "images": "pictures"}


def data(name: str | None, *, as_json: bool) -> int:
    """List the datasets, or describe one; return the exit code."""
    if name is None:
        return _list(as_json=as_json)
    entry = catalogue().get(name)
    if entry is None and not os.path.exists(expanded(name)):
        raise UserError(
            f"There is no dataset called '{shortened(name)}', nor a file of that name.{suggestion(name, catalogue())} "
            "'torchtty data' lists the datasets."
        )
    found = _statistics(name) if entry is None or (entry.kind != "images" and where(entry) != "to download") else {}
    about = _entry(entry) if entry else {"name": Path(name).name, "path": str(expanded(name).absolute())}
    if as_json:
        print_json(about | {"statistics": found or None})
    else:
        _print_description(output(), about, found)
    return Exit.DONE


def where(entry: Dataset) -> str:
    """Return where a dataset is: embedded, here, or to download."""
    if entry.embedded:
        return "embedded"
    mirror = os.environ.get("TORCHTTY_MIRROR", "")
    folders = [data_folder(), *([Path(mirror).expanduser()] if mirror and "://" not in mirror else [])]
    if entry.file and any((folder / entry.file).is_file() for folder in folders):
        return "here"
    return "to download"


def _entry(entry: Dataset) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "description": entry.description,
        "kind": entry.kind,
        "where": where(entry),
        "download_size": entry.download_size,
        "licence": entry.licence,
        "address": entry.address or None,
    }


def _list(*, as_json: bool) -> int:
    entries = [_entry(entry) for entry in catalogue().values()]
    if as_json:
        print_json(entries)
        return Exit.DONE
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("dataset", "kind", "where", "size", "what it is"):
        table.add_column(title, no_wrap=title != "what it is", justify="right" if title == "size" else "left")
    for entry in entries:
        table.add_row(
            Text(entry["name"], "bold"),
            KINDS[entry["kind"]],
            Text(entry["where"], "green" if entry["where"] != "to download" else ""),
            size(entry["download_size"]) if entry["download_size"] else "–",
            Text(entry["title"]),
        )
    console = output()
    console.print(table)
    console.print()
    more = "Any UTF-8 text file can be used too:  torchtty train MODEL --data.dataset path/to/text.txt"
    console.print(Text(more, "dim"))
    return Exit.DONE


def _statistics(name: str) -> dict[str, Any]:
    """Ask the engine, in a process of its own, what is in a dataset."""
    command = [sys.executable, "-P", "-m", "torchtty.engine.data.look", name]
    answer = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    if answer.returncode:
        raise UserError(answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else f"{name} cannot be read.")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def _print_description(console: Console, about: dict[str, Any], found: dict[str, Any]) -> None:
    console.print(Text.assemble((printable_line(about["name"]), "bold"), "  ", about.get("title", "")))
    if about.get("description"):
        console.print(Text(about["description"]))
    console.print()
    table = grid()
    for name in ("path", "where", "licence", "address"):
        if about.get(name):
            table.add_row(name, Text(printable_line(str(about[name]))))
    if about.get("where") == "to download":
        table.add_row("size", Text(f"{size(about['download_size'])}, downloaded when it is first trained on"))
    for name, value in _rows(found):
        table.add_row(name, Text(printable_line(value)))
    console.print(table)
    for note in found.get("notes", []):
        console.print(Text(printable_line(note), "yellow"))
    if found:
        console.print()
        console.print(Text("it begins with", "dim"))
        for line in found["first"]:
            console.print(Text(f"  {printable_line(line)}"), no_wrap=True, overflow="ellipsis")


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    if not found:
        return []
    rows = [("unit", "items, one a line" if found["unit"] == "items" else "one running text")]
    if found["unit"] == "items":
        rows.append(("items", f"{count(found['items'])}, {count(found['distinct'])} of them distinct"))
        rows.append(("length", f"{found['mean_length']:.1f} on average; the longest is {found['longest']}"))
    else:
        rows.append(("lines", count(found["lines"])))
    rows.append(("characters", count(found["characters"])))
    rows.append(("symbols", f"{len(found['symbols'])}: {found['symbols'][:100]}"))
    frequent = ", ".join(f"{symbol_name(symbol)} {share:.1%}" for symbol, share in found["frequent"])
    return [*rows, ("most frequent", frequent)]
