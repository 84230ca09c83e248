"""The catalogue of datasets that are known by name, read from `assets/datasets.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

Kind = Literal["items", "text", "images"]
Source = Literal["python", "file", "download", "torchvision"]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How a corpus is cleaned before it is used; `torchtty.engine.data.text` says what each option does."""

    lower_case: bool = False
    letters_only: bool = False
    drop_headings: bool = False
    spaces_to_dashes: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """One entry of the catalogue.

    `size` and `sha256` are those of the file a download brings. `skip_lines` is how many lines at its start are
    no data. `headings` is a regular expression that matches a whole heading line.
    """

    name: str
    title: str
    description: str
    kind: Kind
    source: Source
    licence: str
    file: str = ""
    address: str = ""
    size: int = 0
    sha256: str = ""
    size_hint: int = 0
    skip_lines: int = 0
    headings: str = ""
    normalisation: Normalisation = Normalisation()

    @property
    def embedded(self) -> bool:
        """Whether it needs no network, ever."""
        return self.source in ("python", "file")

    @property
    def download_size(self) -> int:
        """Bytes that have to come over the network once, 0 where none."""
        return self.size if self.source == "download" else self.size_hint


@cache
def catalogue() -> MappingProxyType[str, Dataset]:
    """Every known dataset by its name, in the order in which a picker shows them."""
    text = resources.files("torchtty.assets").joinpath("datasets.toml").read_text(encoding="utf-8")
    entries = [_dataset(table) for table in tomllib.loads(text)["dataset"]]
    return MappingProxyType({entry.name: entry for entry in entries})


def _dataset(table: dict[str, Any]) -> Dataset:
    entry = Dataset(**{**table, "normalisation": Normalisation(**table.get("normalisation", {}))})
    # A file name that is a path would leave the folder that it is kept in.
    assert "/" not in entry.file
    assert "\\" not in entry.file
    assert entry.source != "download" or (entry.file and entry.address and entry.size and len(entry.sha256) == 64)
    return entry


def embedded_alternative(kind: Kind) -> Dataset:
    """The first dataset of that kind that needs no network, to be named when a download fails."""
    return next(entry for entry in catalogue().values() if entry.kind == kind and entry.embedded)
