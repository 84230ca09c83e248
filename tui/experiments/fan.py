"""The fan: the curve of every run, and for each setting the mean of its seeds with the band of one standard deviation."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torchtty.engine.contract.experiments.comparison import ranked
from torchtty.engine.contract.experiments.curves import BandPoint, band
from torchtty.engine.contract.experiments.results import Member, Results, label
from torchtty.engine.contract.experiments.summaries import figure_steps, steps_per_epoch, title_of, unit
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import Axis, AxisLimits
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.plane import Dot, Place, Plane, PlaneCurve, draw
from torchtty.tui.charts.style import ChartStyle, Line, Run, colour, faded
from torchtty.tui.experiments.choices import Choices

POINTS = 160  # of a curve
SETTINGS = 8  # that have a colour of their own
BANDS = 4  # beyond which they hide each other
DARK = "#17171c"  # behind curves where the theme says nothing
BAND, MEMBER = 0.78, 0.5  # how far their colours lie towards that behind them
ABOVE = 0.3  # of the height that is shown above what follows
STEEP = 5  # times the height of what follows, from which the beginning is cut
GAP = 2  # cells between entries of the legend
LEGEND = 3  # lines at most
CUT_AFTER = 0.2  # of the steps: what is higher than all that follows is cut at the edge
FEWEST = 8  # places along x, below which nothing is cut: the beginning of a few points is most of what they tell


@dataclass(frozen=True)
class Bundle:
    """The runs of a setting: their curves, and mean and spread of those around some places along x."""

    name: str
    number: int  # of its colour
    curves: tuple[tuple[Place, ...], ...]
    band: tuple[BandPoint, ...]
    runs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fan:
    """Bundles of curves over common axes; the cursor goes along x and reads the mean and spread of each."""

    bundles: tuple[Bundle, ...]
    x: Axis
    y: Axis
    x_title: str
    y_title: str
    figures: tuple[tuple[Place, int], ...] = ()  # of the recipe, with the number of their colour

    @property
    def _places(self) -> list[float]:
        return [point.step for point in max((bundle.band for bundle in self.bundles), key=len, default=())]

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        last = len(self._places) - 1
        if last < 0:
            return None
        return 0, last if cursor is None else min(max(cursor[1] + right - down, 0), last)

    def reading(self, cursor: Cursor) -> str:
        at = self._places[min(cursor[1], len(self._places) - 1)]
        return f"{self.x_title} {at:,.0f}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        height = height or 20
        places = self._places
        at = places[min(cursor[1], len(places) - 1)] if cursor is not None and places else None
        legend = self._legend(width, at, style, LEGEND if height > 16 else 1)
        height -= len(legend)
        behind = style.backdrop or DARK
        curves = [
            PlaneCurve(clipped(curve, self.y), self._tone(bundle, behind), _marker(bundle, curve=0))
            for bundle in self.bundles
            for curve in bundle.curves
        ]
        if at is not None:
            curves.append(PlaneCurve(((at, self.y.low), (at, self.y.high)), faded("#ffffff", behind, 0.5), 0))
        for bundle in self.bundles:
            if len(bundle.curves) > 1:
                mean = tuple((point.step, point.mean) for point in bundle.band)
                curves.append(PlaneCurve(clipped(mean, self.y), colour(bundle.number), 1 + bundle.number))
                if not style.colour and len(self.bundles) <= BANDS:
                    curves += [PlaneCurve(edge, colour(bundle.number), 4) for edge in _edges(bundle)]
        shaded = [bundle for bundle in self.bundles if len(bundle.curves) > 1][:BANDS]
        rows = max(1, height - 3)

        def reach(y: float) -> float:  # half of what a line stands for
            return abs(self.y.value(self.y.fraction(y) + 0.5 / rows) - y)

        def shade(x: float, y: float) -> str:
            for bundle in shaded:
                point = _at(bundle.band, x)
                if point is not None and point.n > 1 and abs(y - point.mean) <= point.sd + reach(y):
                    return faded(colour(bundle.number), behind, BAND)
            return ""

        sign = "◇" if style.unicode else "o"
        dots = tuple(Dot(place, sign, colour(number)) for place, number in self.figures)
        plane = Plane(self.x, self.y, tuple(curves), dots, f"{self.x_title} →", f"{self.y_title} ↑", shade)
        return Drawing((*legend, *draw(plane, width, height, style)))

    @staticmethod
    def _tone(bundle: Bundle, behind: str) -> str:
        """Return the colour of a run: dim behind the mean of its setting, full where it is the only one."""
        own = colour(bundle.number)
        return faded(own, behind, MEMBER) if len(bundle.curves) > 1 else own

    def _legend(self, width: int, at: float | None, style: ChartStyle, most: int) -> list[Line]:
        """Write the mean and spread of every setting, at the cursor or at the end, in as many lines as that takes."""
        entries: list[Line] = [((f"{self.x_title} {at:,.0f} ", style.cursor),)] if at is not None else []
        for bundle in self.bundles:
            point = bundle.band[-1] if at is None else _at(bundle.band, at)
            if point is None:
                continue
            spread = f" ± {written(point.sd)} (n {point.n})" if point.n > 1 else ""
            text = f" {printable_line(bundle.name)} {written(point.mean)}{spread}"
            sample = style.sample(_marker(bundle, curve=1 + bundle.number))
            entries.append(((sample, style.curve(colour(bundle.number))), (text, style.label)))
        if any(len(bundle.curves) > 1 for bundle in self.bundles[:BANDS]):
            entries.append((("band: one sd", style.axis),))
        if self.figures:
            entries.append((("◇ course" if style.unicode else "o course", style.axis),))
        entries += cut_off((curve for bundle in self.bundles for curve in bundle.curves), self.y, style)
        return in_lines(entries, width, most, style)


def cut_off(curves: Iterable[tuple[Place, ...]], y: Axis, style: ChartStyle) -> list[Line]:
    """Return the entry of a legend that says how high the curves go where the axis cuts them, if it does."""
    peak = max((value for curve in curves for _, value in curve if math.isfinite(value)), default=y.high)
    sign = "▲" if style.unicode else "^"
    return [((f"{sign} up to {written(peak)}", style.axis),)] if peak > y.high else []


def in_lines(entries: Sequence[Line], width: int, most: int, style: ChartStyle) -> list[Line]:
    """Lay the entries of a legend out in as many lines as they take, at most so many."""
    lines: list[list[Run]] = [[]]
    used = 0
    for entry in entries:
        size = sum(len(text) for text, _ in entry)
        if used and used + GAP + size > width:
            if len(lines) == most:
                lines[-1].append((" …", style.axis))
                break
            lines.append([])
            used = 0
        if used:
            lines[-1].append((" " * GAP, style.axis))
        lines[-1] += entry
        used += size + GAP
    return [tuple(line) for line in lines]


def _marker(bundle: Bundle, curve: int) -> int:
    """Number what draws a curve of a setting: as given where it has several, and by the setting where it is the only one."""
    return curve if len(bundle.curves) > 1 else bundle.number


def _edges(bundle: Bundle) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    points = [point for point in bundle.band if point.n > 1]
    above = tuple((point.step, point.mean + point.sd) for point in points)
    return above, tuple((point.step, point.mean - point.sd) for point in points)


def _at(points: Sequence[BandPoint], x: float) -> BandPoint | None:
    """Return mean and spread at a place, between neighbours in proportion; None beyond the points."""
    if not points or not points[0].step <= x <= points[-1].step:
        return None
    place = bisect_left(points, x, key=lambda point: point.step)
    after, before = points[place], points[max(0, place - 1)]
    if after.step == x or after is before:
        return after
    share = (x - before.step) / (after.step - before.step)
    mean = before.mean + share * (after.mean - before.mean)
    return BandPoint(x, mean, before.sd + share * (after.sd - before.sd), min(before.n, after.n))


def clipped(places: tuple[Place, ...], y: Axis) -> tuple[Place, ...]:
    """Return a curve with a place where it crosses the upper or the lower edge, so that it is drawn up to there."""
    found = list(places[:1])
    for (x0, y0), (x1, y1) in pairwise(places):
        crossed = [edge for edge in (y.low, y.high) if min(y0, y1) < edge < max(y0, y1)]
        shares = sorted(((edge - y0) / (y1 - y0), edge) for edge in crossed)
        found += [*((x0 + share * (x1 - x0), edge) for share, edge in shares), (x1, y1)]
    return tuple(found)


def fan_of(results: Results, choices: Choices) -> Fan | str:
    """Return the fan of a group, or why there is none."""
    settings = ranked(results, choices.metric, choices.at)
    if len(settings) > SETTINGS:
        bundles = [bundle_of(results, "all runs", 0, results.members, choices.metric)]
    else:
        order = sorted(settings, key=lambda entry: results.members.index(entry.members[0]))
        one = len(order) == 1
        bundles = [
            bundle_of(
                results,
                f"{len(entry.members)} seeds" if one and len(entry.members) > 1 else label(entry.setting),
                number,
                entry.members,
                choices.metric,
            )
            for number, entry in enumerate(order)
        ]
    return _fan(results, [bundle for bundle in bundles if bundle.band], choices)


def bundle_of(
    results: Results, name: str, number: int, members: Sequence[Member], metric: str, until: float | None = None
) -> Bundle:
    """Return the curves of some runs, up to a step or as far as they are."""
    per = steps_per_epoch(results) or 1
    curves = [member.curves[metric] for member in members if metric in member.curves and len(member.curves[metric])]
    places = tuple(tuple((step / per, value) for step, value in curve.thinned(POINTS, until)) for curve in curves)
    points = tuple(
        BandPoint(point.step / per, point.mean, point.sd, point.n)
        for point in band(curves, POINTS)
        if until is None or point.step <= until
    )
    return Bundle(name, number, places, points, frozenset(member.name for member in members))


def _fan(results: Results, bundles: Sequence[Bundle], choices: Choices) -> Fan | str:
    values = limits_of([curve for bundle in bundles for curve in bundle.curves])
    if values is None:
        return "The curves appear here once a run has logged a step."
    per = steps_per_epoch(results) or 1
    end = max(place[0] for bundle in bundles for curve in bundle.curves for place in curve)
    if any(member.status.state.is_live for member in results.members):
        end = max(end, results.last_step / per)
    figures = _figures(results, bundles, choices.metric)
    low, high = values
    near = [
        place[1] for place, _ in figures if low - (high - low) <= place[1] < low
    ]  # one far away would flatten the curves
    y = y_axis(min([low, *near]), high, log=choices.log)
    return Fan(tuple(bundles), Axis(0.0, max(end, 1.0)), y, unit(results), title_of(results, choices.metric), figures)


def _figures(results: Results, bundles: Sequence[Bundle], metric: str) -> tuple[tuple[Place, int], ...]:
    """Return the recipe's figures for the runs of each bundle."""
    per, steps = steps_per_epoch(results) or 1, [float(step) for step in figure_steps(results, metric)]
    found = []
    for bundle in bundles:
        members = [member for member in results.members if member.name in bundle.runs]
        for step in steps:
            figure = results.reference(members, metric, step)
            if figure is not None and figure.value is not None:
                found.append(((step / per, figure.value), bundle.number))
    return tuple(found)


def limits_of(curves: Sequence[tuple[Place, ...]]) -> tuple[float, float] | None:
    """Return the lowest value, and the highest that is not left behind in the first fifth of many; None without values."""
    places = [place for curve in curves for place in curve if math.isfinite(place[1])]
    if not places:
        return None
    first, last = min(x for x, _ in places), max(x for x, _ in places)
    later = [y for x, y in places if x >= first + CUT_AFTER * (last - first)] or [y for _, y in places]
    low, high, peak = min(y for _, y in places), max(later), max(y for _, y in places)
    few = len({x for x, _ in places}) < FEWEST
    return low, peak if few or peak - low <= STEEP * (high - low) or high == low else high + ABOVE * (high - low)


def whole_range(curves: Sequence[tuple[Place, ...]]) -> tuple[float, float] | None:
    """Return the lowest and the highest value; None without values."""
    values = [y for curve in curves for _, y in curve if math.isfinite(y)]
    return (min(values), max(values)) if values else None


def y_axis(low: float, high: float, *, log: bool) -> Axis:
    """Return an axis at nice numbers; a logarithmic one only where all values are above 0."""
    return AxisLimits(log and low > 0).include(low, high)
