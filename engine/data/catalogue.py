"""From a dataset's name or a path to a cleaned corpus."""

import hashlib
import os
from pathlib import Path
from typing import Literal

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.printable import shortened, symbol_name
from torchtty.engine.contract.settings.catalogue import Dataset, Normalisation, catalogue, embedded_alternative
from torchtty.engine.data.download import RemoteFile, fetch
from torchtty.engine.data.embedded import embedded_text
from torchtty.engine.data.text import (
    Corpus,
    Unit,
    decode_text,
    detect_unit,
    item_lines,
    normalise_items,
    normalise_text,
    read_bytes,
)


def load_corpus(
    dataset: str,
    *,
    unit: Literal["auto", "items", "text"] = "auto",
    normalisation: Normalisation | None = None,
) -> Corpus:
    """Load and clean a text corpus.

    `dataset` is a name of the catalogue or the path of a UTF-8 text file; a file that is, byte for byte, a download of
    the catalogue is treated as that dataset. `unit="auto"` takes the catalogue's word, or looks at the lines
    (`detect_unit`).
    `normalisation=None` is the catalogue's own for a dataset called by its name, and none for a path.
    Raises a `UserError`.
    """
    entry = catalogue().get(dataset)
    called_by_name = entry is not None
    if entry is None:
        path = _existing_path(dataset)
        data = read_bytes(path)
        entry = _recognised(data)
        text, notes = decode_text(data, str(path))
        name, source = path.stem, str(path)
    else:
        text, notes = _text_of(entry)
        name, source = entry.name, entry.title
    if entry and entry.skip_lines:
        text = "\n".join(text.split("\n")[entry.skip_lines :])
        notes = (*notes, f"The first {entry.skip_lines} lines are no data and were left out.")
    chosen_unit: Unit = unit if unit != "auto" else _unit_of(entry, text)
    if normalisation is None:
        normalisation = entry.normalisation if entry and called_by_name else Normalisation()
    headings = entry.headings if entry else ""
    if chosen_unit == "text":
        return _checked(Corpus(name, "text", normalise_text(text, normalisation, headings), (), source, notes))
    lines = item_lines(text)
    items = normalise_items(lines, normalisation, headings)
    if left_out := len(lines) - len(items):
        notes = (*notes, f"{left_out:,} of {len(lines):,} items were left out in cleaning.")
    return _checked(Corpus(name, "items", "", items, source, notes))


def remote_file(dataset: Dataset) -> RemoteFile:
    """Where a dataset of source `download` is fetched from."""
    assert dataset.source == "download"
    return RemoteFile(dataset.file, dataset.address, dataset.size, dataset.sha256)


def _text_of(entry: Dataset) -> tuple[str, tuple[str, ...]]:
    if entry.kind == "images":
        raise UserError(f"{entry.name} holds pictures, and this model learns from text. Choose a text dataset.")
    if entry.embedded:
        return embedded_text(entry), ()
    instead = (
        f"Choose {embedded_alternative(entry.kind).name}, which needs no network, "
        f"or set TORCHTTY_MIRROR to a folder that holds {entry.file}."
    )
    path = fetch(remote_file(entry), instead=instead)
    return decode_text(read_bytes(path), str(path))


def _existing_path(dataset: str) -> Path:
    path = expanded(dataset)
    looks_like_path = "/" in dataset or "\\" in dataset or path.suffix
    if not looks_like_path and not os.path.exists(path):
        raise UserError(
            f"There is no dataset called '{shortened(dataset)}', nor a file of that name. "
            f"Choose one of {', '.join(_text_datasets())}, or give the path of a text file."
        )
    return path


def _text_datasets() -> list[str]:
    return [entry.name for entry in catalogue().values() if entry.kind != "images"]


def _recognised(data: bytes) -> Dataset | None:
    by_size = [entry for entry in catalogue().values() if entry.source == "download" and entry.size == len(data)]
    digest = hashlib.sha256(data).hexdigest() if by_size else ""
    return next((entry for entry in by_size if entry.sha256 == digest), None)


def _unit_of(entry: Dataset | None, text: str) -> Unit:
    if entry is None:
        return detect_unit(text)
    return "items" if entry.kind == "items" else "text"


def _checked(corpus: Corpus) -> Corpus:
    if not corpus.text and not corpus.items:
        raise UserError(f"Nothing of {corpus.name} is left after cleaning. Switch letters_only or drop_headings off.")
    symbols = corpus.symbols()
    if len(symbols) < 2 and corpus.unit == "text":
        raise UserError(
            f"{corpus.name} consists of a single symbol, {symbol_name(symbols[0])}: there is nothing to learn. "
            "Give a text with at least two."
        )
    if corpus.unit == "items" and len(corpus.items) < 2:
        raise UserError(f"{corpus.name} holds a single item. Give at least two, one a line, or set the unit to text.")
    return corpus
