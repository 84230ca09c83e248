"""The chart widget: it collects points, has frames built off the UI thread and repaints the lines that changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from torchtty.tui.charts import cursor
from torchtty.tui.charts.bindings import BINDINGS
from torchtty.tui.charts.building import built
from torchtty.tui.charts.choices import next_coordinate, next_smoothing, time_constant
from torchtty.tui.charts.frame import Frame, FrameBuilder
from torchtty.tui.charts.pacing import WIRE, Pace, frames_per_second
from torchtty.tui.charts.palette import colour
from torchtty.tui.charts.picture import Mark, Picture, Reference
from torchtty.tui.charts.repaint import Painting
from torchtty.tui.charts.seeing import is_seen
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.styling import look_of


class Chart(Widget, can_focus=True):
    """Curves that grow, on axes that hold still.

    Points may be appended as fast as they come, from the UI thread; frames follow at a rate that the terminal and the
    processor can bear.
    """

    COMPONENT_CLASSES = {
        "chart--title",
        "chart--label",
        "chart--axis",
        "chart--reference",
        "chart--mark",
        "chart--cursor",
    }
    DEFAULT_CSS = """
    Chart {
        width: 1fr;
        height: 1fr;
        min-height: 5;
    }
    Chart > .chart--title { text-style: bold; color: $foreground; }
    Chart > .chart--label { color: $foreground 80%; }
    Chart > .chart--axis { color: $foreground 45%; }
    Chart > .chart--reference { color: $foreground 45%; }
    Chart > .chart--mark { color: $foreground 60%; }
    Chart > .chart--cursor { color: $foreground; text-style: bold; }
    Chart:focus > .chart--title { color: $accent; }
    """
    BINDINGS = BINDINGS

    @dataclass
    class CursorMoved(Message):
        """The cursor stands at another step, or is gone (None)."""

        chart: "Chart"
        step: float | None

        @property
        def control(self) -> "Chart":
            """The chart, for `on` with a selector."""
            return self.chart

    def __init__(
        self,
        title: str = "",
        *,
        series: Iterable[Series] = (),
        placeholder: str = "",
        x_max: float | None = None,
        log_y: bool = False,
        smoothing: float = 0.01,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Make a chart.

        `x_max` is the step the x axis ends at; `smoothing` the time constant as a part of the x axis, 0 for none;
        `placeholder` says what will appear while there are no points.
        """
        super().__init__(name=name, id=id, classes=classes)
        self._series: dict[str, Series] = {}
        self._references: dict[str, Reference] = {}
        self._picture = Picture(0, 0, title, x_max=x_max, log_y=log_y, placeholder=placeholder)
        self._smoothing = smoothing
        self._builder = FrameBuilder()
        self._frame = Frame(0, ())
        self._painting = Painting()
        self._pace = Pace(frames_per_second(), WIRE)
        self._stale = True
        self._urgent = False
        self._timer: Timer | None = None
        self._building = False
        for one in series:
            self.add_series(one)

    # what the chart is told

    @property
    def frame(self) -> Frame:
        """The frame on display."""
        return self._frame

    @property
    def picture(self) -> Picture:
        """What the next frame will show."""
        return self._picture

    def add_series(self, series: Series) -> Series:
        """Show a series, last in the legend and on top; one without a colour gets the palette's next."""
        if series.colour is None:
            series.colour = colour(len(self._series))
        self._series[series.name] = series
        self._change(series=tuple(self._series.values()))
        return series

    def remove_series(self, name: str) -> None:
        """Take a series away; the others keep their colours."""
        self._series.pop(name, None)
        self._change(series=tuple(self._series.values()))

    def series(self, name: str) -> Series:
        """Return the series of a name, made if there is none."""
        return self._series[name] if name in self._series else self.add_series(Series(name))

    def append(self, name: str, step: float, value: float, **coordinates: float) -> None:
        """Append a point to a series; `seconds` and `tokens` may be given to count along x by them."""
        self.series(name).append(step, value, **coordinates)
        self.points_changed()

    def extend(
        self,
        name: str,
        steps: Sequence[float],
        values: Sequence[float],
        coordinates: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Append many points to a series."""
        self.series(name).extend(steps, values, coordinates)
        self.points_changed()

    def points_changed(self) -> None:
        """Say that a series has new points, for those who append to a `Series` themselves."""
        self._stale = True
        self._schedule()

    def set_reference(self, title: str, value: float | None) -> None:
        """Draw a horizontal line at a value, or take it away (None)."""
        if value is None:
            self._references.pop(title, None)
        else:
            self._references[title] = Reference(title, value)
        self._change(references=tuple(self._references.values()))

    def mark(self, step: float, title: str = "") -> None:
        """Draw a vertical line at a step where something was changed."""
        self._change(marks=(*self._picture.marks, Mark(step, title)))

    def set_x_max(self, x_max: float | None) -> None:
        """Let the x axis end at a step, or follow the data (None)."""
        self._change(x_max=x_max)

    def clear(self) -> None:
        """Forget all points and marks, as for a new run; series, references and settings stay."""
        for series in self._series.values():
            series.clear()
        self._builder = FrameBuilder()
        self._change(marks=(), cursor=None)

    def _change(self, **changes: object) -> None:
        changed = replace(self._picture, **changes)  # type: ignore[arg-type]
        if changed != self._picture:
            self._picture = changed
            self.points_changed()

    # when frames are built

    def _schedule(self, *, at_once: bool = False) -> None:
        """See to it that a frame is built if there is something new and somebody to see it.

        `at_once`, for what a person does, waits for nothing but the frame that is being built.
        """
        self._urgent = self._urgent or at_once
        if self._building or not self._stale or not is_seen(self):
            return
        if self._timer is not None:
            if not self._urgent:
                return
            self._timer.stop()
            self._timer = None
        delay = 0.0 if self._urgent else self._pace.delay(monotonic())
        if delay > 0:
            self._timer = self.set_timer(delay, self._start)
        else:
            self._start()

    def _start(self) -> None:
        self._timer = None
        if self._stale and not self._building and is_seen(self):
            self._stale = self._urgent = False
            self._building = True
            # A worker, so that an error in a frame ends the app with its traceback instead of freezing the chart.
            self.run_worker(self._build, name="frame", group="frames")  # type: ignore[arg-type]

    async def _build(self) -> None:
        began = monotonic()
        try:
            frame, seconds = await built(self._builder, self._sized_picture())
        finally:
            self._building = False
        size = 0
        if frame.width == self.size.width and len(frame.lines) == self.size.height:
            size = self._show(frame)
        else:
            self._stale = True
        self._pace.spend(began, seconds, size)
        self._schedule(at_once=frame.width != self.size.width)

    def _sized_picture(self) -> Picture:
        width, height = self.size
        smoothing = time_constant(self._smoothing, self._picture)
        return replace(self._picture, width=width, height=height, look=look_of(self), smoothing=smoothing)

    # what is on display

    def _show(self, frame: Frame) -> int:
        """Take a frame over and repaint what differs; return about how many bytes that takes."""
        self._frame = frame
        change = self._painting.take(frame)
        if change.regions is None:
            self.refresh()
        elif change.regions:
            self.refresh(*change.regions)
        return change.size

    def render_line(self, y: int) -> Strip:
        """Return a line of the frame on display."""
        line = self._painting.line(y)
        if line is None:
            return Strip.blank(self.size.width, self.rich_style)
        return line.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render as every widget does; being painted is also how a chart learns that it can be seen again."""
        if self._stale and not self._building and self._timer is None:
            self.call_later(self._schedule)
        return super().render_lines(crop)

    def on_resize(self) -> None:
        """Draw the new size at once."""
        self._stale = True
        self._schedule(at_once=True)

    def notify_style_update(self) -> None:
        """Draw in the new theme's colours."""
        super().notify_style_update()
        if self.is_attached:
            self.points_changed()

    # keys and mouse

    def action_log_y(self) -> None:
        """Switch the logarithmic y axis."""
        self._set(log_y=not self._picture.log_y)

    def action_next_x(self) -> None:
        """Count along x by the next coordinate that every series has."""
        self._set(coordinate=next_coordinate(self._picture))

    def action_smooth(self, by: int) -> None:
        """Smooth less (-1) or more (1)."""
        self._smoothing = next_smoothing(self._smoothing, by)
        self._stale = True
        self._schedule(at_once=True)

    def action_cursor(self, by: int) -> None:
        """Move the cursor by a column, and at least by a point."""
        self._move_cursor(cursor.moved(self._picture, self._frame, by))

    def action_cursor_end(self, end: int) -> None:
        """Move the cursor to the first (0) or the last (1) step."""
        self._move_cursor(cursor.end(self._picture, end))

    def action_no_cursor(self) -> None:
        """Take the cursor away."""
        self._move_cursor(None)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is."""
        step = cursor.at_column(self._picture, self._frame, event.x)
        if step is not None:
            self._move_cursor(step)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Let escape through to others while there is no cursor to take away."""
        return not (action == "no_cursor" and self._picture.cursor is None)

    def _move_cursor(self, step: float | None) -> None:
        if step != self._picture.cursor:
            self._set(cursor=step)
            self.refresh_bindings()
            self.post_message(self.CursorMoved(self, step))

    def _set(self, **changes: object) -> None:
        """Change what is shown on a person's wish: at once."""
        self._picture = replace(self._picture, **changes)  # type: ignore[arg-type]
        self._stale = True
        self._schedule(at_once=True)
