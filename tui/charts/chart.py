"""The chart widget: it collects points, draws frames on the render thread and repaints the cells that changed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import monotonic

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.frame import Frame, FrameBuilder
from torchtty.tui.charts.keys import BINDINGS
from torchtty.tui.charts.painting import WIRE, Pace, Painting, frames_per_second, render
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import Band, ChartSpec, Mark, Reference, next_smoothing
from torchtty.tui.charts.style import STYLED_PARTS, ChartStyle, colour, style_of
from torchtty.tui.charts.units import AS_LOGGED, Unit, named, next_unit
from torchtty.tui.charts.window import Window


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

    class FullScreen(Message):
        """The chart is to have the whole screen, or is to give it back."""

    def __init__(
        self,
        title: str = "",
        *,
        series: Iterable[Series] = (),
        placeholder: str = "",
        x_max: float | None = None,
        smoothing: float = 0.01,
        may_fill_screen: bool = False,
        id: str | None = None,
    ) -> None:
        """Make a chart; `smoothing` is the time constant as a share of the x axis, 0 for none.

        `may_fill_screen` says that the host handles `FullScreen`.
        """
        super().__init__(id=id)
        self._series: dict[str, Series] = {}
        self._references: dict[str, Reference] = {}
        self.spec = ChartSpec(0, 0, title, x_max=x_max, placeholder=placeholder)  # but for size and style
        self._smoothing = smoothing
        self._may_fill_screen = may_fill_screen
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

    def set_units(self, units: tuple[Unit, ...]) -> None:
        """Offer units for the values; the present one stays if it is among them."""
        self._change(units=units, unit=named(self.spec.unit.name, units) if units else AS_LOGGED)

    def set_epoch(self, tokens: float | None) -> None:
        """Let the x axis count epochs of so many tokens, or no epochs (None)."""
        self._change(epoch=tokens)

    def set_over(self, is_over: bool) -> None:
        """Say whether points may still come: the axes then end where the data does."""
        self._change(is_over=is_over)

    def set_x_max(self, x_max: float | None) -> None:
        """Let the x axis end at a step, or follow the data (None)."""
        self._change(x_max=x_max)

    def clear(self) -> None:
        """Remove all points and marks, as for a new run; series, references and settings stay."""
        for series in self._series.values():
            series.clear()
        self._builder = FrameBuilder()
        self._change(marks=(), bands=(), cursor=None, window=Window(), hidden=frozenset())

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
            spec = replace(
                self.spec,
                width=width,
                height=height,
                style=self._style,
                smoothing=self.smoothing,
                smoothing_share=self._smoothing,
            )
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

    def _view(self, **changes: object) -> None:
        """Look at the chart in another way; a window of an axis that changes is no longer one."""
        self._change(**changes, at_once=True)
        self.refresh_bindings()

    def action_log_y(self) -> None:
        self._view(log_y=not self.spec.log_y, window=replace(self.spec.window, y=None))

    def action_log_x(self) -> None:
        self._view(log_x=not self.spec.log_x, window=replace(self.spec.window, x=None))

    def action_next_x(self) -> None:
        self._view(coordinate=self.spec.next_coordinate(), window=replace(self.spec.window, x=None))

    def action_next_unit(self) -> None:
        unit = next_unit(self.spec.unit, self.spec.units)
        self._view(unit=unit, window=replace(self.spec.window, y=None))

    def action_hide(self, number: int) -> None:
        """Hide the curve of a number, or show it again."""
        if number < len(self.spec.series):
            self._view(hidden=self.spec.hidden ^ {self.spec.series[number].name})

    def action_full_screen(self) -> None:
        self.post_message(self.FullScreen())

    def action_zoom(self, by: int) -> None:
        """Zoom in or out along x, around the cursor or else the middle."""
        area, cursor = self.frame.area, self.spec.cursor
        if area is not None:
            at = self.spec.x_fraction(cursor, area) if cursor is not None else 0.5
            self._zoom(by, at if 0 <= at <= 1 else 0.5)

    def _zoom(self, by: int, at: float) -> None:
        if (axes := self._x_axes()) is not None:
            self._view(window=self.spec.window.zoomed_x(by, *axes, at))

    def _x_axes(self) -> tuple[Axis, Axis] | None:
        """Return the x axis as it is shown and as it is whole, ahead of the frame: keys may come quicker than frames."""
        area, whole = self.frame.area, self.frame.whole_x
        if area is None or whole is None or whole.log != self.spec.log_x:
            return None
        window = self.spec.window.x
        return Axis(*window, whole.log) if window is not None else whole, whole

    def _y_axis(self) -> Axis | None:
        if (window := self.spec.window.y) is not None:
            return Axis(*window, self.spec.log_y)
        return self.frame.area.y if self.frame.area is not None else None

    def action_pan(self, by: int) -> None:
        if (axes := self._x_axes()) is not None:
            self._view(window=self.spec.window.panned_x(by, *axes))

    def action_zoom_y(self, by: int, at: float = 0.5) -> None:
        if (axis := self._y_axis()) is not None:
            self._view(window=self.spec.window.zoomed_y(by, axis, at))

    def action_pan_y(self, by: int) -> None:
        if (axis := self._y_axis()) is not None:
            self._view(window=self.spec.window.panned_y(by, axis))

    def action_whole(self) -> None:
        """Show everything again."""
        self._view(window=Window())

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        """Zoom around the pointer: along y over that axis or with ctrl; with shift, move to the side."""
        area = self.frame.area
        if area is None:
            return
        event.stop()
        if event.shift:
            self.action_pan(by)
        elif event.ctrl or event.x < area.left:
            self.action_zoom_y(by, 1 - (event.y - area.top + 0.5) / area.height)
        else:
            self._zoom(by, (event.x - area.left + 0.5) / area.width)

    def action_smooth(self, by: int) -> None:
        self._smoothing = next_smoothing(self._smoothing, by)
        self.draw_at_once()
        self.refresh_bindings()

    def action_cursor(self, by: int) -> None:
        """Move the cursor by a column, and by at least a point."""
        self._move_cursor(self.spec.moved_cursor(by, self.frame.area, self.frame.coordinate))

    def action_cursor_end(self, end: int) -> None:
        """Move the cursor to the first (0) or the last (1) step."""
        self._move_cursor(self.spec.end_step(end))

    def action_no_cursor(self) -> None:
        self._move_cursor(None)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor there, or hide the curve whose name was clicked."""
        if name := self.frame.series_at(event.x, event.y):
            self._view(hidden=self.spec.hidden ^ {name})
            return
        step = self.spec.step_at(event.x, self.frame.area, self.frame.coordinate)
        if step is not None:
            self._move_cursor(step)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what would change something; escape passes while there is no cursor to hide."""
        spec = self.spec
        match action:
            case "no_cursor":
                return spec.cursor is not None
            case "whole":
                return bool(spec.window)
            case "pan":
                return spec.window.x is not None
            case "pan_y":
                return spec.window.y is not None
            case "next_unit":
                return len(spec.units) > 1
            case "smooth":
                return any(series.smooth for series in spec.series)
            case "hide":
                return len(spec.series) > 1 and isinstance(parameters[0], int) and parameters[0] < len(spec.series)
            case "full_screen":
                return self._may_fill_screen
        return True

    def _move_cursor(self, step: float | None) -> None:
        if step != self.spec.cursor:
            self._change(cursor=step, window=self._window_with(step), at_once=True)
            self.refresh_bindings()
            self.post_message(self.CursorMoved(step))

    def _window_with(self, step: float | None) -> Window:
        """Return the window, moved along x to where the cursor goes."""
        window, area, axes = self.spec.window, self.frame.area, self._x_axes()
        if step is None or window.x is None or area is None or axes is None:
            return window
        shown, whole = axes
        at = shown.fraction(self.spec.x_at(step))
        return (
            window
            if 0 <= at <= 1
            else window.panned_x(1 if at > 1 else -1, shown, whole, reaching=self.spec.x_at(step))
        )


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
