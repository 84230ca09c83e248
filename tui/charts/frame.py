"""One picture of a chart, as lines of styled text; it needs no app and may be built in any thread."""

from dataclasses import dataclass, replace
from math import nan

from rich.cells import cell_len
from rich.segment import Segment, Segments
from rich.style import Style

from torchtty.tui.charts.axes import value_text
from torchtty.tui.charts.drawing import Drawing, HeldAxes
from torchtty.tui.charts.legend import Line, legend, printable
from torchtty.tui.charts.look import as_ascii
from torchtty.tui.charts.palette import colour
from torchtty.tui.charts.picture import Field, Picture
from torchtty.tui.charts.series import STEP

NULL = Style.null()


@dataclass(frozen=True)
class Frame:
    """Lines of (text, style), each exactly `width` cells; `field` is None where nothing is drawn."""

    width: int
    lines: tuple[Line, ...]
    field: Field | None = None
    coordinate: str = STEP

    def __rich__(self) -> Segments:
        """Let Rich print the frame, as the command line does."""
        newline = Segment("\n")
        return Segments([part for line in self.lines for part in (*(Segment(*run) for run in line), newline)])


class FrameBuilder:
    """Builds the frames of one chart and remembers its axes, so that they hold still from frame to frame."""

    def __init__(self) -> None:
        self._axes = HeldAxes()

    def build(self, picture: Picture) -> Frame:
        """Return a frame of exactly the picture's size."""
        width, height = max(0, picture.width), max(0, picture.height)
        if not width or not height:
            return Frame(width, ((),) * height, None, picture.coordinate)
        x_axis = self._axes.x_axis(picture) if any(len(series) for series in picture.series) else None
        drawn = Drawing.of(self._axes, picture, x_axis) if x_axis and height > 1 else None
        if x_axis is None or drawn is None:
            return Frame(width, _without_points(picture, width, height), None, picture.coordinate)
        lines = [_legend(picture, width), *drawn.lines()]
        if not picture.look.unicode:
            lines = [tuple((as_ascii(text), style) for text, style in line) for line in lines]
        return Frame(width, tuple(lines), drawn.field, picture.coordinate)


def _legend(picture: Picture, width: int) -> Line:
    look = picture.look
    entries: list[Line] = []
    if picture.cursor is not None:
        entries.append(((f"step {picture.cursor:,.0f}", look.cursor),))
    for index, series in enumerate(picture.series):
        if not len(series):
            continue
        style = look.curve(series.colour or colour(index))
        time_constant = picture.smoothing if series.smooth else 0.0
        if picture.cursor is None:
            value = series.latest(time_constant)
        else:
            at = series.nearest(picture.cursor)
            value = series.value(at, time_constant) if at is not None else nan
        # A chart of one curve does not say its name twice.
        name = "" if series.title == picture.title else printable(series.title) + " "
        text = name + value_text(value)
        entries.append(((look.sample(index) + " ", style), (text, look.label)))
    for reference in picture.references:
        text = f"{printable(reference.title)} {value_text(reference.value)}"
        entries.append((("┈┈ ", look.reference), (text, look.label)))
    return legend((picture.title, look.title), entries, width)


def _without_points(picture: Picture, width: int, height: int) -> tuple[Line, ...]:
    """Return a frame that says what will appear."""
    empty: Line = ((" " * width, NULL),)
    quiet = replace(picture, references=(), cursor=None)
    lines = [_legend(quiet, width)] + [empty] * (height - 1)
    text = printable(picture.placeholder)
    if text and height > 1 and not any(len(series) for series in picture.series):
        size = cell_len(text)
        if size <= width:
            before = (width - size) // 2
            after = width - size - before
            lines[1 + (height - 2) // 2] = ((" " * before, NULL), (text, picture.look.label), (" " * after, NULL))
    if not picture.look.unicode:
        lines = [tuple((as_ascii(part), style) for part, style in line) for line in lines]
    return tuple(lines)
