"""What one chart shows: its curves, reference lines and marks, its axes, its smoothing and its cursor."""

from dataclasses import dataclass
from math import isfinite, nan

from torchtty.tui.charts.axes import PlotArea, nice_step
from torchtty.tui.charts.series import STEP, Series
from torchtty.tui.charts.style import PLAIN, ChartStyle
from torchtty.tui.charts.units import AS_LOGGED, Unit
from torchtty.tui.charts.window import EVERYTHING, Window

SMOOTHING_LEVELS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""The time constants to choose from, as shares of the x axis."""

TOKENS, EPOCHS = "tokens", "epochs"
COORDINATES = (STEP, "seconds", TOKENS, EPOCHS)
"""What the x axis can count, in the order in which the key goes through them."""


def next_smoothing(share: float, by: int) -> float:
    """Return the smoothing level `by` places from the one nearest to `share`."""
    nearest = min(range(len(SMOOTHING_LEVELS)), key=lambda i: abs(SMOOTHING_LEVELS[i] - share))
    return SMOOTHING_LEVELS[min(max(nearest + by, 0), len(SMOOTHING_LEVELS) - 1)]


@dataclass(frozen=True)
class Reference:
    """A horizontal line at a value to compare with, such as the loss of random guessing."""

    title: str
    value: float


@dataclass(frozen=True)
class Mark:
    """A vertical line at a step where a setting was changed; `short` is written where there is no room for the title."""

    step: float
    title: str = ""
    short: str = ""


@dataclass(frozen=True)
class Band:
    """Steps between which something is wrong: a vertical line at the first, and a bar along the bottom up to the last."""

    first: float
    last: float
    title: str = ""


@dataclass(frozen=True)
class ChartSpec:
    """The specification of a frame. Its series may grow while a frame is drawn; everything else is immutable."""

    width: int
    height: int
    title: str = ""
    series: tuple[Series, ...] = ()
    references: tuple[Reference, ...] = ()
    marks: tuple[Mark, ...] = ()
    coordinate: str = STEP
    x_max: float | None = None  # the step at which the x axis ends; None, and every other coordinate, follows the data
    log_y: bool = False
    smoothing: float = 0.0  # the time constant in steps; 0 draws the points unsmoothed
    cursor: float | None = None  # the step at which the cursor stands
    placeholder: str = ""  # the text shown while there are no points
    style: ChartStyle = PLAIN
    bands: tuple[Band, ...] = ()
    log_x: bool = False
    is_over: bool = False  # nothing is to come: the axes end where the data does
    window: Window = EVERYTHING  # of the present coordinate and unit
    hidden: frozenset[str] = frozenset()  # names of series
    units: tuple[Unit, ...] = ()  # what the values can be read in
    unit: Unit = AS_LOGGED
    epoch: float | None = None  # tokens that are an epoch
    smoothing_share: float | None = None  # the time constant as a share of the x axis, to be named; None names none

    @property
    def shown(self) -> tuple[tuple[int, Series], ...]:
        """The series that are not hidden, each with its number among all."""
        return tuple(item for item in enumerate(self.series) if item[1].name not in self.hidden)

    @property
    def counted(self) -> str:
        """The coordinate of the series that lies along x: epochs are counted in tokens."""
        return TOKENS if self.coordinate == EPOCHS else self.coordinate

    @property
    def x_scale(self) -> float:
        """What one of `counted` is worth on the labels of the x axis."""
        return 1 / self.epoch if self.coordinate == EPOCHS and self.epoch else 1.0

    def view(self) -> str:
        """Say how the chart is looked at, where that is not evident: `nats · log x · smoothed 1 %`."""
        smooths = self.smoothing_share is not None and any(len(series) and series.smooth for _, series in self.shown)
        share = f"{100 * self.smoothing_share:.2g} %" if smooths and self.smoothing_share else ""
        return " · ".join(
            filter(
                None,
                (
                    self.unit.name,
                    self.coordinate if self.coordinate != STEP else "",
                    "log x" if self.log_x else "",
                    "log y" if self.log_y else "",
                    f"smoothed {share}" if share else "unsmoothed" if smooths else "",
                    "zoomed" if self.window else "",
                ),
            )
        )

    def time_constant(self, share: float) -> float:
        """Convert a share of the x axis to steps. Without `x_max` the axis ends at a nice number above the last step."""
        end = self.x_max or 0.0
        if not end:
            last = max((bounds[1] for series in self.series if (bounds := series.bounds())), default=0.0)
            end = nice_step(last, 1) if last > 0 else 0.0
        return share * end

    def next_coordinate(self) -> str:
        """Return the coordinate after the present one among those that every series has."""
        available = [set(series.coordinates) for _, series in self.shown if len(series)]
        common = set.intersection(*available) if available else {STEP}
        if self.epoch and TOKENS in common:
            common |= {EPOCHS}
        offered = [name for name in COORDINATES if name in common]
        at = offered.index(self.coordinate) if self.coordinate in offered else -1
        return offered[(at + 1) % len(offered)]

    def longest_series(self) -> Series | None:
        """Return the series with the most points, which the cursor visits; None without points."""
        series = max((series for _, series in self.shown), key=len, default=None)
        return series if series is not None and len(series) else None

    def end_step(self, side: int) -> float | None:
        """Return the first (0) or the last (1) step the cursor can stand at."""
        series = self.longest_series()
        bounds = series.bounds() if series else None
        return bounds[side] if bounds else None

    def step_at(self, column: int, area: PlotArea | None, coordinate: str) -> float | None:
        """Return the step nearest to a column of a frame along whose x axis lies `coordinate`; None outside the plot area."""
        series = self.longest_series()
        if series is None or area is None or not 0 <= column - area.left < area.width:
            return None
        index = series.nearest(area.x.value((column - area.left + 0.5) / area.width), coordinate)
        return series.x(index) if index is not None else None

    def moved_cursor(self, by: int, area: PlotArea | None, coordinate: str) -> float | None:
        """Return the step `by` columns from the cursor, and at least one point further; without a cursor the last step."""
        series = self.longest_series()
        if series is None or area is None:
            return self.cursor
        if self.cursor is None:
            return self.end_step(1)
        here = series.nearest(self.cursor)
        if here is None:
            return self.cursor
        coordinate = coordinate if coordinate in series.coordinates else STEP
        column = int(area.x.fraction(series.x(here, coordinate)) * area.width)
        there = series.nearest(area.x.value((column + by + 0.5) / area.width), coordinate)
        there = here if there is None else there
        if (there - here) * by <= 0:
            there = here + by
        return series.x(min(max(there, 0), len(series) - 1))

    def marks_at_cursor(self, area: PlotArea) -> list[Mark]:
        """Return the marks in whose column the cursor stands, the nearest first."""
        cursor = self.cursor
        if cursor is None:
            return []
        column = area.column(self.x_fraction(cursor, area))
        places = [(mark, self.x_fraction(mark.step, area)) for mark in self.marks]
        here = [mark for mark, at in places if 0 <= at <= 1 and area.column(at) == column]
        return sorted(here, key=lambda mark: abs(mark.step - cursor))

    def x_fraction(self, step: float, area: PlotArea) -> float:
        """Return where a step lies on an x axis that counts this chart's coordinate; -1 if that is unknown."""
        x = self.x_at(step)
        return area.x.fraction(x) if isfinite(x) else -1.0

    def x_at(self, step: float) -> float:
        """Return a step in the coordinate along x; NaN if that is unknown."""
        if self.coordinate == STEP:
            return step
        series = self.longest_series()
        index = series.nearest(step) if series else None
        if series is None or index is None or self.counted not in series.coordinates:
            return nan
        return series.x(index, self.counted)
