"""The preview: what is under the cursor of the list, its curve, its last sample or pictures, and what differs from its origin."""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from torchtty.engine.contract.listing.arrangement import Group, Row
from torchtty.engine.contract.listing.curves import metric_in_short
from torchtty.engine.contract.listing.differences import in_words, origin_of, short_name
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.printable import printable_line, shortened
from torchtty.engine.contract.run.events import Images
from torchtty.engine.contract.run.log import SampleRecord
from torchtty.tui.charts.chart import Chart
from torchtty.tui.format import STATE_LOOKS, duration, loss, measures, state_words
from torchtty.tui.run.watcher import RunFollower

if TYPE_CHECKING:
    from torchtty.tui.images.picture import Picture

REST = 0.12  # seconds that the cursor rests before a run is read
SAMPLE_LINES, LONGEST_TEXT = 4, 400


class Preview(Vertical):
    """Shows what is under the cursor, read in a thread once the cursor rests."""

    DEFAULT_CSS: ClassVar[str] = """
    Preview { width: 46; height: 1fr; padding: 0 1; border-left: vkey $foreground 15%; }
    Preview Static { width: 100%; height: auto; }
    Preview #preview-title { height: auto; }
    Preview Chart { height: 1fr; min-height: 6; max-height: 20; margin-top: 1; }
    Preview #preview-picture { display: none; height: 2fr; max-height: 24; margin-top: 1; }
    Preview.-pictured #preview-picture { display: block; }
    Preview.-pictured Chart { max-height: 10; }
    Preview #preview-sample { margin-top: 1; max-height: 5; color: $foreground 80%; }
    Preview #preview-differs { margin-top: 1; max-height: 8; }
    Preview #preview-note { margin-top: 1; }
    """

    @dataclass
    class _Read(Message, bubble=False):
        """A run was read."""

        follower: RunFollower
        sample: SampleRecord | None
        picture: Images | None

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._row: Row | None = None
        self._follower: RunFollower | None = None
        self._drawn: tuple[str, ...] = ()
        self._timer: Timer | None = None
        self._picture: Picture | None = None
        self._reading = threading.Lock()

    def compose(self) -> ComposeResult:
        yield Static(id="preview-title")
        chart = Chart(id="preview-chart", placeholder="No curve yet.")
        chart.can_focus = False
        yield chart
        yield Container(id="preview-picture")
        yield Static(id="preview-sample")
        yield Static(id="preview-differs")
        yield Static(id="preview-note")

    def show(self, row: Row | None) -> None:
        """Show a run, a group or nothing; what takes reading follows soon."""
        before, self._row = self._row, row
        self._write("title", _title(row))
        self._write("differs", _differs(row))
        self._write("note", _note(row))
        is_another = before is None or row is None or before.key != row.key
        if is_another:
            self._write("sample", Content(""))
            self._clear()
            self.remove_class("-pictured")
            self._follower = None
        self.query_one(Chart).display = isinstance(row, Entry)
        if isinstance(row, Entry) and (is_another or row.status != _status(before)):
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(REST, self._read)

    def _write(self, part: str, content: Content) -> None:
        widget = self.query_one(f"#preview-{part}", Static)
        widget.display = bool(content.plain)
        widget.update(content)

    def _clear(self) -> None:
        chart = self.query_one(Chart)
        for name in self._drawn:
            chart.remove_series(name)
        self._drawn = ()
        chart.clear()  # the axes held still for the curves of the run before

    def _read(self) -> None:
        entry = self._row
        if not isinstance(entry, Entry) or not self.is_on_screen:
            return
        follower = self._follower
        if follower is None:
            family = entry.family
            wanted = family.charts[0].metrics if family and family.charts else (metric_in_short(entry),)
            follower = self._follower = RunFollower(entry.run, wanted, from_ancestors=True)

        def read() -> None:
            with self._reading:
                follower.take()
                follower.poll()
                news = follower.take()
            whole = [one for one in (news.samples if news else ()) if one.texts and one.done and not one.cancelled]
            drawn = news.snapshot.facts.images if news and news.snapshot else ()
            grids = [grid for grid in drawn if grid.source != "real"]
            newest = max(whole, key=lambda one: one.key, default=None)
            self.post_message(self._Read(follower, newest, grids[-1] if grids else None))

        threading.Thread(target=read, name="reading a preview", daemon=True).start()

    def on_preview__read(self, event: _Read) -> None:
        """Draw what was read, unless the cursor has moved on."""
        if event.follower is not self._follower or not isinstance(self._row, Entry):
            return
        chart = self.query_one(Chart)
        if not self._drawn:
            series = [one for one in event.follower.series.values() if len(one)]
            for one in series:
                chart.add_series(one)
            self._drawn = tuple(one.name for one in series)
        is_live = self._row.status.state.is_live
        chart.set_x_max(float(self._row.status.max_steps) if is_live else None)
        chart.set_over(not is_live)
        chart.points_changed()
        if event.sample is not None:
            self._write("sample", _sample(event.sample))
        if event.picture is not None:
            self._show_picture(self._row, event.picture)

    def _show_picture(self, entry: Entry, grid: Images) -> None:
        """Show the newest grid of pictures that a run has drawn."""
        from torchtty.tui.images.panel import grid_file  # brings pillow, which runs on text do without
        from torchtty.tui.images.picture import Picture

        if self._picture is None:
            self._picture = Picture()
            self.query_one("#preview-picture", Container).mount(self._picture)
        self._picture.show(grid_file(entry.run.media, grid), grid.time)
        self.add_class("-pictured")


def _status(row: Row | None) -> object:
    return row.status if isinstance(row, Entry) else None


def _title(row: Row | None) -> Content:
    if row is None:
        return Content("")
    if isinstance(row, Group):
        return _about_group(row)
    status, look = row.status, STATE_LOOKS[row.status.state]
    star = ("★ ", "$text-warning") if row.marks.starred else ("", "")
    parts: list[str | tuple[str, str]] = [
        star,
        (printable_line(row.key), "bold"),
        f"  {look.sign} {state_words(status)}",
    ]
    if status.seconds:
        parts.append((f"  {duration(status.seconds)}", "$foreground 60%"))
    figures = []
    if row.family is not None and (found := row.family.summarised(status.metrics)):
        figures.append(measures(found))
    if status.best is not None:
        figures.append(f"best {loss(status.best)}" + (f" at {status.best_step:,}" if status.best_step else ""))
    if figures:
        parts.append("\n" + "  ".join(figures))
    if row.what_went_wrong:
        parts.append((f"\n{shortened(printable_line(row.what_went_wrong), LONGEST_TEXT)}", "$text-error"))
    return Content.assemble(*parts)


def _about_group(group: Group) -> Content:
    states: dict[str, int] = {}
    for entry in group.entries:
        word = STATE_LOOKS[entry.status.state].word
        states[word] = states.get(word, 0) + 1
    said = ", ".join(f"{number} {word}" for word, number in states.items())
    runs = f"{len(group.entries)} run{'s' * (len(group.entries) != 1)}"
    parts: list[str | tuple[str, str]] = [(printable_line(group.title), "bold"), f"  {runs}\n{said}"]
    if group.best is not None:
        parts.append(f"\n\nbest: {group.best.key}  {loss(group.best.status.best)}")
        if group.trained_together and len({entry.kind for entry in group.entries}) > 1:
            parts.append("\nlosses are in nats per token; f5 compares these models in bits per character")
    if group.trained_together and group.differing:
        parts.append("\n\nthey differ in " + ", ".join(map(short_name, group.differing[:8])))
    parts.append(("\n\nenter shows its runs" if group.folded else "\n\nenter hides its runs", "$foreground 60%"))
    return Content.assemble(*parts)


def _differs(row: Row | None) -> Content:
    if not isinstance(row, Entry) or row.problem or (origin := origin_of(row)) is None:
        return Content("")
    changes = in_words(origin.changes) or "nothing changed"
    return Content.assemble((f"vs {printable_line(origin.title)}: ", "$foreground 60%"), printable_line(changes))


def _note(row: Row | None) -> Content:
    if not isinstance(row, Entry) or not (row.marks.note or row.marks.tags):
        return Content("")
    tags = " ".join(f"#{tag}" for tag in row.marks.tags)
    return Content.assemble((tags + " " * bool(tags), "$text-accent"), printable_line(row.marks.note))


def _sample(sample: SampleRecord) -> Content:
    if len(sample.texts) > 1:
        text = " ".join(one.strip() for one in sample.texts)
    else:
        text = "\n".join(sample.texts[0].splitlines()[:SAMPLE_LINES])
    lines = [printable_line(line) for line in text[:LONGEST_TEXT].split("\n")]
    return Content.assemble((f"step {sample.step:,}  ", "$foreground 60%"), "\n".join(lines))
