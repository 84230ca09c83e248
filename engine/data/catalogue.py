"""From a dataset's name or a path to a cleaned corpus."""

import contextlib
import hashlib
import importlib
import os
import pkgutil
import re
from dataclasses import fields, replace
from importlib import metadata, resources
from pathlib import Path
from typing import Literal

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import data_folder, expanded
from torchtty.engine.contract.printable import shortened, symbol_name
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.settings.catalogue import Dataset, Normalisation, catalogue, embedded_alternative
from torchtty.engine.contract.settings.data import TextData
from torchtty.engine.data.download import RemoteFile, fetch
from torchtty.engine.data.files import Reading, Source, read_bytes, read_source
from torchtty.engine.data.text import Corpus, detect_unit, item_lines, normalise_items, normalise_text

AS_TOLD = Reading()


def load_corpus(
    dataset: str,
    *,
    unit: Literal["auto", "items", "text"] = "auto",
    normalisation: Normalisation | None = None,
    reading: Reading = AS_TOLD,
    most: int | None = None,
) -> Corpus:
    """Load and clean a text corpus.

    `dataset` is a name of the catalogue or the path of a text file or a folder of them, which are read as `reading` says,
    or `most` bytes from their beginning; a file that is, byte for byte, a download of the catalogue is treated as that dataset.
    `unit="auto"` takes the catalogue's word, or looks at the lines (`detect_unit`).
    `normalisation=None` is the catalogue's own for a dataset called by its name, and none for a path.
    Raises a `UserError`.
    """
    entry = catalogue().get(dataset)
    called_by_name = entry is not None
    if entry is None:
        path = _existing_path(dataset)
        found = read_source(path, reading, most=most)
        entry = _recognised(path, found)
        name, source = path.stem or path.name, str(path)
    else:
        if reading.field:
            raise UserError(f"data.field is '{reading.field}', and {entry.name} has no fields. Leave it empty.")
        found = _text_of(entry)
        name, source = entry.name, entry.title
    text, records, notes = found.text, found.records, found.notes
    if entry and entry.skip_lines:
        text = "\n".join(text.split("\n")[entry.skip_lines :])
        notes = (*notes, f"The first {entry.skip_lines} lines are no data and were left out.")
    if unit == "auto":
        unit = detect_unit(text) if entry is None else "items" if entry.kind == "items" else "text"
    if normalisation is None:
        normalisation = entry.normalisation if entry and called_by_name else Normalisation()
    headings = entry.headings if entry else ""
    corpus = Corpus(
        name, unit, source=source, encoding=found.encoding, size=found.size, files=found.files, read=found.read
    )
    if unit == "text":
        return _checked(replace(corpus, text=normalise_text(text, normalisation, headings), notes=notes))
    lines = item_lines(text) if records is None else tuple(" ".join(record.split()) for record in records)
    items = normalise_items(lines, normalisation, headings)
    if left_out := len(lines) - len(items):
        notes = (*notes, f"{left_out:,} of {len(lines):,} items were left out in cleaning.")
    return _checked(replace(corpus, items=items, notes=notes))


def corpus_of(section: TextData, *, most: int | None = None) -> Corpus:
    """Load what a `data` section describes, cleaned as it says; `most` bytes of a person's own. Raises a `UserError`."""
    entry = catalogue().get(section.dataset)
    own = entry.normalisation if entry else Normalisation()
    cleaning = Normalisation(
        **{option.name: getattr(section, option.name) or getattr(own, option.name) for option in fields(Normalisation)}
    )
    reading = Reading(section.format, section.field or "", section.encoding)
    return load_corpus(section.dataset, unit=section.unit, normalisation=cleaning, reading=reading, most=most)


def _text_of(entry: Dataset) -> Source:
    if entry.kind == "images":
        raise UserError(f"{entry.name} holds pictures, and this model learns from text. Choose a text dataset.")
    if entry.embedded:
        return Source(embedded_text(entry), None, "", 0, 0, ())
    instead = (
        f"Choose {embedded_alternative(entry.kind).name}, which needs no network, "
        f"or set TORCHTTY_MIRROR to a folder that holds {entry.file}."
    )
    return read_source(fetch(RemoteFile(entry.file, entry.address, entry.size, entry.sha256), instead=instead), AS_TOLD)


def _existing_path(dataset: str) -> Path:
    path = expanded(dataset)
    looks_like_path = "/" in dataset or "\\" in dataset or path.suffix
    if not looks_like_path and not os.path.exists(path):
        texts = [entry.name for entry in catalogue().values() if entry.kind != "images"]
        raise UserError(
            f"There is no dataset called '{shortened(dataset)}', nor a file of that name. "
            f"Choose one of {', '.join(texts)}, or give the path of a text file."
        )
    return path


def _recognised(path: Path, found: Source) -> Dataset | None:
    by_size = [entry for entry in catalogue().values() if entry.source == "download" and entry.size == found.size]
    if not by_size or found.files != 1 or found.read is not None or path.is_dir():
        return None
    digest = hashlib.sha256(read_bytes(path)).hexdigest()
    return next((entry for entry in by_size if entry.sha256 == digest), None)


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


# a to z with dashes and apostrophes between letters.
_PLAIN_NAME = re.compile(r"[a-z]+(?:[-'][a-z]+)*")
# `en` belongs to no country: it repeats the countries' lists, and only newer versions of Faker fill it.
_SKIPPED_LOCALES = {"en"}


def embedded_text(dataset: Dataset) -> str:
    """The text of an embedded dataset; items stand one a line."""
    if dataset.source == "file":
        return resources.files("torchtty.assets").joinpath("words", dataset.file).read_text(encoding="utf-8").strip()
    return {"given-names": given_names, "python-docs": python_docs}[dataset.name]()


def given_names() -> str:
    """Faker's given names of all countries that are spelt with a to z, in small letters, sorted, one a line.

    Reading them takes about a second, so they are kept in the data folder, one file a version of Faker.
    """
    kept = data_folder() / f"given-names-faker-{metadata.version('faker')}.txt"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = kept.read_text(encoding="utf-8")
        if all(_PLAIN_NAME.fullmatch(name) for name in text.split("\n")):
            return text
    text = "\n".join(sorted(_faker_given_names()))
    with contextlib.suppress(OSError):  # a data folder that cannot be written costs a second next time, nothing else
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, text)
    return text


def python_docs() -> str:
    """The language reference that Python's `help()` shows, its topics in alphabetical order."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def _faker_given_names() -> set[str]:
    # The lists are class attributes: making a Faker for every locale would load all its other providers too.
    import faker.providers.person as person

    names: set[str] = set()
    for locale in pkgutil.iter_modules(person.__path__):
        if locale.name in _SKIPPED_LOCALES:
            continue
        provider = importlib.import_module(f"{person.__name__}.{locale.name}").Provider
        for attribute in dir(provider):
            listed = getattr(provider, attribute)
            if attribute.startswith("first_names") and isinstance(listed, list | tuple | dict | set):
                names.update(name.strip().lower().replace("’", "'") for name in listed if isinstance(name, str))
    return {name for name in names if _PLAIN_NAME.fullmatch(name)}
