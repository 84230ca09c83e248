"""What a person has noted about a run: a star, tags and a note, in `marks.json` of its folder.

The file is replaced as a whole, and is all that these change: what the run is, and where it comes from, stays as it was written.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run.access import READABLE, is_of_another_user
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import read_json, write_atomically

FILE = "marks.json"
MOST_TAGS, LONGEST_NOTE = 20, 500
_TAG = re.compile(r"[\w.+-]{1,30}")


@dataclass(frozen=True)
class Marks:
    """A run's star, its tags in the order in which they were given, and its note of one line."""

    starred: bool = False
    tags: tuple[str, ...] = ()
    note: str = ""


def read_marks(run: RunDirectory) -> Marks:
    """Return a run's marks; what is missing or no mark is passed over."""
    try:
        found = read_json(run.path / FILE)
    except (OSError, ValueError):
        return Marks()
    if not isinstance(found, dict):
        return Marks()
    tags, note = found.get("tags"), found.get("note")
    known = [tag for tag in tags if isinstance(tag, str) and _TAG.fullmatch(tag)] if isinstance(tags, list) else []
    return Marks(
        found.get("starred") is True,
        tuple(dict.fromkeys(known))[:MOST_TAGS],
        clean_note(note)[:LONGEST_NOTE] if isinstance(note, str) else "",
    )


def write_marks(run: RunDirectory, marks: Marks) -> None:
    """Replace a run's marks; raise `UserError` where the run is another user's, or the disk refuses."""
    about = {"starred": marks.starred, "tags": list(marks.tags), "note": marks.note}
    try:
        write_atomically(run.path / FILE, json.dumps(about, ensure_ascii=False), mode=READABLE)
    except OSError as error:
        if isinstance(error, PermissionError) and is_of_another_user(run.path):
            raise UserError(f"{run.name} is another user's run: only its owner can mark it.") from None
        raise UserError(f"The marks of {run.name} cannot be written: {error.strerror or error}.") from None


def star(run: RunDirectory, *, starred: bool) -> None:
    """Give a run a star, or take it away."""
    write_marks(run, replace(read_marks(run), starred=starred))


def tag(run: RunDirectory, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Marks:
    """Add tags to a run's and remove others; return its marks. Raises `UserError` for what is no tag."""
    marks, gone = read_marks(run), set(map(check_tag, remove))
    tags = check_tags(name for name in (*marks.tags, *map(check_tag, add)) if name not in gone)
    changed = replace(marks, tags=tags)
    write_marks(run, changed)
    return changed


def note(run: RunDirectory, text: str) -> None:
    """Give a run a note in place of the one that it has; an empty one removes it."""
    write_marks(run, replace(read_marks(run), note=check_note(text)))


def annotate(run: RunDirectory, tags: Iterable[str], note: str) -> None:
    """Give a run these tags and this note in place of those that it has; its star stays."""
    write_marks(run, replace(read_marks(run), tags=check_tags(tags), note=check_note(note)))


def split_tags(text: str) -> list[str]:
    """Return the tags that a text holds, between which stand spaces or commas."""
    return text.replace(",", " ").split()


def check_tags(texts: Iterable[str]) -> tuple[str, ...]:
    """Return tags as they are stored, each once; raise `UserError` for too many, or for a text that is none."""
    tags = tuple(dict.fromkeys(map(check_tag, texts)))
    if len(tags) > MOST_TAGS:
        raise UserError(f"A run has {MOST_TAGS} tags at most: these are {len(tags)}.")
    return tags


def check_tag(text: str) -> str:
    """Return a tag as it is stored; raise `UserError` for a text that is none."""
    name = text.strip().removeprefix("#")
    if not _TAG.fullmatch(name):
        raise UserError(
            f"A tag cannot be '{shortened(printable_line(text), 40)}': use up to 30 letters, digits, dots, dashes, plus signs "
            "and underscores."
        )
    return name


def check_note(text: str) -> str:
    """Return a note as it is stored, on one line and safe to show; raise `UserError` for one that is too long."""
    cleaned = clean_note(text)
    if len(cleaned) > LONGEST_NOTE:
        raise UserError(f"A note has {LONGEST_NOTE} characters at most: this one has {len(cleaned)}.")
    return cleaned


def clean_note(text: str) -> str:
    """Put a text on one line, with signs for what would act on a terminal."""
    return printable_line(" ".join(text.split()))
