"""Completing a path as a shell does: as far as all candidates agree, and then one after the other."""

import os
from dataclasses import dataclass
from itertools import islice

from torchtty.engine.contract.paths import expanded
from torchtty.engine.contract.printable import printable_line

MOST_LOOKED_AT = 5_000  # entries of a folder: one of a million would take seconds


@dataclass(frozen=True, slots=True)
class Completion:
    """What a path can become: `text` as far as all `candidates` agree. Folders end in a slash."""

    text: str
    candidates: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing left to add: the one candidate is a file."""
        return len(self.candidates) == 1 and not self.text.endswith("/")


def complete(text: str, *, folders_only: bool = False) -> Completion:
    """List what a path that is being typed can become; `~` and relative paths stay as they were written.

    Hidden entries are listed once their dot is typed. A name that cannot be shown as it is, such as one with control
    characters, is no candidate, nor is what can be neither read as a file nor entered.
    """
    if text == "~":
        return Completion("~/", ("~/",))
    place, slash, begun = text.rpartition("/")
    found = []
    try:
        with os.scandir(expanded(f"{place}{slash}") if slash else ".") as entries:
            for entry in islice(entries, MOST_LOOKED_AT):
                name = entry.name
                if not name.startswith(begun) or (name.startswith(".") and not begun.startswith(".")):
                    continue
                if printable_line(name) != name:
                    continue
                is_folder = entry.is_dir()
                if is_folder or (not folders_only and entry.is_file()):
                    found.append(f"{place}{slash}{name}{'/' if is_folder else ''}")
    except (OSError, ValueError):
        return Completion(text)
    found.sort(key=lambda path: (not path.endswith("/"), path.casefold()))
    agreed = os.path.commonprefix(found)  # noqa: RUF071 (letters, not parts of a path: within a name too)
    return Completion(agreed or text, tuple(found))
