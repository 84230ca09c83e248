"""A chart as lines and words at places in pixels, from the same curves as on the screen, to be written as SVG or PNG."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import Axis, AxisLimits, PlotArea, Tick, nice_step, seconds_step, ticks
from torchtty.tui.charts.curve import curves_of, fractions
from torchtty.tui.charts.limits import ChartLimits, extent_of
from torchtty.tui.charts.series import STEP, Point
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import colour
from torchtty.tui.format import count_label, decimal_label, number, seconds_label

WIDTH, HEIGHT = 960, 540
EDGE = 24  # pixels between the picture's border and what is in it
TITLE, TEXT, SMALL = 18, 13, 12  # sizes of letters
SAMPLE, GAP = 22, 22  # the legend's sample of a curve, and the space between two entries
_NARROW, _WIDE = set("fijlrtI.,:;'|!()[] -1"), set("mwMW@%")
_UNITS = {"seconds": "time"}

Place = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A line through places. `tone` is a colour, or one of the chart's own: `grid`, `axis`, `reference`, `mark`."""

    places: tuple[Place, ...]
    tone: str
    width: float = 1.0
    dashes: tuple[float, ...] = ()
    faded: bool = False  # of a raw curve beneath its smoothed one


@dataclass(frozen=True)
class Words:
    """A text whose baseline begins, has its middle, or ends at a place; `backed` ones are legible across lines."""

    text: str
    place: Place
    size: float = TEXT
    anchor: str = "start"  # start, middle or end
    tone: str = "text"  # text, or label for what is less important
    bold: bool = False
    backed: bool = False
    upright: bool = True  # otherwise it is read from below


@dataclass
class Plot:
    """Everything in a picture, in the order in which it is drawn."""

    width: int
    height: int
    title: str
    strokes: list[Stroke] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is in a sans-serif typeface, a little more rather than less."""
    return size * sum(
        0.34 if sign in _NARROW else 0.88 if sign in _WIDE else 0.68 if sign.isupper() else 0.58 for sign in text
    )


def plot(spec: ChartSpec, y_title: str = "", subtitle: str = "", width: int = WIDTH, height: int = HEIGHT) -> Plot:
    """Lay a chart out: title, legend, axes, references, marks and curves; raise `UserError` where it has no points."""
    picture = Plot(width, height, printable_line(spec.title))
    bottom = _legend(picture, spec, subtitle)
    x = _x_axis(spec)
    curves = curves_of(spec, x, width // 2) if x is not None else []  # a cell has two dots: a column a pixel
    extent = extent_of(spec, curves, x) if x is not None else None
    if x is None or extent is None:
        raise UserError(f"There are no points to draw in the chart {spec.title}.")
    y = AxisLimits(spec.log_y).include(extent.low, extent.high)
    y_ticks = ticks(y, 8, decimal_label)
    left = EDGE + (SMALL + 8 if y_title else 0) + max(text_width(tick.label, SMALL) for tick in y_ticks) + 8
    foot = height - EDGE - SMALL - 12 - TEXT
    area = PlotArea(round(left), round(bottom + 20), width - EDGE - round(left), round(foot - bottom - 20), x, y)
    _axes(picture, spec, area, y_ticks, y_title)
    _references(picture, spec, area)
    _marks(picture, spec, area)
    for curve in curves:  # the raw points of all of them first: they must hide no curve
        _draw(picture, curve.raw, area, Stroke((), curve.colour, 1.0, faded=True))
    for curve in curves:
        _draw(picture, curve.points, area, Stroke((), curve.colour, 2.0))
    if extent.cut is not None:
        above = f"▲ up to {number(extent.cut)}"
        picture.words.append(Words(above, (area.left + 6, area.top - 6), SMALL, tone="label"))
    return picture


def _legend(picture: Plot, spec: ChartSpec, subtitle: str) -> float:
    """Write the title and an entry a curve and reference, in as many rows as they need; return where they end."""
    baseline = EDGE + TITLE * 0.8
    picture.words.append(Words(picture.title, (EDGE, baseline), TITLE, bold=True))
    if subtitle:
        after = EDGE + text_width(picture.title, TITLE) * 1.05 + 12
        picture.words.append(Words(printable_line(subtitle), (after, baseline), TEXT, tone="label"))
    at, baseline = float(EDGE), baseline + TITLE + 8
    entries: list[tuple[str, Stroke]] = []
    for index, series in spec.shown:
        if len(series):
            value = number(spec.unit.of(series.latest(spec.smoothing)))
            entries.append((f"{printable_line(series.title)} {value}", Stroke((), series.colour or colour(index), 3.0)))
    for reference in spec.references:
        text = f"{printable_line(reference.title)} {number(spec.unit.of(reference.value))}"
        entries.append((text, Stroke((), "reference", 1.5, (4, 3))))
    for text, sample in entries:
        wide = SAMPLE + 7 + text_width(text, TEXT)
        if at > EDGE and at + wide > picture.width - EDGE:
            at, baseline = float(EDGE), baseline + TEXT + 8
        middle = baseline - TEXT * 0.34
        picture.strokes.append(replace(sample, places=((at, middle), (at + SAMPLE, middle))))
        picture.words.append(Words(text, (at + SAMPLE + 7, baseline)))
        at += wide + GAP
    return baseline


def _x_axis(spec: ChartSpec) -> Axis | None:
    """Return the axis that ends where the data does, or where training will."""
    axis = ChartLimits().x_axis(replace(spec, is_over=True))
    end = spec.x_max or 0.0
    if axis is not None and spec.coordinate == STEP and end > axis.high and spec.window.x is None:
        axis = Axis(axis.low, end, axis.log)
    if axis is None and (bounds := [bound for _, series in spec.shown if (bound := series.bounds(spec.counted))]):
        low = min(first for first, _ in bounds)  # a single point
        axis = Axis(low, low + 1.0)
    return axis


def _axes(picture: Plot, spec: ChartSpec, area: PlotArea, y_ticks: Sequence[Tick], y_title: str) -> None:
    right, bottom = area.left + area.width, area.top + area.height
    for tick in y_ticks:
        y = _y(area, tick.position)
        picture.strokes.append(Stroke(((area.left, y), (right, y)), "grid"))
        picture.words.append(Words(tick.label, (area.left - 8, y + SMALL * 0.34), SMALL, "end", "label"))
    picture.strokes.append(Stroke(((area.left, bottom), (right, bottom)), "axis", 1.2))
    seconds, scale = spec.coordinate == "seconds", spec.x_scale
    label = seconds_label if seconds else decimal_label if spec.coordinate == "epochs" else count_label
    counted = Axis(area.x.low * scale, area.x.high * scale, area.x.log)
    for tick in ticks(counted, 10, label, seconds_step if seconds else nice_step):
        x = _x(area, tick.position / scale)
        picture.strokes.append(Stroke(((x, bottom), (x, bottom + 5)), "axis", 1.2))
        text = Words(tick.label, (x, bottom + 8 + SMALL), SMALL, "middle", "label")
        half = text_width(tick.label, SMALL) / 2
        if x + half > picture.width - 4:
            text = replace(text, place=(picture.width - 4 - half, text.place[1]))
        picture.words.append(text)
    middle = area.left + area.width / 2
    title = _UNITS.get(spec.coordinate, spec.coordinate)
    picture.words.append(Words(title, (middle, picture.height - EDGE + 2), TEXT, "middle", "label"))
    if y_title:
        middle = area.top + area.height / 2
        picture.words.append(Words(printable_line(y_title), (EDGE, middle), TEXT, "middle", "label", upright=False))


def _references(picture: Plot, spec: ChartSpec, area: PlotArea) -> None:
    """Draw a dashed line a reference, named at its right end; names that would overlap are moved apart upwards."""
    right, free = area.left + area.width, float("inf")
    for reference in sorted(spec.references, key=lambda reference: reference.value):
        value = spec.unit.of(reference.value)
        if not area.y.low <= value <= area.y.high:
            continue
        y = _y(area, value)
        picture.strokes.append(Stroke(((area.left, y), (right, y)), "reference", 1.2, (5, 4)))
        baseline = min(y - 5, free - SMALL - 3)
        free = baseline
        name = printable_line(reference.title)
        picture.words.append(Words(name, (right, baseline), SMALL, "end", "label", backed=True))


def _marks(picture: Plot, spec: ChartSpec, area: PlotArea) -> None:
    for row, mark in enumerate(spec.marks):
        at = spec.x_fraction(mark.step, area)
        if not 0 <= at <= 1:
            continue
        x = area.left + at * area.width
        picture.strokes.append(Stroke(((x, area.top), (x, area.top + area.height)), "mark", 1.2, (2, 3)))
        title, baseline = printable_line(mark.title), area.top + SMALL + (row % 4) * (SMALL + 4)
        fits = x + 5 + text_width(title, SMALL) < area.left + area.width
        anchor, place = ("start", x + 5) if fits else ("end", x - 5)
        picture.words.append(Words(title, (place, baseline), SMALL, anchor, "label", backed=True))


def _draw(picture: Plot, points: list[Point], area: PlotArea, like: Stroke) -> None:
    """Add a curve, as one stroke a stretch without a gap."""
    stretch: list[Place] = []
    for x, y, connected in fractions(points, area):
        if not connected and stretch:
            picture.strokes.append(replace(like, places=_visible(stretch)))
            stretch = []
        stretch.append((round(area.left + x * area.width, 1), round(area.top + (1 - y) * area.height, 1)))
    if stretch:
        picture.strokes.append(replace(like, places=_visible(stretch)))


def _visible(stretch: list[Place]) -> tuple[Place, ...]:
    """Return the places of a stretch, the first twice where it is alone, so that it is a dot."""
    rounded = [(round(x, 1), round(y, 1)) for x, y in stretch]
    kept = [rounded[0], *(here for before, here in pairwise(rounded) if here != before)]
    return tuple(kept) if len(kept) > 1 else (kept[0], (kept[0][0] + 0.1, kept[0][1]))


def _x(area: PlotArea, value: float) -> float:
    return round(area.left + area.x.fraction(value) * area.width, 1)


def _y(area: PlotArea, value: float) -> float:
    return round(area.top + (1 - area.y.fraction(value)) * area.height, 1)
