"""The samples of a run, the newest on top, growing token by token, and the prompt that draws more."""

from collections.abc import Iterable
from time import monotonic

from rich.segment import Segment
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import Static

from torchtty.engine.contract.run.log import SampleRecord
from torchtty.engine.contract.run.requests import Sample
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.tui.run.prompt import PromptBar
from torchtty.tui.run.sample_layout import NEW, SEEN, Line, SampleLayout, plain_lines

FIRST_PENDING = 10**9  # keys of samples that were requested and have not begun: newer than all that have
AUTOMATIC_EVERY = 2.0  # seconds between two paints of automatic samples: a fast run draws more than one can read
PINNED_FOR = 30.0  # seconds that a requested sample stays on top once it is complete
PLACEHOLDER = "Samples appear here: automatic ones while the model trains, and your own."
INTERRUPTED = "interrupted: the process that drew it is gone"
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
        self._layouts: dict[int, SampleLayout] = {}
        self._lines: list[Line] = []
        self._pinned: int | None = None
        self._pinned_until = 0.0

    @property
    def records(self) -> list[SampleRecord]:
        """The samples, newest first, except for one that is pinned on top."""
        pinned = self._pinned if monotonic() < self._pinned_until else None
        order = sorted(self._layouts, key=lambda key: (key == pinned, key), reverse=True)
        return [self._layouts[key].record for key in order]

    def pin(self, key: int, seconds: float) -> None:
        """Pin a sample above newer ones for so long: a fast run would push it out of view before it is read."""
        self._pinned, self._pinned_until = key, monotonic() + seconds

    @property
    def latest(self) -> SampleRecord | None:
        """The newest sample that has text."""
        return next((record for record in self.records if any(record.texts)), None)

    def clear(self) -> None:
        """Forget every sample."""
        self._layouts.clear()
        self._arrange()
        self.scroll_to(y=0, animate=False)

    def take(self, records: Iterable[SampleRecord], notes: dict[int, str] | None = None) -> None:
        """Add samples, or update those that have grown; `notes` say what a sample waits for."""
        for record in records:
            self._lay_out(record, (notes or {}).get(record.key, ""))
        self._arrange()

    def discard(self, key: int) -> None:
        self._layouts.pop(key, None)
        self._arrange()

    def _lay_out(self, record: SampleRecord, note: str) -> None:
        width = self._text_width
        layout = self._layouts.get(record.key)
        if layout is None or layout.width != max(8, width):
            layout = self._layouts[record.key] = SampleLayout(width)
        layout.show(record, note)

    @property
    def _text_width(self) -> int:
        # The scrollbar's column is always free: text must not jump when it appears.
        return max(8, self.container_size.width or self.size.width) - 2

    def _arrange(self) -> None:
        """Put the samples' lines in order and keep what is being read in view."""
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
        """Show the scrollbar while the list is scrolled: it is repainted with every new sample."""
        super().watch_scroll_y(old_value, new_value)
        self.set_class(new_value > 0, "-scrolled")

    def on_resize(self) -> None:
        """Wrap the lines to the new width."""
        for layout in list(self._layouts.values()):
            self._lay_out(layout.record, layout.note)
        self._arrange()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return a row of what is in view."""
        pieces = _row(self._lines, y + round(self.scroll_y)) or ()
        segments = [Segment(text, self.get_component_rich_style(f"samples--{role}")) for text, role in pieces]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style).simplify()


def _row(lines: list[Line], row: int) -> Line | None:
    return lines[row] if 0 <= row < len(lines) else None


class SamplesPanel(Vertical):
    """A history of samples over a prompt, whose `PromptBar.Submitted` its host turns into a request."""

    DEFAULT_CSS = """
    SamplesPanel { height: 2fr; width: 1fr; }
    SamplesPanel #samples-title { height: 1; }
    SamplesPanel #samples-name { width: 1fr; color: $text-accent; text-style: bold; }
    SamplesPanel #samples-legend { width: auto; }
    """

    def compose(self) -> ComposeResult:
        with Horizontal(id="samples-title"):
            yield Static(Content("samples"), id="samples-name")
            legend = Content.assemble(
                (NEW, "$text-success"), " new  ", (SEEN, "$foreground 55%"), (" seen in training", "$foreground 65%")
            )
            yield Static(legend, id="samples-legend")
        yield SampleLog(id="samples", placeholder=PLACEHOLDER)
        yield PromptBar(id="prompt-bar")

    def on_mount(self) -> None:
        self._pending: dict[str, SampleRecord] = {}
        self._requested: set[str] = set()
        self._automatic: dict[int, SampleRecord] = {}  # not painted yet
        self._automatic_due = 0.0
        self._timer: Timer | None = None
        self._served = False
        self._step = 0
        self.query_one("#samples-legend").visible = False

    @property
    def history(self) -> SampleLog:
        return self.query_one(SampleLog)

    @property
    def is_sampling(self) -> bool:
        """Whether a requested sample is being drawn or waited for."""
        return bool(self._pending) or any(not record.automatic for record in self._growing())

    @property
    def is_drawing(self) -> bool:
        """Whether any sample is being drawn or waited for, an automatic one too."""
        return bool(self._pending) or bool(self._growing())

    def _growing(self) -> list[SampleRecord]:
        known = {record.key: record for record in self.history.records} | self._automatic
        return [record for record in known.values() if not record.done] if self._served else []

    def clear(self) -> None:
        """Remove the samples, as for another run."""
        self._pending.clear()
        self._requested.clear()
        self._automatic.clear()
        self._automatic_due = 0.0
        self.history.clear()
        self.query_one("#samples-legend").visible = False

    def take(self, samples: Iterable[SampleRecord]) -> None:
        """Show new and grown samples: requested ones at once, automatic ones every now and then."""
        requested = []
        for record in samples:
            if record.automatic:
                self._automatic[record.key] = record
            else:
                requested.append(record)
                if record.id in self._requested:
                    self.history.pin(record.key, PINNED_FOR)
        if requested:
            self._show(requested)
        # A heading alone would be all there is to see until the next paint.
        if self._timer is None and any(record.texts or record.done for record in self._automatic.values()):
            delay = self._automatic_due - monotonic()
            if delay > 0:
                self._timer = self.set_timer(delay, self._show_automatic)
            else:
                self._show_automatic()

    def _show_automatic(self) -> None:
        self._timer = None
        if self._automatic:  # else the panel was cleared meanwhile
            self._automatic_due = monotonic() + AUTOMATIC_EVERY
            arrived, self._automatic = list(self._automatic.values()), {}
            self._show(arrived)

    def _show(self, arrived: list[SampleRecord]) -> None:
        for record in arrived:
            if waiting := self._pending.pop(record.id, None):
                self.history.discard(waiting.key)
        self.history.take(arrived, self._notes(arrived))
        if any(record.known for record in arrived):
            self.query_one("#samples-legend").visible = True

    def show_state(self, snapshot: RunSnapshot) -> None:
        """Take over the run's step and settings, and mark what stays incomplete once no process draws it."""
        self._step = snapshot.status.step
        self.query_one(PromptBar).configure(snapshot.configuration)
        if snapshot.is_served != self._served:
            self._served = snapshot.is_served
            growing = [record for record in self.history.records if not record.done and record.id not in self._pending]
            self.history.take(growing, self._notes(growing))

    def _notes(self, records: Iterable[SampleRecord]) -> dict[int, str]:
        return {} if self._served else {record.key: INTERRUPTED for record in records if not record.done}

    def add_pending(self, request: Sample, note: str) -> None:
        """Show that a sample was requested, until it begins."""
        record = SampleRecord(FIRST_PENDING + len(self._pending), request.id, self._step, request.prompt or "")
        self._pending[request.id] = record
        self._requested.add(request.id)
        self.history.pin(record.key, PINNED_FOR)
        self.history.take([record], {record.key: note})
        self.history.scroll_to(y=0, animate=False)

    def drop_pending(self) -> None:
        """Remove samples that were requested and have not begun."""
        for record in self._pending.values():
            self.history.discard(record.key)
        self._pending.clear()
