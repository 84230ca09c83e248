"""By what runs can be filtered and sorted: facts, results, and every setting, by names that a person writes.

A setting is meant by its path (`optimizer.learning_rate`), its name (`learning_rate`) or, where many write it short, by its
usual abbreviation (`lr`); a section that comes in several kinds by its name (`optimizer` is `optimizer.kind`). A metric is meant
by its name (`val_loss`).
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.abbreviations import ABBREVIATIONS, written_out
from torchtty.engine.contract.settings.configuration import kinds, variant
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import COMMON, Tree
from torchtty.engine.contract.settings.fields import Section, show

Value = str | float | tuple[str, ...] | None
"""What a run has of a subject: a text, a number, several texts, or nothing."""

LIVE = "live"  # the states in which a process works on the run


class Kind(StrEnum):
    """How the values of a subject are compared."""

    WORD = "word"  # as a whole: `model:gpt` is not GPT-2
    TEXT = "text"  # by a part of it
    NUMBER = "number"
    ANY = "any"  # a setting: a number in one run, perhaps a word in another


@dataclass(frozen=True)
class Subject:
    """A name by which runs are filtered and sorted, and what a run has of it; `choices` are all its words, if they are known."""

    name: str
    about: str
    kind: Kind
    value: Callable[[Entry], Value]
    choices: tuple[str, ...] = ()
    descending: bool = False  # how it is sorted at first


def _metric(entry: Entry, role: str) -> float | None:
    family = entry.family
    if family is None:
        return None
    names = [metric.name for metric in family.metrics if metric.role == role and metric.name in entry.status.metrics]
    return entry.status.metrics[names[0]] if names else None


def _watched(entry: Entry) -> float | None:
    family = entry.family
    return entry.status.metrics.get(family.watched or "") if family else None


def _tested(entry: Entry) -> float | None:
    family = entry.family
    return entry.status.test.get(family.tested or "") if family else None


def _states(entry: Entry) -> tuple[str, ...]:
    state = entry.status.state
    return (state.value, LIVE) if state.is_live else (state.value,)


def _model(entry: Entry) -> tuple[str, ...]:
    return tuple(filter(None, (entry.kind, entry.model)))


def _age(entry: Entry) -> float | None:
    return time.time() - entry.created if entry.created else None


NEWEST = "created"
SMOOTHED = "smoothed"  # the one name whose values take reading the curves: whoever sorts by it brings them
SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for subject in (
        Subject("name", "the run's name", Kind.TEXT, lambda entry: entry.key),
        Subject("state", "what it is doing, or live", Kind.WORD, _states, (*(state.value for state in RunState), LIVE)),
        Subject("model", "the model's family", Kind.WORD, _model, tuple(FAMILIES)),
        Subject("recipe", "the recipe it was started from", Kind.TEXT, lambda entry: entry.recipe or None),
        Subject("group", "the group it was trained in", Kind.TEXT, lambda entry: entry.group or None),
        Subject("data", "the dataset or the file", Kind.TEXT, lambda entry: entry.dataset or None),
        Subject("device", "where it trained", Kind.TEXT, lambda entry: entry.status.device or None),
        Subject(
            "star", "yes for a starred run", Kind.WORD, lambda entry: show(entry.marks.starred), ("yes", "no"), True
        ),
        Subject("tag", "a tag", Kind.WORD, lambda entry: entry.marks.tags),
        Subject("note", "the note", Kind.TEXT, lambda entry: entry.marks.note or None),
        Subject("val", "the latest validation loss", Kind.NUMBER, _watched),
        Subject("train", "the latest training loss", Kind.NUMBER, lambda entry: _metric(entry, "train")),
        Subject("best", "the best loss", Kind.NUMBER, lambda entry: entry.status.best),
        Subject("test", "the loss of the test split", Kind.NUMBER, _tested),
        Subject("step", "steps done", Kind.NUMBER, lambda entry: entry.status.step, descending=True),
        Subject("params", "parameters", Kind.NUMBER, lambda entry: entry.status.parameters, descending=True),
        Subject("speed", "steps a second", Kind.NUMBER, lambda entry: entry.status.steps_per_second, descending=True),
        Subject("time", "seconds of training, or 90s, 5m, 2h", Kind.NUMBER, lambda entry: entry.status.seconds),
        Subject("age", "how long ago it was made: 90s, 5m, 2h, 3d", Kind.NUMBER, _age),
        Subject(NEWEST, "when it was made", Kind.NUMBER, lambda entry: entry.created or None, descending=True),
    )
}


@cache
def metric_names() -> frozenset[str]:
    """Return the names of every metric that a family declares."""
    return frozenset(metric.name for family in FAMILIES.values() for metric in (*family.metrics, *COMMON))


@cache
def setting_names() -> frozenset[str]:
    """Return the names, paths and kinds of every setting that a family has."""
    found: set[str] = set()
    for family in FAMILIES.values():
        for section, info in family.configuration.model_fields.items():
            names = kinds(family.kind, section)
            if section == "model":
                names = (family.kind,)
            classes: list[object] = [variant(family.kind, section, name) for name in names] or [info.annotation]
            for cls in classes:
                assert isinstance(cls, type)
                assert issubclass(cls, Section)
                for field in cls.model_fields:
                    found |= {f"{section}.{field}"} | ({section} if field == "kind" else {field})
    return frozenset(found)


def known_names() -> list[str]:
    """Return every name that can be written in a filter, the most useful first."""
    rest = {name for name in setting_names() if "." not in name} | metric_names() | ABBREVIATIONS.keys()
    return [*SUBJECTS, *sorted(rest - SUBJECTS.keys())]


@cache
def subject_named(name: str) -> Subject:
    """Return the subject of that name; raise `UserError` that suggests the nearest."""
    wanted = name.lower()
    if wanted in SUBJECTS:
        return SUBJECTS[wanted]
    path = written_out(wanted)
    if path in setting_names():
        return Subject(name, "a setting", Kind.ANY, lambda entry: setting_of(entry.settings, path))
    if path in metric_names():
        return Subject(name, "the latest value", Kind.NUMBER, lambda entry: entry.status.metrics.get(path))
    close = get_close_matches(wanted, known_names(), n=2, cutoff=0.6)
    hint = f" Did you mean {' or '.join(close)}?" if close else f" There are {', '.join(SUBJECTS)}, and every setting."
    raise UserError(f"Runs have no '{shortened(printable_line(name), 40)}'.{hint}")


def setting_of(settings: Mapping[str, Mapping[str, object]] | Tree, path: str) -> Value:
    """Return the value of a setting by its path or its name: a number as it is, anything else as it is written; None without it."""
    section, dot, field = path.rpartition(".")
    if not dot:
        kind = settings.get(path, {}).get("kind")
        holder = next((name for name, fields in settings.items() if path in fields and path != "kind"), None)
        if holder is None:
            return str(kind) if kind is not None else None
        section, field = holder, path
    fields = settings.get(section, {})
    if field not in fields:
        return None
    value = fields[field]
    return value if isinstance(value, int | float) and not isinstance(value, bool) else show(value)


def number_of(value: Value) -> float | None:
    """Return a value as a number that can be ordered; None for what is none, NaN too."""
    return float(value) if isinstance(value, int | float) and not math.isnan(value) else None
