"""The order of the list of runs: sorted by a subject, put into groups, forks below their parents."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from torchtty.engine.contract.listing.differences import differing
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.listing.subjects import NEWEST, SMOOTHED, Value, number_of, subject_named
from torchtty.engine.contract.run.lineage import as_tree


class Grouping(StrEnum):
    """What brings runs together in the list."""

    GROUP = "group"  # those that were trained as one
    RECIPE = "recipe"
    MODEL = "model"
    NONE = "none"


@dataclass(frozen=True)
class Sort:
    """By which subject the list is sorted, and whether the largest comes first."""

    subject: str = NEWEST
    descending: bool = True

    @classmethod
    def by(cls, name: str) -> "Sort":
        """Sort by a subject in the direction that suits it; raise `UserError` where there is none of that name."""
        return cls(name, name != SMOOTHED and subject_named(name).descending)

    @property
    def reversed(self) -> "Sort":
        return replace(self, descending=not self.descending)


@dataclass(frozen=True)
class Group:
    """A row that stands for several runs, which are below it unless it is folded."""

    title: str
    entries: tuple[Entry, ...]
    folded: bool = True
    trained_together: bool = False
    depth: int = 0

    @property
    def key(self) -> str:
        """A key that no run's name is equal to."""
        return f"group:{self.title}"

    @cached_property
    def differing(self) -> tuple[str, ...]:
        """The settings in which its runs differ."""
        return tuple(differing([entry.settings for entry in self.entries if entry.settings]))

    @property
    def best(self) -> Entry | None:
        """The run with the lowest watched metric; None where none has one, or they are not measured by the same."""
        watched = {entry.family.watched for entry in self.entries if entry.family}
        known = [entry for entry in self.entries if number_of(entry.status.best) is not None]
        return min(known, key=lambda entry: entry.status.best or 0.0) if known and len(watched) == 1 else None


Row = Entry | Group


def sort_entries(
    entries: Iterable[Entry], sort: Sort, brought: Mapping[str, float | None] | None = None
) -> list[Entry]:
    """Sort runs, given the newest first, as they are listed; those that have no value of the subject come last, and of equal
    ones the newer first.

    `brought` are the values by the runs' names, for the subject `SMOOTHED`.
    """
    newest = list(entries)
    if sort.subject == NEWEST:
        return newest if sort.descending else newest[::-1]
    if sort.subject == SMOOTHED:
        values = brought or {}
        return _sorted(newest, lambda entry: values.get(entry.key), descending=sort.descending)
    return _sorted(newest, subject_named(sort.subject).value, descending=sort.descending)


def _sorted(entries: list[Entry], value: Callable[[Entry], Value], *, descending: bool) -> list[Entry]:
    found = [(_orderable(value(entry)), entry) for entry in entries]
    known = [(key, entry) for key, entry in found if key is not None]
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [entry for _, entry in known] + [entry for key, entry in found if key is None]


def _orderable(value: Value) -> tuple[int, float, str] | None:
    """Return what orders a value: numbers before words."""
    if value is None or value == () or value == "":
        return None
    if isinstance(value, tuple):
        return 1, 0.0, " ".join(value).lower()
    if isinstance(value, str):
        return 1, 0.0, value.lower()
    number = number_of(value)
    return None if number is None else (0, number, "")


def arrange(
    entries: Iterable[Entry],
    sort: Sort = Sort(),
    grouping: Grouping = Grouping.GROUP,
    toggled: Collection[str] = (),
    brought: Mapping[str, float | None] | None = None,
) -> list[Row]:
    """Return the rows of the list: a group where its first run in the order would stand, its runs below it unless it is folded.

    Groups that were trained together are folded at first, others are open; `toggled` holds the keys of those that are the other
    way round. Forks stand below their parents, a family where its first run would; without groups in any other order than by
    age they do not: that is a plain ranking.
    """
    ordered = sort_entries(entries, sort, brought)
    if grouping is Grouping.NONE:
        return list(_families(ordered)) if sort.subject == NEWEST else [_at(entry, 0) for entry in ordered]
    gathered: dict[str, list[Entry]] = {}
    for entry in ordered:
        gathered.setdefault(_group_of(entry, grouping), []).append(entry)
    placed: list[list[Entry] | Group] = []
    together = grouping is Grouping.GROUP
    seen: set[str] = set()
    alone = [entry for entry in ordered if _stands_alone(entry, grouping, gathered)]
    families = {entries[0].key: entries for entries in _split(_families(alone))}
    in_family = {entry.key: first for first, entries in families.items() for entry in entries}
    for entry in ordered:
        title = _group_of(entry, grouping)
        if _stands_alone(entry, grouping, gathered):
            first = in_family[entry.key]
            if first not in seen:
                seen.add(first)
                placed.append(families[first])
        elif (key := f"group:{title}") not in seen:
            seen.add(key)
            group = Group(title, tuple(gathered[title]), folded=together, trained_together=together)
            placed.append(replace(group, folded=group.folded != (key in toggled)))
    rows: list[Row] = []
    for one in placed:
        if isinstance(one, Group):
            rows.append(one)
            rows += [] if one.folded else [_at(entry, entry.depth + 1) for entry in _families(one.entries)]
        else:
            rows += one
    return rows


def _group_of(entry: Entry, grouping: Grouping) -> str:
    match grouping:
        case Grouping.GROUP:
            return entry.group
        case Grouping.RECIPE:
            return entry.recipe
        case _:
            return entry.model


def _stands_alone(entry: Entry, grouping: Grouping, gathered: Mapping[str, Sequence[Entry]]) -> bool:
    title = _group_of(entry, grouping)
    return not title or (grouping is not Grouping.GROUP and len(gathered[title]) == 1)


def _families(entries: Sequence[Entry]) -> list[Entry]:
    """Put forks below their parents, as far as these are among the runs."""
    tree = as_tree(entries, lambda entry: entry.created, lambda entry: entry.snapshot.parent)
    return [_at(entry, depth) for entry, depth in tree]


def _split(tree: Iterable[Entry]) -> list[list[Entry]]:
    families: list[list[Entry]] = []
    for entry in tree:
        if entry.depth == 0:
            families.append([])
        families[-1].append(entry)
    return families


def _at(entry: Entry, depth: int) -> Entry:
    return entry if entry.depth == depth else replace(entry, depth=depth)
