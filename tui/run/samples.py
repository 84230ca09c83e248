"""The samples panel: what the model has said so far, and the prompt that makes it say more."""

from collections.abc import Iterable
from time import monotonic

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from torchtty.engine.contract.run.log import SampleRecord
from torchtty.engine.contract.run.requests import Sample, new_id
from torchtty.engine.contract.settings.family import Configuration
from torchtty.tui.run.prompt import PromptBar
from torchtty.tui.run.sample_lines import NEW, SEEN
from torchtty.tui.run.sample_log import SampleLog

FIRST_PENDING = 10**9  # keys of samples that were asked for and have not begun: newer than all that have
UNASKED_EVERY = 2.0  # seconds between two paints of samples drawn unasked: a fast run draws more than one can read
READING = 30.0  # seconds that a sample which was asked for stays on top once it is whole
BROKEN_OFF = "broken off: the process that drew it is gone"


class SamplesPanel(Vertical):
    """A history of samples over a prompt. It asks for samples by a message; its host sends the request."""

    DEFAULT_CSS = """
    SamplesPanel { height: 2fr; width: 1fr; }
    SamplesPanel #samples-title { height: 1; }
    SamplesPanel #samples-name { width: 1fr; color: $text-accent; text-style: bold; }
    SamplesPanel #samples-legend { width: auto; }
    """

    class Asked(Message):
        """A person asks for a sample."""

        def __init__(self, request: Sample) -> None:
            super().__init__()
            self.request = request

    def compose(self) -> ComposeResult:
        with Horizontal(id="samples-title"):
            yield Static(Content("samples"), id="samples-name")
            legend = Content.assemble(
                (NEW, "$text-success"), " new  ", (SEEN, "$foreground 55%"), (" seen in training", "$foreground 65%")
            )
            yield Static(legend, id="samples-legend")
        yield SampleLog(
            id="samples", placeholder="What the model writes appears here: on its own, and when you prompt it."
        )
        yield PromptBar(id="prompt-bar")

    def on_mount(self) -> None:
        self._pending: dict[str, SampleRecord] = {}
        self._asked: set[str] = set()
        self._unasked: dict[int, SampleRecord] = {}  # not yet shown
        self._unasked_due = 0.0
        self._timer: Timer | None = None
        self._alive = False
        self._step = 0
        self.query_one("#samples-legend").visible = False

    @property
    def log_of_samples(self) -> SampleLog:
        """The history."""
        return self.query_one(SampleLog)

    @property
    def is_sampling(self) -> bool:
        """Whether a sample that was asked for is being drawn or waited for."""
        return bool(self._pending) or any(not record.automatic for record in self._growing())

    @property
    def is_drawing(self) -> bool:
        """Whether any sample is being drawn or waited for, one of the run's own too."""
        return bool(self._pending) or bool(self._growing())

    def _growing(self) -> list[SampleRecord]:
        known = {record.key: record for record in self.log_of_samples.records} | self._unasked
        return [record for record in known.values() if not record.done] if self._alive else []

    def clear(self) -> None:
        """Forget the samples, as for another run."""
        self._pending.clear()
        self._asked.clear()
        self._unasked.clear()
        self._unasked_due = 0.0
        self.log_of_samples.clear()
        self.query_one("#samples-legend").visible = False

    def configure(self, configuration: Configuration | None) -> None:
        """Let the fields hold a run's own settings."""
        self.query_one(PromptBar).configure(configuration)

    def take(self, samples: Iterable[SampleRecord]) -> None:
        """Show new and grown samples: what was asked for as it comes, the run's own every now and then."""
        asked = []
        for record in samples:
            if record.automatic:
                self._unasked[record.key] = record
            else:
                asked.append(record)
                if record.id in self._asked:
                    self.log_of_samples.keep_on_top(record.key, READING)
        if asked:
            self._show(asked)
        # A heading alone would be all there is to see until the next paint.
        if self._timer is None and any(record.texts or record.done for record in self._unasked.values()):
            delay = self._unasked_due - monotonic()
            if delay > 0:
                self._timer = self.set_timer(delay, self._show_unasked)
            else:
                self._show_unasked()

    def _show_unasked(self) -> None:
        self._timer = None
        if self._unasked:  # else the panel was cleared meanwhile
            self._unasked_due = monotonic() + UNASKED_EVERY
            arrived, self._unasked = list(self._unasked.values()), {}
            self._show(arrived)

    def _show(self, arrived: list[SampleRecord]) -> None:
        for record in arrived:
            if waiting := self._pending.pop(record.id, None):  # what came replaces what was waited for
                self.log_of_samples.discard(waiting.key)
        self.log_of_samples.take(arrived, self._notes(arrived))
        if any(record.known for record in arrived):
            self.query_one("#samples-legend").visible = True

    def set_alive(self, alive: bool, step: int) -> None:
        """Say whether a process is there to draw samples, and at which step the run is."""
        self._step = step
        if alive != self._alive:
            self._alive = alive
            growing = [
                record for record in self.log_of_samples.records if not record.done and record.id not in self._pending
            ]
            self.log_of_samples.take(growing, self._notes(growing))

    def _notes(self, records: Iterable[SampleRecord]) -> dict[int, str]:
        return {} if self._alive else {record.key: BROKEN_OFF for record in records if not record.done}

    def wait_for(self, request: Sample, note: str) -> None:
        """Show that a sample was asked for, until it begins."""
        record = SampleRecord(FIRST_PENDING + len(self._pending), request.id, self._step, request.prompt or "")
        self._pending[request.id] = record
        self._asked.add(request.id)
        self.log_of_samples.keep_on_top(record.key, READING)
        self.log_of_samples.take([record], {record.key: note})
        self.log_of_samples.scroll_to(y=0, animate=False)

    def forget_waiting(self) -> None:
        """Wait no longer for samples that have not begun."""
        for record in self._pending.values():
            self.log_of_samples.discard(record.key)
        self._pending.clear()

    @on(PromptBar.Submitted)
    def _ask(self, event: PromptBar.Submitted) -> None:
        event.stop()
        self.post_message(self.Asked(Sample(id=new_id(), prompt=event.prompt, **event.values)))
