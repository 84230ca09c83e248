"""The columns of the table of runs: what they show of a run and of a group, and which of them fit."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from textual.content import Content

from torchtty.engine.contract.listing.arrangement import Group, Row, Sort
from torchtty.engine.contract.listing.curves import ShortCurve
from torchtty.engine.contract.listing.differences import distinction, shortest_name
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.listing.subjects import NEWEST, SMOOTHED, setting_of, subject_named
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.tui.format import STATE_LOOKS, branch, duration, loss, measures, moment, number, rate, short_count
from torchtty.tui.runs.sparklines import WIDTH, bars, sparkline

FOLDED, OPEN = "▸", "▾"
ASCENDING, DESCENDING = "▴", "▾"


@dataclass(frozen=True)
class Context:
    """What cells need besides their run: the groups' differing settings by the groups' names, and the curves by the runs'."""

    groups: Mapping[str, tuple[str, ...]]
    curves: Mapping[str, ShortCurve]


NOTHING = Context({}, {})


@dataclass(frozen=True)
class Column:
    """A column: its key, title and width in cells, how much it matters (0 most), and how a cell is written.

    `sorts` names the subject that a click on its title sorts by.
    """

    key: str
    title: str
    width: int
    rank: int
    write: Callable[[Entry, Context], Content]
    of_group: Callable[[Group, Context], Content] = lambda _group, _context: Content("")
    sorts: str = ""
    right: bool = False


def title_of(row: Row) -> str:
    """Write a row's name: a fork's behind a branch, a group's with the number of its runs."""
    if isinstance(row, Group):
        return (
            f"{OPEN if not row.folded else FOLDED} {row.title}  {len(row.entries)} run{'s' * (len(row.entries) != 1)}"
        )
    return branch(row.depth) + row.key


def _state(entry: Entry, _: Context) -> Content:
    if entry.problem:
        return Content.styled("! broken", "$text-error")
    look = STATE_LOOKS[entry.status.state]
    return Content.styled(f"{look.sign} {look.word}", look.colour)


def _sign(entry: Entry, _: Context) -> Content:
    if entry.problem:
        return Content.styled("!", "$text-error")
    look = STATE_LOOKS[entry.status.state]
    return Content.styled(look.sign, look.colour)


def _states(group: Group, _: Context) -> Content:
    """Write how many of a group's runs are live, or else how many failed."""
    live = sum(entry.status.state.is_live for entry in group.entries)
    states = [STATE_LOOKS[entry.status.state] for entry in group.entries if not entry.status.state.is_live]
    if live:
        return Content.styled(f"● {live} live", "$text-success")
    kinds = {look.sign: look for look in states}
    parts = [(f"{sign}{sum(one.sign == sign for one in states)}", look.colour) for sign, look in kinds.items()]
    return Content.assemble(*(part for pair in parts[:2] for part in (pair, " "))).rstrip()


def _text(value: str) -> Content:
    return Content(printable_line(value))


def _figures(
    key: str,
    title: str,
    width: int,
    rank: int,
    write: Callable[[Entry], str],
    sorts: str = "",
    of_group: Callable[[Group], str] = lambda _: "",
) -> Column:
    """Make a column of figures, flush right, as figures are compared."""
    return Column(
        key,
        title.rjust(width),
        width,
        rank,
        lambda entry, _: Content("" if entry.problem else write(entry).rjust(width)),
        lambda group, _: Content(of_group(group).rjust(width)),
        sorts,
        right=True,
    )


def _steps(entry: Entry) -> str:
    status = entry.status
    return f"{status.step:,}/{short_count(status.max_steps)}" if status.max_steps else f"{status.step:,}"


def _speed(entry: Entry) -> str:
    return rate(entry.status.steps_per_second) if entry.status.state.is_live else "–"


def summarised(entry: Entry) -> int:
    """Return by how many metrics a run is summed up."""
    return len(entry.family.summarised(entry.status.metrics)) if entry.family else 0


def _loss(entry: Entry) -> str:
    family = entry.family
    found = family.summarised(entry.status.metrics) if family else ()
    if len(found) > 1:
        return measures(found)
    return loss(entry.status.metrics.get(family.watched or "") if family else None)


def _tested(entry: Entry) -> str:
    family = entry.family
    return loss(entry.status.test.get(family.tested or "") if family else None)


def _distinction(entry: Entry, context: Context) -> Content:
    return _text(
        "" if entry.problem else distinction(entry, context.groups.get(entry.group, ()) if entry.group else ())
    )


def _curve(entry: Entry, context: Context) -> Content:
    curve = context.curves.get(entry.key)
    return Content.styled(sparkline(curve.values) if curve is not None else "", "$text-primary")


def _bests(group: Group, _: Context) -> Content:
    return Content.styled(
        bars(sorted(e.status.best for e in group.entries if e.status.best is not None)), "$foreground 60%"
    )


def _smoothed(entry: Entry, context: Context) -> Content:
    curve = context.curves.get(entry.key)
    return Content("" if curve is None else loss(curve.smoothed).rjust(9))


NAME, VAL, BEST = "name", "val", "best"
NAME_WIDTH = 18  # cells that names have in any case
MORE_FOR_NAMES = 12  # and those that long ones get before other columns
DIFFERS_WIDTH = 11  # and more, as far as there is room
COLUMNS = (
    Column("state", "state", 10, 0, _state, _states, "state"),
    Column(NAME, "name", NAME_WIDTH, 0, lambda e, _: _text(title_of(e)), lambda g, _: _text(title_of(g)), "name"),
    Column("differs", "differs", DIFFERS_WIDTH, 5, _distinction, lambda g, _: _text(_varied(g))),
    Column("model", "model", 12, 11, lambda entry, _: _text(entry.model), sorts="model"),
    Column("dataset", "dataset", 14, 12, lambda entry, _: _text(entry.dataset), sorts="data"),
    _figures("lr", "lr", 6, 9, lambda entry: _setting(entry, "learning_rate"), "lr"),
    _figures("parameters", "params", 7, 13, lambda entry: short_count(entry.status.parameters), "params"),
    _figures("step", "step", 13, 6, _steps, "step"),
    _figures(VAL, "val", 6, 1, _loss, "val"),
    _figures(
        BEST, "best", 6, 2, lambda e: loss(e.status.best), "best", lambda g: loss(g.best.status.best) if g.best else ""
    ),
    Column("curve", "curve", WIDTH, 4, _curve, _bests),
    _figures("speed", "speed", 11, 14, _speed, "speed"),
    _figures("time", "time", 8, 15, lambda entry: duration(entry.status.seconds), "time"),
    _figures("started", "started", 10, 10, lambda entry: moment(entry.created), NEWEST),
)
SEVERAL_LOSSES = _figures(VAL, "loss", 13, 1, _loss, "val")  # where some run is summed up by more than one
TESTED = _figures("test", "test", 6, 3, _tested, "test")  # where some run has evaluated its test split
TAGS = Column(
    "tags", "tags", 12, 8, lambda entry, _: _text(" ".join(entry.marks.tags)), sorts="tag"
)  # where some has one
SIGN = Column("state", " ", 1, 0, _sign, sorts="state")  # in place of the state's word where there is little room
LEVEL = Column(SMOOTHED, SMOOTHED, 9, 0, _smoothed, sorts=SMOOTHED, right=True)
PADDING = 2  # cells the table adds to every column
MARK_WIDTH = 2
NEWEST_FIRST = Sort()
_WORD = replace(
    COLUMNS[0], key="state-word", width=COLUMNS[0].width - SIGN.width - PADDING, rank=7
)  # what it takes more


def _setting(entry: Entry, path: str) -> str:
    value = setting_of(entry.settings, path)
    return "–" if value is None else number_or_text(value)


def number_or_text(value: object) -> str:
    """Write a setting's or a metric's value in a narrow cell."""
    from torchtty.engine.contract.settings.fields import show

    if isinstance(value, float) and len(show(value)) > 8:
        return number(value)
    return shortened(printable_line(" ".join(value) if isinstance(value, tuple) else show(value)), 16)


def _varied(group: Group) -> str:
    return ", ".join(map(shortest_name, group.differing[:6])) if group.trained_together else ""


def fitting(width: int, rows: Collection[Row] = (), sort: Sort = NEWEST_FIRST) -> list[Column]:
    """Return the columns that fit into a width, those that matter most, in their usual order.

    What the list is sorted by has a column in any case.
    """
    entries = [entry for row in rows for entry in (row.entries if isinstance(row, Group) else (row,))]
    several = any(summarised(entry) > 1 for entry in entries)
    columns = [SEVERAL_LOSSES if several and column.key == VAL else column for column in COLUMNS]
    columns[0] = SIGN
    if any(entry.status.test for entry in entries):
        columns.insert(1 + [column.key for column in columns].index(BEST), TESTED)
    if any(entry.marks.tags for entry in entries):
        columns.insert(2, TAGS)
    if not any(column.sorts == sort.subject for column in columns):
        columns.insert(2, _column_of(sort.subject))
    columns = [replace(column, rank=0) if column.sorts == sort.subject != NEWEST else column for column in columns]
    longest = max((len(title_of(row)) for row in rows), default=0)
    left = width - MARK_WIDTH - PADDING - min(max(0, longest - NAME_WIDTH), MORE_FOR_NAMES)
    chosen = set()
    for column in sorted([*columns, _WORD], key=lambda column: column.rank):
        if column.rank and left < column.width + PADDING:
            break
        left -= column.width + PADDING
        chosen.add(column.key)
    if _WORD.key in chosen:
        columns[0] = COLUMNS[0]
    return [column for column in columns if column.key in chosen]


def _column_of(name: str) -> Column:
    """Make a column for a subject that has none of its own."""
    if name == SMOOTHED:
        return LEVEL
    subject = subject_named(name)
    width = max(len(name) + 2, 8)

    def write(entry: Entry) -> str:
        value = subject.value(entry)
        return "–" if value is None or value == () else number_or_text(value)

    return _figures(f"sorted-{name}", name, min(width, 16), 0, write, name)


def heading(column: Column, sort: Sort) -> str:
    """Write a column's title, with an arrow where the list is sorted by it."""
    if column.sorts != sort.subject or not column.sorts:
        return column.title
    arrow = DESCENDING if sort.descending else ASCENDING
    text = column.title.strip() + arrow
    return text.rjust(column.width) if column.right else text


def widths(columns: list[Column], width: int, names: list[str]) -> dict[str, int]:
    """Return the columns' widths: what is left over goes to the names, as far as they need it, and then to what differs."""
    found = {column.key: column.width for column in columns}
    taken = sum(found[key] + PADDING for key in found if key != NAME) + MARK_WIDTH + PADDING
    longest = max((len(name) for name in names), default=0)
    found[NAME] = max(12, min(width - taken - PADDING, max(longest, NAME_WIDTH)))
    left = width - taken - PADDING - found[NAME]
    if "differs" in found and left > 0:
        found["differs"] += min(left, 40)
    return found
