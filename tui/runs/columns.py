"""The columns of the table of runs, and which of them fit."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from textual.content import Content

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.family import Metric
from torchtty.tui.format import STATE_LOOKS, duration, loss, measures, moment, rate, short_count
from torchtty.tui.runs.row import RunRow


@dataclass(frozen=True)
class Column:
    """A column: its key, title and width in cells, how much it matters (0 most), and how a cell is written."""

    key: str
    title: str
    width: int
    rank: int
    write: Callable[[RunRow], Content]


def _state(row: RunRow) -> Content:
    if row.problem:
        return Content.styled("! broken", "$text-error")
    look = STATE_LOOKS[row.status.state]
    return Content.styled(f"{look.sign} {look.word}", look.colour)


def _text(value: str) -> Content:
    return Content(printable_line(value))


def _figure(write: Callable[[RunRow], str], width: int) -> Callable[[RunRow], Content]:
    """Write figures flush right, as figures are compared."""
    return lambda row: Content("" if row.problem else write(row).rjust(width))


def _steps(row: RunRow) -> str:
    status = row.status
    return f"{status.step:,}/{short_count(status.max_steps)}" if status.max_steps else f"{status.step:,}"


def _speed(row: RunRow) -> str:
    return rate(row.status.steps_per_second) if row.status.state.is_live else "–"


def _loss(row: RunRow) -> str:
    if len(row.summarised) > 1:
        return measures(row.summarised)
    return loss(row.status.metrics.get(row.family.watched or "") if row.family else None)


def _figures(key: str, title: str, width: int, rank: int, write: Callable[[RunRow], str]) -> Column:
    return Column(key, title.rjust(width), width, rank, _figure(write, width))


NAME, VAL = "name", "val"
NAME_WIDTH, MORE_FOR_NAMES = (
    18,
    12,
)  # cells that names have in any case, and those that long ones are left before other columns
COLUMNS = (
    Column("state", "state", 10, 0, _state),
    Column(NAME, "name", NAME_WIDTH, 0, lambda row: _text(row.run.name)),
    Column("model", "model", 12, 5, lambda row: _text(row.model)),
    Column("dataset", "dataset", 14, 6, lambda row: _text(row.dataset)),
    _figures("parameters", "params", 7, 7, lambda row: short_count(row.status.parameters)),
    _figures("step", "step", 13, 2, _steps),
    _figures(VAL, "val", 6, 1, _loss),
    _figures("best", "best", 6, 3, lambda row: loss(row.status.best)),
    _figures("speed", "speed", 11, 8, _speed),
    _figures("time", "time", 8, 9, lambda row: duration(row.status.seconds)),
    _figures("started", "started", 10, 4, lambda row: moment(row.created)),
)
PADDING = 2  # cells the table adds to every column
MARK_WIDTH = 1


def _with_several(summarised: Sequence[tuple[Metric, float]]) -> Column:
    """Return the column of losses where some run is summed up by more than one."""
    labels = " ".join(metric.label or metric.title for metric, _ in summarised)
    return _figures(VAL, f"val or {labels}", 13, 1, _loss)


def fitting(width: int, rows: Collection[RunRow] = ()) -> list[Column]:
    """Return the columns that fit into a width, those that matter most first chosen, in their usual order."""
    several = [row.summarised for row in rows if len(row.summarised) > 1]
    columns = [_with_several(several[0]) if several and column.key == VAL else column for column in COLUMNS]
    longest = max((len(row.key) for row in rows), default=0)
    left = width - MARK_WIDTH - PADDING - min(max(0, longest - NAME_WIDTH), MORE_FOR_NAMES)
    chosen = set()
    for column in sorted(columns, key=lambda column: column.rank):
        if column.rank and left < column.width + PADDING:
            continue
        left -= column.width + PADDING
        chosen.add(column.key)
    return [column for column in columns if column.key in chosen]


def name_width(columns: list[Column], width: int, names: list[str]) -> int:
    """Return the width of the name's column: what is left over, and no more than the names need."""
    others = sum(column.width + PADDING for column in columns if column.key != NAME) + MARK_WIDTH + PADDING
    longest = max((len(name) for name in names), default=0)
    return max(12, min(width - others - PADDING, max(longest, NAME_WIDTH)))
