"""The columns of `torchtty runs`: what a run's cell says, in words and as a value of JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.text import Text

from torchtty.engine.contract.listing.differences import differing, distinction
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.listing.subjects import (
    NEWEST,
    SMOOTHED,
    Kind,
    Subject,
    Value,
    metric_names,
    subject_named,
)
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.families import metric_named
from torchtty.engine.contract.settings.family import Metric
from torchtty.engine.contract.settings.fields import show
from torchtty.tui.format import (
    MISSING,
    STATE_LOOKS,
    ago,
    branch,
    count,
    duration,
    loss,
    measures,
    number,
    rate,
    state_words,
)

LATEST, DIFFERS = "latest", "differs"
ALIASES = {
    "run": "name",
    "dataset": "data",
    "started": NEWEST,
    "tags": "tag",
    "parameters": "params",
    LATEST: "val",
    "loss": "val",
}
"""What columns are called, and the subjects that they are sorted by."""
STAR = "★"


@dataclass(frozen=True)
class Listing:
    """The runs that are listed in their order, every run there is, and the smoothed losses that were wanted, by names."""

    entries: Sequence[Entry]
    every: Sequence[Entry]
    levels: Mapping[str, float | None]

    @cached_property
    def differing(self) -> dict[str, list[str]]:
        """The settings in which the runs of each group differ, by the groups' names."""
        groups: dict[str, list[Entry]] = {}
        for entry in self.every:
            groups.setdefault(entry.group, []).append(entry)
        return {
            group: differing([entry.settings for entry in entries if entry.settings])
            for group, entries in groups.items()
            if group
        }

    @cached_property
    def heading(self) -> str:
        """The title of the one metric that sums every run up, such as `val loss`; empty if they differ."""
        found = [_summarised(entry) for entry in self.entries]
        groups = {tuple(metric for metric, _ in summarised) for summarised in found if summarised}
        metrics = [metric for group in groups for metric in group]
        if len(groups) != 1 or len(metrics) != 1:
            return ""
        (metric,) = metrics
        return f"{metric.label} loss" if metric.loss and metric.label else metric.title


@dataclass(frozen=True)
class Column:
    """A column: its name and title, how a cell is written, its value in JSON, and whether it is flush right."""

    name: str
    title: str
    write: Callable[[Entry, Listing], Text]
    value: Callable[[Entry, Listing], Any]
    right: bool = False


def usual_columns(listing: Listing) -> list[Column]:
    """Return the columns that are shown where none are chosen; stars and tags where some run has one."""
    names = ["run", "state", "model", "data", "step", LATEST, "best", "started"]
    if any(entry.marks.starred for entry in listing.entries):
        names.insert(1, "star")
    if any(entry.marks.tags for entry in listing.entries):
        names.insert(-1, "tags")
    columns = [column_named(name) for name in names]
    latest = names.index(LATEST)
    if listing.heading:
        columns[latest] = Column(LATEST, listing.heading, _latest, columns[latest].value, right=True)
    return columns


def column_named(name: str) -> Column:
    """Return a column by the name of what it shows; raise `UserError` that suggests the nearest for one that there is not."""
    if name in _OWN:
        return _OWN[name]
    subject = subject_named(ALIASES.get(name, name))
    if subject.name == "model":
        return Column(name, name, lambda entry, _: _text(entry.kind or "?"), lambda entry, _: entry.kind or None)
    return Column(
        name,
        name,
        lambda entry, _: _text(_written(subject, entry)),
        lambda entry, _: _as_json(subject.value(entry)),
        right=subject.kind in (Kind.NUMBER, Kind.ANY),
    )


def _written(subject: Subject, entry: Entry) -> str:
    """Write a run's value of a subject in full."""
    value = subject.value(entry)
    if isinstance(value, tuple):
        return " ".join(value)
    if value is None or isinstance(value, str):
        return value if value is not None else MISSING if subject.kind in (Kind.NUMBER, Kind.ANY) else ""
    match subject.name:
        case "created":
            return ago(value)
        case "time" | "age":
            return duration(value)
        case "params":
            return count(value)
        case "speed":
            return rate(value)
        case "val" | "train" | "best" | "test":
            return loss(value, 4)
        case name if subject.kind is Kind.NUMBER and name in metric_names():
            return loss(value, 4) if metric_named(name).loss else number(value)
    return show(value)


def _as_json(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(text: str, style: str = "") -> Text:
    return Text(printable_line(text), style)


def _name(entry: Entry, _: Listing) -> Text:
    return Text.assemble((branch(entry.depth), "dim"), (printable_line(entry.key), "bold"))


def _state(entry: Entry, _: Listing) -> Text:
    return Text(state_words(entry.status) + "*" * entry.status.serving, STATE_LOOKS[entry.status.state].style)


def _step(entry: Entry, _: Listing) -> Text:
    status = entry.status
    if status.max_steps <= 1:
        return Text(MISSING)
    done = count(status.step)
    return Text(done if status.step == status.max_steps else f"{done}/{count(status.max_steps)}")


def _summarised(entry: Entry) -> Sequence[tuple[Metric, float]]:
    return entry.family.summarised(entry.status.metrics) if entry.family else ()


def _latest(entry: Entry, listing: Listing) -> Text:
    """Write the metrics that sum a run up, with their names where those of others differ."""
    summarised = _summarised(entry)
    if not summarised:
        return Text(MISSING)
    return Text(printable_line(loss(summarised[0][1], 4) if listing.heading else measures(summarised)))


def _distinction(entry: Entry, listing: Listing) -> str:
    return "" if entry.problem else distinction(entry, listing.differing.get(entry.group, ()))


_OWN = {
    name: Column(name, STAR if name == "star" else name, write, value, right=right)
    for name, write, value, right in (
        ("run", _name, lambda entry, _: entry.key, False),
        ("name", _name, lambda entry, _: entry.key, False),
        ("state", _state, lambda entry, _: entry.status.state.value, False),
        ("data", lambda entry, _: _text(entry.dataset or "?"), lambda entry, _: entry.dataset or None, False),
        ("step", _step, lambda entry, _: entry.status.step, True),
        (LATEST, _latest, lambda entry, _: {one.name: value for one, value in _summarised(entry)}, False),
        ("started", lambda entry, _: _text(ago(entry.created), "dim"), lambda entry, _: entry.created or None, True),
        ("star", lambda e, _: Text(STAR * e.marks.starred, "yellow"), lambda entry, _: entry.marks.starred, False),
        (
            SMOOTHED,
            lambda entry, listing: Text(loss(listing.levels.get(entry.key), 4)),
            lambda entry, listing: listing.levels.get(entry.key),
            True,
        ),
        (DIFFERS, lambda entry, listing: _text(_distinction(entry, listing)), _distinction, False),
    )
}
COLUMN_NAMES = (*_OWN, *ALIASES)
