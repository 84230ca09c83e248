"""`torchtty data`: the datasets, and what one of them or a text file contains."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.client.dataset_look import look
from torchtty.engine.contract.client.piped_text import is_piped, read_piped
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import data_folder, expanded, written_path
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.settings.catalogue import Dataset, catalogue
from torchtty.tui.cli.arguments import suggestion
from torchtty.tui.cli.console import Exit, grid, output, print_json
from torchtty.tui.form.dataset_facts import facts, naming_settings
from torchtty.tui.format import size

KINDS = {"items": "list", "text": "text", "images": "pictures"}


def data(name: str | None, section: Mapping[str, str], *, as_json: bool) -> int:
    """List the datasets, or describe one or a person's own, read as a `data` section says; return the exit code."""
    if name is None:
        return _list(as_json=as_json)
    if is_piped(name):
        return _describe_piped(name, section, as_json=as_json)
    entry, path = catalogue().get(name), expanded(written_path(name))
    if entry is None and not os.path.lexists(path):
        raise UserError(
            f"There is no dataset called '{shortened(name)}', nor a file of that name.{suggestion(name, catalogue())} "
            "'torchtty data' lists the datasets."
        )
    if entry is None:
        return _describe_file(path, {"name": path.name, "path": str(path.absolute())}, section, as_json=as_json)
    found = _look(name, section) if entry.kind != "images" and where(entry) != "to download" else {}
    return _describe(_entry(entry), found, as_json=as_json)


def _describe_piped(name: str, section: Mapping[str, str], *, as_json: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="torchtty-") as folder:
        path = Path(folder, "piped.txt")
        path.write_bytes(read_piped(name))
        return _describe_file(path, {"name": "standard input"}, section, as_json=as_json)


def _describe_file(path: Path, about: dict[str, Any], section: Mapping[str, str], *, as_json: bool) -> int:
    return _describe(about, _look(str(path.absolute()), section), as_json=as_json)


def _describe(about: dict[str, Any], found: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        print_json(about | {"statistics": found or None})
    else:
        _print_description(output(), about, found)
    return Exit.DONE


def _look(dataset: str, section: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = look({"dataset": dataset, **section})
    except UserError as error:
        raise UserError(naming_settings(str(error), r"--\1")) from None
    assert found is not None  # nobody gives up here
    return found | {"notes": [naming_settings(note, r"--\1") for note in found["notes"]]}


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
    more = "A text of yours, or a folder of them:  torchtty train MODEL --data.dataset path/to/text.txt"
    console.print(Text(more, "dim"))
    return Exit.DONE


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
    for name, value in facts(found):
        table.add_row(name, Text(printable_line(value)))
    console.print(table)
    for note in found.get("notes", []):
        console.print(Text(printable_line(note), "yellow"))
    if found:
        console.print()
        console.print(Text("it begins with", "dim"))
        for line in found["first"]:
            console.print(Text(f"  {printable_line(line)}"), no_wrap=True, overflow="ellipsis")
