"""A frame of a chart as lines of styled text: the legend above, the drawing below. It needs no running app."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment, Segments
from rich.style import Style

from torchtty.engine.contract.printable import printable_line
from torchtty.tui.charts.axes import PlotArea
from torchtty.tui.charts.drawing import ChartLimits, Drawing
from torchtty.tui.charts.series import STEP
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import Line, Run, as_ascii, colour
from torchtty.tui.format import number

NULL = Style.null()

GAP = 2  # cells between two entries of the legend


@dataclass(frozen=True)
class Frame:
    """Lines of (text, style), each exactly `width` cells; `area` is None where no curve is drawn."""

    width: int
    lines: tuple[Line, ...]
    area: PlotArea | None = None
    coordinate: str = STEP

    def __rich__(self) -> Segments:
        """Return the frame for Rich to print, as the command line does."""
        newline = Segment("\n")
        return Segments([part for line in self.lines for part in (*(Segment(*run) for run in line), newline)])


class FrameBuilder:
    """Builds the frames of one chart and stores its axis limits, so that they change seldom from frame to frame."""

    def __init__(self) -> None:
        self._limits = ChartLimits()

    def build(self, spec: ChartSpec) -> Frame:
        """Return a frame of exactly the size that the specification states."""
        width, height = max(0, spec.width), max(0, spec.height)
        if not width or not height:
            return Frame(width, ((),) * height, None, spec.coordinate)
        x_axis = self._limits.x_axis(spec) if any(len(series) for series in spec.series) else None
        drawing = Drawing.of(self._limits, spec, x_axis) if x_axis and height > 1 else None
        if drawing is None:
            lines, area = _empty(spec, width, height), None
        else:
            legend, labels_cursor = _legend(spec, width, drawing.area)
            lines, area = [legend, *drawing.lines(labels_cursor=not labels_cursor)], drawing.area
        if not spec.style.unicode:
            lines = [tuple((as_ascii(text), style) for text, style in line) for line in lines]
        return Frame(width, tuple(lines), area, spec.coordinate)


def _legend(spec: ChartSpec, width: int, area: PlotArea | None = None) -> tuple[Line, bool]:
    """Return the legend, with the marks at the cursor where there is a plot area, and whether it names the cursor's step.

    The step gives way where it would displace a curve or a reference.
    """
    title = (spec.title, spec.style.title)
    entries = _entries(spec, area)
    line, shown = _laid_out(title, entries, width)
    if spec.cursor is not None:
        step: Line = ((f"step {spec.cursor:,.0f}", spec.style.cursor),)
        with_step, shown_then = _laid_out(title, [step, *entries], width)
        if shown_then > shown:
            return with_step, True
    return line, False


def _entries(spec: ChartSpec, area: PlotArea | None) -> list[Line]:
    """List the curves with their latest values, or those at the cursor with the marks there, and the references."""
    style = spec.style
    entries: list[Line] = []
    for index, series in enumerate(spec.series):
        if not len(series):
            continue
        at = series.nearest(spec.cursor) if spec.cursor is not None else None
        value = series.latest(spec.smoothing) if at is None else series.value(at, spec.smoothing)
        # A chart of a single curve names it once.
        name = "" if series.title == spec.title else printable_line(series.title) + " "
        sample = (style.sample(index) + " ", style.curve(series.colour or colour(index)))
        entries.append((sample, (name + number(value), style.label)))
    for mark in spec.marks_at_cursor(area) if area else []:
        text = f"{printable_line(mark.title)} at {mark.step:,.0f}".strip()
        entries.append((("┊ ", style.mark), (text, style.label)))
    for reference in spec.references:
        text = f"{printable_line(reference.title)} {number(reference.value)}"
        entries.append((("┈┈ ", style.reference), (text, style.label)))
    return entries


def _laid_out(title: Run, entries: Sequence[Line], width: int) -> tuple[Line, int]:
    """Lay out the title and the entries that fit, exactly `width` cells wide; return the line and how many entries it has."""
    name, style = printable_line(title[0]), title[1]
    if cell_len(name) > width:
        return ((set_cell_size(name, width), style),), 0
    runs: list[Run] = [(name, style)] if name else []
    used, shown = cell_len(name), 0
    for entry in entries:
        gap = (GAP if shown else GAP + 1) if used else 0
        size = sum(cell_len(text) for text, _ in entry)
        if used + gap + size > width:
            break
        if gap:
            runs.append((" " * gap, NULL))
        runs.extend(entry)
        used, shown = used + gap + size, shown + 1
    if used < width:
        runs.append((" " * (width - used), NULL))
    return tuple(runs), shown


def _empty(spec: ChartSpec, width: int, height: int) -> list[Line]:
    """Return a frame without curves, with the placeholder in the middle if there are no points."""
    legend, _ = _legend(replace(spec, references=(), cursor=None), width)
    lines: list[Line] = [legend, *[((" " * width, NULL),)] * (height - 1)]
    text = printable_line(spec.placeholder)
    size = cell_len(text)
    if text and size <= width and height > 1 and not any(len(series) for series in spec.series):
        before = (width - size) // 2
        after = width - size - before
        lines[1 + (height - 2) // 2] = ((" " * before, NULL), (text, spec.style.label), (" " * after, NULL))
    return lines
