"""A slim bar that shows where in a history one is, and takes one elsewhere."""

from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from torchtty.tui.charts.style import as_ascii, terminal_shows_unicode


class Scrubber(Widget):
    """`━━━━━━●────` over `count` places; a click or a drag moves to the nearest."""

    COMPONENT_CLASSES = {"scrubber--past", "scrubber--knob", "scrubber--rest"}
    DEFAULT_CSS = """
    Scrubber { height: 1; width: 1fr; min-width: 4; }
    Scrubber > .scrubber--past { color: $accent; }
    Scrubber > .scrubber--knob { color: $text-accent; text-style: bold; }
    Scrubber > .scrubber--rest { color: $foreground 30%; }
    """

    @dataclass
    class Moved(Message):
        """A person chose another place."""

        index: int

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._count, self._index = 0, 0

    def show(self, index: int, count: int) -> None:
        """Show the place `index` of `count`."""
        if (index, count) != (self._index, self._count):
            self._index, self._count = index, count
            self.refresh()

    def index_at(self, column: int) -> int:
        """Return the place nearest to a column."""
        fraction = min(max(column, 0), self.size.width - 1) / max(1, self.size.width - 1)
        return round(fraction * (self._count - 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y or self._count < 2 or width < 2:
            return Strip.blank(width, self.rich_style)
        knob = round(self._index / (self._count - 1) * (width - 1))
        parts = [("━" * knob, "past"), ("●", "knob"), ("─" * (width - 1 - knob), "rest")]
        unicode = terminal_shows_unicode()
        segments = [
            Segment(text if unicode else as_ascii(text), self.get_component_rich_style(f"scrubber--{part}"))
            for text, part in parts
            if text
        ]
        return Strip(segments, width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._move(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self._move(event.x)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def _move(self, column: int) -> None:
        if self._count > 1 and (index := self.index_at(column)) != self._index:
            self.post_message(self.Moved(index))
