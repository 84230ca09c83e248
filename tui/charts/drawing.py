"""The part of a frame below the legend: axes, curves, and what is drawn around them."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.style import Style

from torchtty.tui.charts.annotations import Annotations
from torchtty.tui.charts.axes import Axis, PlotArea, Tick, nice_step, seconds_step, ticks
from torchtty.tui.charts.canvas import BLANK, Canvas, Cells, dots
from torchtty.tui.charts.curve import Curve, curves_of, fractions, scattered
from torchtty.tui.charts.limits import ChartLimits, extent_of
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import Line
from torchtty.tui.format import count_label, decimal_label, seconds_label

NULL = Style.null()
SMALLEST_WITH_AXES = (16, 5)  # width and height from which a frame has axes


@dataclass
class Drawing:
    """The part of a frame below the legend."""

    spec: ChartSpec
    curves: list[Curve]
    area: PlotArea
    gutter: int
    y_ticks: tuple[Tick, ...]
    cut: float | None  # the largest value of what was cut off at the top

    @classmethod
    def of(cls, limits: ChartLimits, spec: ChartSpec, x: Axis, top: int) -> "Drawing | None":
        """Choose the axes for a specification, below `top` lines of legend; None if there is nothing to draw or no room."""
        height = spec.height - top
        axes = spec.width >= SMALLEST_WITH_AXES[0] and height >= SMALLEST_WITH_AXES[1] - 1
        gutter = limits.gutter([]) if axes else 0
        while True:
            left = gutter + 1 if axes else 0
            inner = spec.width - left
            curves = curves_of(spec, x, inner)
            extent = extent_of(spec, curves, x)
            if extent is None or inner < 2:
                return None
            y = limits.y_axis(spec, extent)
            rows = height - 2 if axes else height
            y_ticks = ticks(y, max(2, min(10, rows // 3)), decimal_label)
            needed = limits.gutter([tick.label for tick in y_ticks]) if axes else 0
            if needed <= gutter:
                return cls(spec, curves, PlotArea(left, top, inner, rows, x, y), gutter, y_ticks, extent.cut)
            gutter = needed

    def lines(self, *, labels_cursor: bool) -> list[Line]:
        """Draw everything below the legend; `labels_cursor` writes the cursor's step beneath it, on the x axis."""
        spec, area, style = self.spec, self.area, self.spec.style
        styles = [style.axis, style.reference, style.mark, style.cursor, style.finding]
        canvas = Canvas(spec.width, spec.height - area.top)
        if area.left:
            y_ticks = [(area.y.fraction(tick.position), tick.label) for tick in self.y_ticks]
            canvas.draw_axes(_x_ticks(spec, area), y_ticks, self.gutter, 0)
        cells = canvas.cells()
        number_of = {curve.index: len(styles) + 2 * place for place, curve in enumerate(self.curves)}
        for curve in self.curves:
            styles.extend((style.curve(curve.colour), style.raw(curve.colour)))
        # Each curve on a canvas of its own, the last on top: curves that share a cell would be drawn in the colour of one.
        for curve in reversed(self.curves):
            marker = style.marker(curve.index)
            cells.underlay(self._drawn(fractions(curve.points, area), marker, number_of[curve.index]), 0, area.left)
        for curve in reversed(self.curves):
            if curve.raw:
                marker = style.marker(curve.index)
                points = scattered(curve.raw, area, area.width * dots(marker)[0])
                marker = marker if style.unicode else "."
                cells.underlay(self._drawn(points, marker, number_of[curve.index] + 1), 0, area.left)
        annotations = Annotations(spec, area, cells)
        annotations.draw(self.curves, self.cut, number_of)
        if labels_cursor and spec.cursor is not None and area.left:
            annotations.label_cursor(spec.cursor)
        return [_line(*row, styles) for row in zip(cells.characters, cells.styles, strict=True)]

    def _drawn(self, points: list[tuple[float, float, bool]], marker: str, style: int) -> Cells:
        canvas = Canvas(self.area.width, self.area.height)
        canvas.curve(points, marker, style)
        return canvas.cells()


def _x_ticks(spec: ChartSpec, area: PlotArea) -> list[tuple[float, str]]:
    seconds = spec.coordinate == "seconds"
    label: Callable[[float, float], str] = seconds_label if seconds else count_label
    if spec.coordinate == "epochs":
        label = decimal_label
    most, scale = max(1, min(12, area.width // 10)), spec.x_scale
    axis = Axis(area.x.low * scale, area.x.high * scale, area.x.log)
    found = ticks(axis, most, label, seconds_step if seconds else nice_step)
    return [(axis.fraction(tick.position), tick.label) for tick in found]


def _line(characters: list[str], numbers: list[int], styles: list[Style]) -> Line:
    """Join neighbouring cells of one style into runs; a blank takes the style of the run before it."""
    runs: list[tuple[str, Style]] = []
    start, style = 0, -1
    for i, (character, number) in enumerate(zip(characters, numbers, strict=True)):
        if number != style and character != BLANK:
            if style < 0 and number >= 0 and "".join(characters[start:i]).isspace():
                # Leading blanks take the style of the first run: a run of their own would cost bytes.
                style = number
                continue
            if i > start:
                runs.append(("".join(characters[start:i]), styles[style] if style >= 0 else NULL))
            start, style = i, number
    runs.append(("".join(characters[start:]), styles[style] if style >= 0 else NULL))
    return tuple(runs)
