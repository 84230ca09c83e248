"""The legend of a chart: its curves with their values, how it is looked at, and what they are compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

from rich.cells import cell_len, set_cell_size
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import PlotArea
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import Line, Run, colour
from torchtty.tui.format import number

NULL = Style.null()
GAP = 2  # cells between two entries
ROWS_A_LINE = 10  # of a frame, for each line of the legend after the first


@dataclass(frozen=True)
class Entry:
    """A part of the legend; `series` names the curve that it stands for, if it stands for one."""

    runs: Line
    series: str = ""

    @property
    def width(self) -> int:
        return sum(cell_len(text) for text, _ in self.runs)


@dataclass(frozen=True)
class Place:
    """Where in a frame the entry of a curve stands: line, first column, and the one after the last."""

    line: int
    start: int
    stop: int
    series: str


@dataclass(frozen=True)
class Legend:
    """Lines of a legend, the places of its curves, how many entries it has and whether it names the cursor's step."""

    lines: tuple[Line, ...]
    places: tuple[Place, ...]
    shown: int
    names_cursor: bool = False


def lines_wanted(spec: ChartSpec, width: int) -> int:
    """Return how many lines the legend takes for all that it has, as many as the height allows."""
    most = 1 + spec.height // ROWS_A_LINE
    title, entries = _title(spec), _entries(spec, None)
    if spec.cursor is not None:  # its values may be of another width, and the plot is to stay where it is
        entries = _entries(spec, None, at_cursor=False)
    return next((n for n in range(1, most) if _laid_out(title, entries, width, n).shown == len(entries)), most)


def legend(spec: ChartSpec, width: int, lines: int = 1, area: PlotArea | None = None) -> Legend:
    """Return the legend in so many lines, with the marks at the cursor where there is a plot area.

    The cursor's step gives way where it would displace a curve or a reference.
    """
    title, entries = _title(spec), _entries(spec, area)
    found = _laid_out(title, entries, width, lines)
    if spec.cursor is not None:
        step = Entry(((f"step {spec.cursor:,.0f}", spec.style.cursor),))
        with_step = _laid_out(title, [step, *entries], width, lines)
        if with_step.shown > found.shown:
            return Legend(with_step.lines, with_step.places, with_step.shown, names_cursor=True)
    return found


def _title(spec: ChartSpec) -> Run:
    return printable_line(spec.title), spec.style.title


def _entries(spec: ChartSpec, area: PlotArea | None, *, at_cursor: bool = True) -> list[Entry]:
    """List the curves with their latest values, or those at the cursor with the marks there, and the references."""
    style = spec.style
    entries: list[Entry] = []
    for index, series in enumerate(spec.series):
        if len(series):
            entries.append(_curve(spec, index, series, at_cursor=at_cursor))
    for mark in spec.marks_at_cursor(area) if area else []:
        text = f"{printable_line(mark.title)} at {mark.step:,.0f}".strip()
        entries.append(Entry((("┊ ", style.mark), (text, style.label))))
    if entries and (view := spec.view()):
        entries.append(Entry(((view, style.axis),)))
    for reference in spec.references:
        text = f"{printable_line(reference.title)} {number(spec.unit.of(reference.value))}"
        entries.append(Entry((("┈┈ ", style.reference), (text, style.label))))
    return entries


def _curve(spec: ChartSpec, index: int, series: Series, *, at_cursor: bool) -> Entry:
    style = spec.style
    # A chart of a single curve names it once.
    name = "" if series.title == spec.title else printable_line(series.title)
    if series.name in spec.hidden:
        return Entry((("·· ", style.axis), (f"{name or 'curve'} hidden", style.axis)), series.name)
    at = series.nearest(spec.cursor) if spec.cursor is not None and at_cursor else None
    value = series.latest(spec.smoothing) if at is None else series.value(at, spec.smoothing)
    if at is not None and not _covers(series, spec.cursor):
        value = nan  # it has no point there
    text = f"{name} {number(spec.unit.of(value))}".strip()
    return Entry(
        ((style.sample(index) + " ", style.curve(series.colour or colour(index))), (text, style.label)), series.name
    )


def _covers(series: Series, step: float | None) -> bool:
    """Return whether a curve reaches to a step, or nearly: an evaluation may be a little later than the last point."""
    bounds = series.bounds()
    if bounds is None or step is None:
        return False
    slack = (bounds[1] - bounds[0]) / max(1, len(series) - 1)
    return bounds[0] - slack <= step <= bounds[1] + slack


def _laid_out(title: Run, entries: Sequence[Entry], width: int, lines: int) -> Legend:
    """Lay out the title and the entries that fit into lines of exactly `width` cells."""
    name, style = title
    if cell_len(name) > width:
        blank: Line = ((" " * width, NULL),)
        return Legend((((set_cell_size(name, width), style),), *[blank] * (lines - 1)), (), 0)
    made: list[list[Run]] = [[(name, style)] if name else []]
    used, places, shown = cell_len(name), [], 0
    for entry in entries:
        gap = (GAP if shown and len(made[-1]) > 1 else GAP + 1) if used else 0
        if used + gap + entry.width > width and len(made) < lines and entry.width <= width:
            made[-1].append((" " * (width - used), NULL))
            made.append([])
            used = gap = 0
        if used + gap + entry.width > width:
            break
        if gap:
            made[-1].append((" " * gap, NULL))
        made[-1].extend(entry.runs)
        if entry.series:
            places.append(Place(len(made) - 1, used + gap, used + gap + entry.width, entry.series))
        used, shown = used + gap + entry.width, shown + 1
    if used < width:
        made[-1].append((" " * (width - used), NULL))
    made += [[(" " * width, NULL)] for _ in range(lines - len(made))]
    return Legend(tuple(tuple(run for run in line if run[0]) for line in made), tuple(places), shown)
