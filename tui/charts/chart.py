"""The chart widget: it collects points, draws frames on the render thread and repaints the cells that changed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import monotonic

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from torchtty.tui.charts.frame import Frame, FrameBuilder
from torchtty.tui.charts.painting import WIRE, Pace, Painting, frames_per_second, render
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import Band, ChartSpec, Mark, Reference, next_smoothing
from torchtty.tui.charts.style import STYLED_PARTS, ChartStyle, colour, style_of

EARLIER = "Move the cursor to an earlier step; the legend shows the values there"
LATER = "Move the cursor to a later step"
FIRST, LAST = "Move the cursor to the first step", "Move the cursor to the last step"
BINDINGS: list[BindingType] = [
    Binding("l", "log_y", "log y", id="chart.log_y", tooltip="Switch the y axis between linear and logarithmic"),
    Binding("x", "next_x", "axis", id="chart.next_x", tooltip="X axis: step, time, tokens"),
    Binding("s", "smooth(-1)", "less smoothing", id="chart.smooth_less", tooltip="Smooth the curves less"),
    Binding("S", "smooth(1)", "more smoothing", id="chart.smooth_more", tooltip="Smooth the curves more"),
    Binding("left", "cursor(-1)", "cursor", id="chart.cursor_left", tooltip=EARLIER),
    Binding("right", "cursor(1)", "cursor right", show=False, id="chart.cursor_right", tooltip=LATER),
    Binding("home", "cursor_end(0)", "first step", show=False, id="chart.cursor_home", tooltip=FIRST),
    Binding("end", "cursor_end(1)", "last step", show=False, id="chart.cursor_end", tooltip=LAST),
    Binding("escape", "no_cursor", "no cursor", show=False, id="chart.no_cursor", tooltip="Hide the cursor"),
]


class Chart(Widget, can_focus=True):
    """Curves that grow, on axes whose limits change seldom.

    Points may be appended at any rate, from the UI thread; frames follow at a rate that the terminal and the processor
    can sustain.
    """

    COMPONENT_CLASSES = {f"chart--{part}" for part in STYLED_PARTS}
    DEFAULT_CSS = """
    Chart { width: 1fr; height: 1fr; min-height: 5; }
    Chart > .chart--title { text-style: bold; color: $foreground; }
    Chart > .chart--label { color: $foreground 80%; }
    Chart > .chart--axis { color: $foreground 45%; }
    Chart > .chart--reference { color: $foreground 45%; }
    Chart > .chart--mark { color: $foreground 60%; }
    Chart > .chart--cursor { color: $foreground; text-style: bold; }
    Chart > .chart--finding { color: $text-warning; }
    Chart:focus > .chart--title { color: $accent; }
    """
    BINDING_GROUP_TITLE = "Chart"
    BINDINGS = BINDINGS

    @dataclass
    class CursorMoved(Message):
        """The cursor has moved to another step, or was hidden (None)."""

        step: float | None

    def __init__(
        self,
        title: str = "",
        *,
        series: Iterable[Series] = (),
        placeholder: str = "",
        x_max: float | None = None,
        smoothing: float = 0.01,
        id: str | None = None,
    ) -> None:
        """Make a chart; `smoothing` is the time constant as a share of the x axis, 0 for none."""
        super().__init__(id=id)
        self._series: dict[str, Series] = {}
        self._references: dict[str, Reference] = {}
        self.spec = ChartSpec(0, 0, title, x_max=x_max, placeholder=placeholder)  # but for size and style
        self._smoothing = smoothing
        self._builder = FrameBuilder()
        self.frame = Frame(0, ())  # on display
        self._painting = Painting()
        self._pace = Pace(frames_per_second(), WIRE)
        self._style: ChartStyle | None = None  # None where it is to be asked for again
        self._stale = True
        self._urgent = False
        self._timer: Timer | None = None
        self._rendering = False
        for one in series:
            self.add_series(one)

    # content

    @property
    def smoothing(self) -> float:
        """The time constant of the smoothing, in steps."""
        return self.spec.time_constant(self._smoothing)

    @property
    def smoothing_share(self) -> float:
        """The time constant of the smoothing, as a share of the x axis."""
        return self._smoothing

    @property
    def is_up_to_date(self) -> bool:
        """Whether the frame on display shows everything and no other is being drawn."""
        return not self._stale and not self._rendering

    def add_series(self, series: Series) -> Series:
        """Show a series, last in the legend and on top; one without a colour gets the palette's next."""
        if series.colour is None:
            series.colour = colour(len(self._series))
        self._series[series.name] = series
        self._change(series=tuple(self._series.values()))
        return series

    def remove_series(self, name: str) -> None:
        self._series.pop(name, None)
        self._change(series=tuple(self._series.values()))

    def points_changed(self) -> None:
        """Report that points were appended to a series."""
        self._stale = True
        self._schedule()

    def set_reference(self, title: str, value: float | None) -> None:
        """Draw a horizontal line at a value, or remove it (None)."""
        if value is None:
            self._references.pop(title, None)
        else:
            self._references[title] = Reference(title, value)
        self._change(references=tuple(self._references.values()))

    def mark(self, step: float, title: str = "") -> None:
        """Draw a vertical line at a step where something was changed."""
        self._change(marks=(*self.spec.marks, Mark(step, title)))

    def replace_marks(self, old: Iterable[Mark], new: Iterable[Mark]) -> None:
        """Draw some marks in place of others; those of anyone else stay."""
        gone = set(old)
        self._change(marks=(*(mark for mark in self.spec.marks if mark not in gone), *new))

    def set_bands(self, bands: Iterable[Band]) -> None:
        """Draw where something is wrong, in place of what was drawn of that before."""
        self._change(bands=tuple(bands))

    def set_x_max(self, x_max: float | None) -> None:
        """Let the x axis end at a step, or follow the data (None)."""
        self._change(x_max=x_max)

    def clear(self) -> None:
        """Remove all points and marks, as for a new run; series, references and settings stay."""
        for series in self._series.values():
            series.clear()
        self._builder = FrameBuilder()
        self._change(marks=(), bands=(), cursor=None)

    def _change(self, *, at_once: bool = False, **changes: object) -> None:
        changed = replace(self.spec, **changes)  # type: ignore[arg-type]
        if changed != self.spec:
            self.spec = changed
            self._stale = True
            self._schedule(at_once=at_once)

    # scheduling frames

    def _schedule(self, *, at_once: bool = False) -> None:
        """Schedule a frame if something is new and the chart is visible.

        `at_once`, for a key or the mouse, ignores the pace and waits only for the frame that is being drawn.
        """
        self._urgent = self._urgent or at_once
        if self._rendering or not self._stale or not _is_visible(self):
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
        if self._stale and not self._rendering and _is_visible(self):
            self._stale = self._urgent = False
            self._rendering = True
            # In a worker an error ends the app with its traceback; in a task it would freeze the chart silently.
            self.run_worker(self._render_frame, name="frame", group="frames")  # type: ignore[arg-type]

    async def _render_frame(self) -> None:
        began = monotonic()
        try:
            width, height = self.size
            self._style = self._style or style_of(self)
            spec = replace(self.spec, width=width, height=height, style=self._style, smoothing=self.smoothing)
            frame, seconds = await render(self._builder, spec)
        finally:
            self._rendering = False
        size = 0
        if frame.width == self.size.width and len(frame.lines) == self.size.height:
            size = self._show(frame)
        else:
            self._stale = True
        self._pace.spend(began, seconds, size)
        self._schedule(at_once=frame.width != self.size.width)

    def draw_at_once(self) -> None:
        """Draw a frame with the newest points now, whatever the pace."""
        self._stale = True
        self._schedule(at_once=True)

    # painting

    def _show(self, frame: Frame) -> int:
        """Display a frame and repaint the cells that differ; return about how many bytes that takes."""
        self.frame = frame
        regions, size = self._painting.replace(frame)
        if regions is None:
            self.refresh()
        elif regions:
            self.refresh(*regions)
        return size

    def render_line(self, y: int) -> Strip:
        line = self._painting.line(y)
        if line is None:
            return Strip.blank(self.size.width, self.rich_style)
        return line.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render the lines, and schedule a frame if one is due: a hidden chart is painted when it becomes visible again."""
        if self._stale and not self._rendering and self._timer is None:
            self.call_later(self._schedule)
        return super().render_lines(crop)

    def on_resize(self) -> None:
        self.draw_at_once()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._style = None
        if self.is_attached:
            self.points_changed()

    # keys and mouse

    def action_log_y(self) -> None:
        self._change(log_y=not self.spec.log_y, at_once=True)

    def action_next_x(self) -> None:
        self._change(coordinate=self.spec.next_coordinate(), at_once=True)

    def action_smooth(self, by: int) -> None:
        self._smoothing = next_smoothing(self._smoothing, by)
        self.draw_at_once()

    def action_cursor(self, by: int) -> None:
        """Move the cursor by a column, and by at least a point."""
        self._move_cursor(self.spec.moved_cursor(by, self.frame.area, self.frame.coordinate))

    def action_cursor_end(self, end: int) -> None:
        """Move the cursor to the first (0) or the last (1) step."""
        self._move_cursor(self.spec.end_step(end))

    def action_no_cursor(self) -> None:
        self._move_cursor(None)

    def on_click(self, event: events.Click) -> None:
        step = self.spec.step_at(event.x, self.frame.area, self.frame.coordinate)
        if step is not None:
            self._move_cursor(step)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Pass escape on while there is no cursor to hide."""
        return not (action == "no_cursor" and self.spec.cursor is None)

    def _move_cursor(self, step: float | None) -> None:
        if step != self.spec.cursor:
            self._change(cursor=step, at_once=True)
            self.refresh_bindings()
            self.post_message(self.CursorMoved(step))


def _is_visible(widget: Widget) -> bool:
    """Return whether a widget is on the screen, and no opaque screen lies above its own."""
    if not (widget.display and widget.is_attached and widget.size):
        return False
    # Not `Screen.is_current`: that is also true of a screen beneath an opaque one.
    stack = widget.app.screen_stack
    if widget.screen not in stack:
        return False
    above = stack[stack.index(widget.screen) + 1 :]
    return all(screen.styles.background.a < 1 for screen in above) and widget.is_on_screen
