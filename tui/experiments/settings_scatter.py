"""A setting against the result: a dot a run, and the mean of every value."""

import math
from dataclasses import dataclass
from statistics import fmean

from torchtty.engine.contract.experiments.results import Member, Results, label, short_name
from torchtty.engine.contract.experiments.summaries import title_of
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.experiments.variation import SEED
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.fields import show
from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.plane import Dot, Plane, PlaneCurve, draw
from torchtty.tui.charts.style import ChartStyle, Line, colour
from torchtty.tui.experiments.choices import Choices
from torchtty.tui.experiments.fan import y_axis

LOG_FROM = 20.0  # the ratio of the greatest to the least value of a setting from which its axis is logarithmic


@dataclass(frozen=True)
class SettingScatter:
    """Runs by the value of a setting and their result; the cursor goes from run to run, from left to right."""

    runs: tuple[tuple[float, float, Member], ...]  # (x, result, run), ascending
    means: tuple[tuple[float, float], ...]
    x: Axis
    y: Axis
    x_title: str
    y_title: str
    path: str

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        return min(max((cursor or (0, 0))[0] + (right or down if cursor else 0), 0), len(self.runs) - 1), 0

    def at(self, cursor: Cursor | None) -> Member | None:
        """Return the run under the cursor."""
        return self.runs[cursor[0]][2] if cursor is not None and cursor[0] < len(self.runs) else None

    def reading(self, cursor: Cursor) -> str:
        _, value, member = self.runs[min(cursor[0], len(self.runs) - 1)]
        return f"{label(list(member.settings.items()))}  {written(value)}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        dot, here, mean = ("●", "◉", "━") if style.unicode else ("o", "@", "-")
        order = sorted(range(len(self.runs)), key=lambda place: cursor is not None and place == cursor[0])
        dots = [Dot(place, mean, colour(1)) for place in self.means] if len(self.means) < len(self.runs) else []
        for place in order:
            x, y, _ = self.runs[place]
            chosen = cursor is not None and place == cursor[0]
            dots.append(Dot((x, y), here if chosen else dot, "#ffffff" if chosen else colour(0)))
        lines_ = (PlaneCurve(self.means, colour(1), 0),) if 1 < len(self.means) < len(self.runs) else ()
        plane = Plane(self.x, self.y, lines_, tuple(dots), f"{self.x_title} →", f"{self.y_title} ↑")
        head: Line = (
            (printable_line(self.reading(cursor)), style.cursor)
            if cursor is not None
            else (f"{dot} a run   {mean} mean of a value", style.axis),
        )
        return Drawing((head, *draw(plane, width, (height or 20) - 1, style)))


def scatter_of(results: Results, choices: Choices) -> SettingScatter | str:
    """Return the scatter of a group, or why there is none."""
    path = choices.rows
    if not path:
        return "The runs of this group differ in nothing."
    values = results.values(path)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    places = {show(value): float(value) if numbers else float(number) for number, value in enumerate(values)}
    runs = []
    for member in results.members:
        result = member.value(choices.metric, choices.at)
        if result is not None and path in member.settings:
            runs.append((places[show(member.settings[path])], result, member))
    if not runs:
        return "The dots appear here once a run has a result."
    runs.sort(key=lambda run: run[:2])
    low, high = runs[0][0], runs[-1][0]
    log = numbers and low > 0 and high / low >= LOG_FROM
    margin = 1.25 if log else max((high - low) * 0.05, abs(high) * 0.05, 1e-9)
    x = Axis(low / margin, high * margin, log=True) if log else Axis(low - margin, high + margin)
    seen = sorted({run[0] for run in runs})
    means = tuple((place, fmean(result for at, result, _ in runs if at == place)) for place in seen)
    named = "" if numbers else " (" + ", ".join(f"{number} {show(value)}" for number, value in enumerate(values)) + ")"
    results_ = [run[1] for run in runs if math.isfinite(run[1])]
    y = y_axis(min(results_), max(results_), log=choices.log)
    shown = () if path == SEED else means
    return SettingScatter(tuple(runs), shown, x, y, short_name(path) + named, title_of(results, choices.metric), path)
