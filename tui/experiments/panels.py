"""Small multiples: a panel for each value of a setting and each length of training, over common axes."""

from dataclasses import dataclass

from rich.style import Style

from torchtty.engine.contract.experiments.results import Results, label
from torchtty.engine.contract.experiments.summaries import (
    figure_steps,
    members_with,
    moment,
    stabilised,
    steps_per_epoch,
    title_of,
    unit,
)
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.experiments.variation import SEED
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.figure import Cursor, Drawing, fitted
from torchtty.tui.charts.plane import Plane, PlaneCurve, draw
from torchtty.tui.charts.style import ChartStyle, Line, colour
from torchtty.tui.experiments.choices import Choices
from torchtty.tui.experiments.fan import Bundle, bundle_of, whole_range, y_axis

SMALLEST = (24, 7)  # cells and lines of a panel
MOST_COLOURS = 8
LENGTHS = 3


@dataclass(frozen=True)
class Panel:
    """Curves over an x axis of their own, with what is said above and of each."""

    title: str
    bundles: tuple[Bundle, ...]
    x: Axis
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panels:
    """Panels in rows, with one y axis for all; the cursor reads a panel, and scrolls where they do not fit."""

    panels: tuple[tuple[Panel, ...], ...]
    y: Axis
    x_title: str
    y_title: str
    names: tuple[str, ...]  # of the colours

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        row, column = (0, 0) if cursor is None else (cursor[0] + down, cursor[1] + right)
        return min(max(row, 0), len(self.panels) - 1), min(max(column, 0), len(self.panels[0]) - 1)

    def reading(self, cursor: Cursor) -> str:
        panel = self.panels[min(cursor[0], len(self.panels) - 1)][min(cursor[1], len(self.panels[0]) - 1)]
        return f"{panel.title}: {' · '.join(panel.notes)}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        height = height or 40
        across = max(1, min(len(self.panels[0]), width // SMALLEST[0]))
        down = max(1, min(len(self.panels), (height - 1) // SMALLEST[1]))
        left = min(max(0, (cursor[1] if cursor else 0) - across // 2), len(self.panels[0]) - across)
        top = min(max(0, (cursor[0] if cursor else 0) - down // 2), len(self.panels) - down)
        wide, high = width // across, (height - 1) // down
        lines: list[Line] = [self._legend(style, cursor, seen=(across, down))]
        for row in range(top, top + down):
            parts = [
                self._panel(self.panels[row][column], wide, high, style, here=(row, column) == cursor)
                for column in range(left, left + across)
            ]
            lines += [tuple(run for part in line for run in fitted(part, wide)) for line in zip(*parts, strict=True)]

        def found(x: int, y: int) -> Cursor | None:
            row, column = (y - 1) // high, x // wide
            return (top + row, left + column) if 0 <= row < down and 0 <= column < across else None

        return Drawing(tuple(lines), found)

    def _legend(self, style: ChartStyle, cursor: Cursor | None, seen: tuple[int, int]) -> Line:
        if cursor is not None:
            return ((printable_line(self.reading(cursor)), style.cursor),)
        runs: list[tuple[str, Style]] = []
        for number, name in enumerate(self.names):
            runs += [(style.sample(number), style.curve(colour(number))), (f" {printable_line(name)}  ", style.label)]
        hidden = seen != (len(self.panels[0]), len(self.panels))
        where = f"{self.y_title} ↑  {self.x_title} →" + ("  arrows go to the other panels" if hidden else "")
        return (*runs, (where, style.axis))

    def _panel(self, panel: Panel, width: int, height: int, style: ChartStyle, *, here: bool) -> list[Line]:
        curves = [
            PlaneCurve(curve, colour(bundle.number), bundle.number)
            for bundle in panel.bundles
            for curve in bundle.curves
        ]
        title = ("▸ " if here else "") + printable_line(panel.title)
        head: Line = ((title[: width - 1], style.cursor if here else style.title),)
        drawn = draw(Plane(panel.x, self.y, tuple(curves)), width - 1, height, style)[1:]  # without its line of titles
        return [head, *drawn]


def panels_of(results: Results, choices: Choices) -> Panels | str:
    """Return a group's panels, or why there are none.

    Rows are the values of the first chosen setting. Where the recipe has figures for several lengths of training the columns are
    those lengths, and all other settings colours; else the columns are the values of the second chosen setting.
    """
    if not choices.rows:
        return "The runs of this group differ in nothing: there is one panel, and Curves shows it."
    lengths = [step for step in figure_steps(results, choices.metric) if step > 0]
    lengths = lengths[-LENGTHS:] if len(lengths) > 1 else []
    rows, columns = results.values(choices.rows), choices.columns
    across = (
        [({}, length) for length in lengths]
        if lengths
        else ([({columns: value}, 0) for value in results.values(columns)] if columns else [({}, 0)])
    )
    colours = [
        path for path in results.fields if path not in (choices.rows, *((columns,) if not lengths else ()), SEED)
    ]
    names: dict[str, int] = {}
    found = [
        tuple(
            _panel(results, choices, {choices.rows: value} | dict(chosen), length, colours, names)
            for chosen, length in across
        )
        for value in rows
    ]
    limits = whole_range(
        [curve for row in found for panel in row for bundle in panel.bundles for curve in bundle.curves]
    )
    if limits is None:
        return "The panels appear here once a run has logged a step."
    y = y_axis(*limits, log=choices.log)
    return Panels(tuple(found), y, unit(results), title_of(results, choices.metric), tuple(names) if colours else ())


def _panel(
    results: Results,
    choices: Choices,
    settings: dict[str, object],
    length: int,
    colours: list[str],
    names: dict[str, int],
) -> Panel:
    per, until = steps_per_epoch(results) or 1, float(length) if length else None
    groups: dict[str, list[int]] = {}
    members = members_with(results, settings)
    for place, member in enumerate(members):
        groups.setdefault(label([(path, member.settings.get(path)) for path in colours]), []).append(place)
    bundles, notes = [], []
    for name, places in groups.items():
        number = names.setdefault(name, len(names)) % MOST_COLOURS
        own = [members[place] for place in places]
        bundles.append(bundle_of(results, name, number, own, choices.metric, until))
        spread, when = (
            results.spread(own, choices.metric, until if until is not None else choices.at),
            stabilised(results, own, until),
        )
        value = written(spread.mean) if spread.n else "–"
        notes.append(
            f"{name + ' ' if colours else ''}{value}" + (f", stabilised {written(when)}" if when is not None else "")
        )
    end = (length or max([results.last_step, 1])) / per
    title = label(list(settings.items())) + (f" · to {written(moment(results, length))}" if length else "")
    return Panel(title, tuple(bundles), Axis(0.0, max(end, 1e-9)), tuple(notes))
