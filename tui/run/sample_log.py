"""The samples of a run, the newest on top, growing token by token."""

from collections.abc import Iterable
from time import monotonic

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from torchtty.engine.contract.run.log import SampleRecord
from torchtty.tui.run.sample_lines import Line, Piece, SampleLayout, plain_lines

ROLES = ("head", "detail", "text", "new", "seen", "problem")


class SampleLog(ScrollView, can_focus=True):
    """Draws each sample's lines itself: no widget a sample, and only what is in view is painted."""

    COMPONENT_CLASSES = {f"samples--{role}" for role in ROLES}
    DEFAULT_CSS = """
    SampleLog {
        height: 1fr;
        min-height: 2;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        scrollbar-color: $foreground 20%;
        scrollbar-background: $background 0%;
        scrollbar-visibility: hidden;
        &:focus, &:hover, &.-scrolled { scrollbar-visibility: visible; }
    }
    SampleLog > .samples--head { color: $text-accent; text-style: bold; }
    SampleLog > .samples--detail { color: $foreground 55%; }
    SampleLog > .samples--text { color: $foreground; }
    SampleLog > .samples--new { color: $text-success; }
    SampleLog > .samples--seen { color: $foreground 55%; }
    SampleLog > .samples--problem { color: $text-error; }
    """

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.placeholder = placeholder
        self._records: dict[int, SampleRecord] = {}
        self._layouts: dict[int, SampleLayout] = {}
        self._notes: dict[int, str] = {}
        self._lines: list[Line] = []
        self._on_top: int | None = None
        self._on_top_until = 0.0

    @property
    def records(self) -> list[SampleRecord]:
        """The samples, newest first, but for one that is kept on top."""
        on_top = self._on_top if monotonic() < self._on_top_until else None
        return [self._records[key] for key in sorted(self._records, key=lambda key: (key == on_top, key), reverse=True)]

    def keep_on_top(self, key: int, seconds: float) -> None:
        """Keep a sample above newer ones for so long: a fast run would push it out of view before it is read."""
        self._on_top, self._on_top_until = key, monotonic() + seconds

    @property
    def latest(self) -> SampleRecord | None:
        """The newest sample that has text."""
        return next((record for record in self.records if any(record.texts)), None)

    def clear(self) -> None:
        """Forget every sample."""
        self._records.clear()
        self._layouts.clear()
        self._notes.clear()
        self._arrange()
        self.scroll_to(y=0, animate=False)

    def take(self, records: Iterable[SampleRecord], notes: dict[int, str] | None = None) -> None:
        """Add samples, or put grown ones in the place of what they were; `notes` say what samples wait for."""
        for record in records:
            self._records[record.key] = record
            self._lay_out(record, (notes or {}).get(record.key, ""))
        self._arrange()

    def discard(self, key: int) -> None:
        """Take one sample out."""
        self._records.pop(key, None)
        self._layouts.pop(key, None)
        self._notes.pop(key, None)
        self._arrange()

    def _lay_out(self, record: SampleRecord, note: str) -> None:
        width = self._text_width
        layout = self._layouts.get(record.key)
        if layout is None or layout.width != max(8, width):
            layout = self._layouts[record.key] = SampleLayout(width)
        layout.show(record, note)
        self._notes[record.key] = note

    @property
    def _text_width(self) -> int:
        # The column of the scrollbar is always kept free: text must not jump when it appears.
        return max(8, self.container_size.width or self.size.width) - 2

    def _arrange(self) -> None:
        """Put the samples' lines in their order and keep in view what was being read."""
        before = len(self._lines)
        lines: list[Line] = []
        spaced = self.size.height >= 12
        for record in self.records:
            if lines and spaced:
                lines.append(())
            lines += self._layouts[record.key].lines
        if not lines and self.placeholder:
            lines = plain_lines(self.placeholder, self._text_width, "detail")
        first, last = self._changed(lines)
        self._lines = lines
        self.virtual_size = Size(self._text_width, len(lines))
        if self.scroll_y > 0 and len(lines) != before:
            self.scroll_to(y=max(0, self.scroll_y + len(lines) - before), animate=False, immediate=True)
            self.refresh()
        elif first <= last:
            self.refresh(Region(0, first, self.size.width, last - first + 1))

    def _changed(self, lines: list[Line]) -> tuple[int, int]:
        """Return the first and the last row in view that differ from what is painted there."""
        top = round(self.scroll_y)
        differing = [row for row in range(self.size.height) if _row(self._lines, top + row) != _row(lines, top + row)]
        return (differing[0], differing[-1]) if differing else (0, -1)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Show the scrollbar to those who scroll: it is painted anew with every sample that comes."""
        super().watch_scroll_y(old_value, new_value)
        self.set_class(new_value > 0, "-scrolled")

    def on_resize(self) -> None:
        """Break the lines anew."""
        for record in self._records.values():
            self._lay_out(record, self._notes.get(record.key, ""))
        self._arrange()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return a row of what is in view."""
        width = self.size.width
        base = self.rich_style
        pieces = _row(self._lines, y + round(self.scroll_y)) or ()
        segments = [Segment(piece.text, self._style(piece)) for piece in pieces]
        return Strip(segments).adjust_cell_length(width, base).simplify()

    def _style(self, piece: Piece) -> Style:
        return self.get_component_rich_style(f"samples--{piece.role}")


def _row(lines: list[Line], row: int) -> Line | None:
    return lines[row] if 0 <= row < len(lines) else None
