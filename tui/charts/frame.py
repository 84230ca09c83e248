"""A frame of a chart as lines of styled text: the legend above, the drawing below. It needs no running app."""

from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.segment import Segment, Segments
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import Axis, PlotArea
from torchtty.tui.charts.drawing import Drawing
from torchtty.tui.charts.legend import Place, legend, lines_wanted
from torchtty.tui.charts.limits import ChartLimits
from torchtty.tui.charts.series import STEP
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import Line, as_ascii

NULL = Style.null()


@dataclass(frozen=True)
class Frame:
    """Lines of (text, style), each exactly `width` cells; `area` is None where no curve is drawn.

    `whole_x` is the x axis that shows every point, and `places` says where the legend names which curve.
    """

    width: int
    lines: tuple[Line, ...]
    area: PlotArea | None = None
    coordinate: str = STEP
    whole_x: Axis | None = None
    places: tuple[Place, ...] = ()

    def __rich__(self) -> Segments:
        """Return the frame for Rich to print, as the command line does."""
        newline = Segment("\n")
        return Segments([part for line in self.lines for part in (*(Segment(*run) for run in line), newline)])

    def series_at(self, x: int, y: int) -> str:
        """Return the name of the curve whose entry in the legend stands at a cell; empty if there is none."""
        return next((place.series for place in self.places if place.line == y and place.start <= x < place.stop), "")


class FrameBuilder:
    """Builds the frames of one chart and stores its axis limits, so that they change seldom from frame to frame."""

    def __init__(self) -> None:
        self._limits = ChartLimits()
        self._lines: tuple[object, int] = (None, 1)  # of the legend, and for what: values of other widths move no plot

    def build(self, spec: ChartSpec) -> Frame:
        """Return a frame of exactly the size that the specification states."""
        width, height = max(0, spec.width), max(0, spec.height)
        if not width or not height:
            return Frame(width, ((),) * height, None, spec.coordinate)
        x_axis = self._limits.x_axis(spec)
        top = self._legend_lines(spec, width)
        drawing = Drawing.of(self._limits, spec, x_axis, top) if x_axis and height > top else None
        places: tuple[Place, ...] = ()
        if drawing is None:
            lines, area = _empty(spec, width, height), None
            if any(len(series) for series in spec.series):
                places = legend(replace(spec, references=(), cursor=None), width).places
        else:
            area = drawing.area
            above = legend(spec, width, top, area)
            lines, places = [*above.lines, *drawing.lines(labels_cursor=not above.names_cursor)], above.places
        if not spec.style.unicode:
            lines = [tuple((as_ascii(text), style) for text, style in line) for line in lines]
        return Frame(width, tuple(lines), area, spec.counted, self._limits.whole_x(spec), places)

    def _legend_lines(self, spec: ChartSpec, width: int) -> int:
        known = width, spec.height, spec.hidden, len(spec.series), len(spec.references), spec.view()
        wanted = lines_wanted(spec, width)
        self._lines = known, max(wanted, self._lines[1]) if self._lines[0] == known else wanted
        return self._lines[1]


def _empty(spec: ChartSpec, width: int, height: int) -> list[Line]:
    """Return a frame without curves, with the placeholder in the middle if there are no points."""
    above = legend(replace(spec, references=(), cursor=None), width)
    lines: list[Line] = [*above.lines, *[((" " * width, NULL),)] * (height - 1)]
    text = printable_line(spec.placeholder)
    size = cell_len(text)
    if text and size <= width and height > 1 and not any(len(series) for series in spec.series):
        before = (width - size) // 2
        after = width - size - before
        lines[1 + (height - 2) // 2] = ((" " * before, NULL), (text, spec.style.label), (" " * after, NULL))
    return lines
