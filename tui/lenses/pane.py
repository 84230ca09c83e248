"""A run's lenses in one place: tabs, the chosen lens's options, its result, and what it costs; alive while the run trains."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from rich.console import RenderableType
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from torchtty.engine.contract.lenses import LENSES, STEP, LensEntry
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.requests import Lens
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.charts.figure import FigureView
from torchtty.tui.format import count, fine_duration
from torchtty.tui.lenses.asking import LensResult, Report, ask, cancel
from torchtty.tui.lenses.options import Changed, OptionsLine
from torchtty.tui.lenses.tabs import LensTabs
from torchtty.tui.lenses.view import Suggestion, View, rendered

LEAST_BODY, BODY_SHARE = (
    3,
    0.4,
)  # lines below a figure in a short pane; of the room for both in another one, if it is filled
SHORT = 22  # rows below which the sentence on how to read the result stands at the end of what scrolls
TICK = 0.25  # seconds between two looks whether a lens is to be computed anew
LEAST_INTERVAL = 1.0  # seconds between two computations of a lens while the model trains
SHARE = 1 / 20  # of the worker's time that a lens may take while the model trains

NOT_LOADED = "The model is not in memory: {key} loads its latest checkpoint and computes the lens."


class LensPane(Vertical):
    """Shows one lens of one run at a time. While the run trains the result is computed anew as the model moves.

    It is asked for at most once a second, and the less often the longer it takes, so that training loses a twentieth at most.
    """

    DEFAULT_CSS = """
    LensPane { width: 1fr; height: 1fr; }
    LensPane #lens-heading { height: auto; }
    LensPane #lens-figure { height: 1fr; display: none; }
    LensPane #lens-scroll { height: 1fr; scrollbar-size-vertical: 1; & Static { height: auto; } }
    LensPane.-figure #lens-figure { display: block; height: 2fr; }  /* until `_divide` knows what it takes */
    LensPane.-figure.-no-body #lens-scroll { display: none; }
    LensPane .lens-reading { height: auto; color: $foreground 60%; }
    LensPane.-short #lens-reading { display: none; }
    LensPane #lens-reading-below { display: none; }
    LensPane.-short #lens-reading-below { display: block; }
    LensPane #lens-state { height: auto; max-height: 3; }
    """
    BINDING_GROUP_TITLE = "Lens"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "compute", "compute", id="lens.compute", tooltip="Compute the lens for the model as it is now"
        ),
        Binding(
            "left_square_bracket", "step(-1)", "lens before", show=False, id="lens.previous", tooltip="The lens before"
        ),
        Binding("right_square_bracket", "step(1)", "next lens", id="lens.next", tooltip="Show the next lens"),
        Binding("u", "use", "use it", id="lens.use", tooltip="Put the value that the lens suggests into the form"),
        Binding("escape", "cancel", "cancel", id="lens.cancel", tooltip="Cancel what is being computed"),
    ]

    @dataclass
    class NeedsWorker(Message):
        """A lens is asked of a run that no process serves."""

        run: RunDirectory

    @dataclass
    class Shown(Message):
        """Another lens is shown, or a new result of it."""

        lens: LensEntry
        result: LensResult | None

    @dataclass
    class SuggestionTaken(Message):
        """What a lens suggests is to be put into the form, for a run like this one."""

        run: RunSnapshot
        suggestion: Suggestion

    @dataclass
    class _Reported(Message, bubble=False):
        report: Report

    def __init__(self, *, computes_with: str = "enter", id: str | None = None) -> None:
        """Make a pane. `computes_with` names the key that computes a lens."""
        super().__init__(id=id)
        self._key = computes_with
        self.run: RunDirectory | None = None
        self.snapshot: RunSnapshot | None = None
        self.lens: LensEntry = next(iter(LENSES.values()))
        self.request: Lens | None = None  # what is being computed
        self._options: dict[str, dict[str, Any]] = {}  # by lens; of all runs, as a person set them
        self._results: dict[str, LensResult] = {}  # by lens
        self._checkpoints: tuple[int, ...] = ()
        self._next_at = 0.0  # when the lens may be computed anew
        self._in_training = False  # whether the run trained when the lens was asked for, and has moved on since
        self._looking = False  # whether a thread looks if the model has moved
        self._shown_options: tuple[str, ...] = ()
        self._suggestion: Suggestion | None = None
        self._view: View | None = None  # of the result that is shown
        self._divided: tuple[object, ...] = ()  # for what the room is divided between figure and body
        self._state = Content("")  # what is being done, or why not
        self._at: float | None = None  # the step at which the cursor of the chart beside it stands

    def compose(self) -> ComposeResult:
        yield LensTabs()
        yield OptionsLine()
        yield Static(id="lens-heading")
        yield FigureView(id="lens-figure")
        with VerticalScroll(id="lens-scroll"):
            yield Static(id="lens-body")
            yield Static(id="lens-reading-below", classes="lens-reading")
        yield Static(id="lens-reading", classes="lens-reading")
        yield Static(id="lens-state")

    def on_mount(self) -> None:
        self.set_interval(TICK, self._tick)
        self._show()

    @property
    def figure(self) -> FigureView:
        return self.query_one(FigureView)

    @property
    def result(self) -> LensResult | None:
        """The latest result of the chosen lens."""
        return self._results.get(self.lens.name)

    @property
    def offered(self) -> tuple[LensEntry, ...]:
        """The lenses that look into the run's model; all of them while no run is known."""
        return (self.snapshot.lenses if self.snapshot is not None else ()) or tuple(LENSES.values())

    # -- which run, which lens ------------------------------------------------------------------------------------

    def look_into(self, snapshot: RunSnapshot | None, first: str = "") -> None:
        """Look into a run, at first with the lens called `first`; or at what has become of the one that is looked into."""
        run = snapshot.run if snapshot is not None else None
        is_new = run != self.run
        was_live = self.snapshot is not None and self.snapshot.is_live
        self.snapshot = snapshot
        self._checkpoints = snapshot.checkpoints if snapshot is not None else ()
        if is_new:
            self._cancel()
            self.run = run
            self._results.clear()
            self.figure.forget_cursor()
        names = [lens.name for lens in self.offered]
        if is_new and first in names:
            self.lens = LENSES[first]
        elif self.lens.name not in names and names:
            self.lens = LENSES[names[0]]
        self._show()
        if is_new or self.result is None:  # a run that was queued may have begun
            self._begin()
        elif was_live and self.request is None:
            self._show_cost()  # how often it is computed, too

    def choose(self, lens: LensEntry) -> None:
        """Show another lens."""
        if lens == self.lens:
            return
        self._cancel()
        self.lens = lens
        self.figure.forget_cursor()
        self._show()
        self._begin()

    def _begin(self) -> None:
        """Compute the chosen lens if that is to be had without loading a model; else say what would."""
        snapshot = self.snapshot
        if snapshot is None or self.request is not None:
            return
        if refusal := snapshot.lens_refusal(self.lens):
            self.show_state(refusal)
        elif self.result is not None:
            self._show_cost()
        elif snapshot.is_served:
            self.action_compute()
        else:
            self.show_state(NOT_LOADED.format(key=self._key))

    @on(LensTabs.Chosen)
    def _tab_chosen(self, event: LensTabs.Chosen) -> None:
        event.stop()
        self.choose(event.lens)

    def action_step(self, by: int) -> None:
        """Show the next lens, or the one before."""
        offered = self.offered
        at = offered.index(self.lens) if self.lens in offered else 0
        self.choose(offered[(at + by) % len(offered)])

    # -- computing ------------------------------------------------------------------------------------------------

    def action_compute(self) -> None:
        """Ask the run's worker for the chosen lens."""
        if self.run is None or self.request is not None:
            return
        self.show_state("Asking …")
        self._send(live=False)

    def _send(self, *, live: bool) -> None:
        assert self.run is not None
        values = {name: value for name, value in self._values.items() if value is not None}
        self.request = Lens(name=self.lens.name, options=values, live=live)
        self._in_training = self.snapshot is not None and self.snapshot.is_live
        self._ask(self.run, self.request)
        self.refresh_bindings()

    @property
    def _values(self) -> dict[str, Any]:
        return self._options.get(self.lens.name, {})

    @work(thread=True, group="ask")
    def _ask(self, run: RunDirectory, request: Lens) -> None:
        def report(found: Report) -> None:
            self.post_message(self._Reported(found))

        ask(run, request, lambda: self.request == request and self.is_running, report)

    def action_cancel(self) -> None:
        self._cancel()
        self.show_state("Cancelled.")

    def _cancel(self) -> None:
        request, self.request = self.request, None
        if request is not None and self.run is not None:
            self.run_worker(partial(cancel, self.run, request), thread=True, group="cancel")
        self.refresh_bindings()

    @on(_Reported)
    def _take_report(self, event: _Reported) -> None:
        report = event.report
        if report.needs_worker:
            self.post_message(self.NeedsWorker(report.run))
        if report.result is not None and report.run == self.run:
            self._results[report.request.name] = report.result
        if report.request != self.request:
            return
        if report.ended:
            self.request = None
            seconds = report.result.seconds if report.result is not None else 10 * LEAST_INTERVAL * SHARE
            self._next_at = time.monotonic() + max(LEAST_INTERVAL, seconds / SHARE)
            self.refresh_bindings()
        if report.text or not report.request.live:
            self.show_state(report.text, wrong=report.wrong)
        if report.result is not None:
            self._show()
            self._show_cost()

    # -- while it trains ------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Look whether the model has moved, where its lens is to be seen."""
        self._divide()  # what stands around a figure may have another height by now
        result = self.result
        due = result is not None and self.request is None and not self._looking and time.monotonic() >= self._next_at
        if due and self.lens.live and self._values.get(STEP.name) is None and self._is_seen:
            self._looking = True
            self._look_for_steps(result)

    @property
    def _is_seen(self) -> bool:
        return self.is_attached and self.screen.is_current and bool(self.size) and self.is_on_screen

    @work(thread=True, group="look")
    def _look_for_steps(self, result: LensResult) -> None:
        status = result.run.status()
        can_move = status.state is RunState.RUNNING or (self._in_training and status.serving)
        self.app.call_from_thread(self._looked, result, can_move and status.step != result.step)

    def _looked(self, result: LensResult, moved: bool) -> None:
        self._looking = False
        if moved and self.request is None and result is self.result:
            self._send(live=True)

    # -- showing --------------------------------------------------------------------------------------------------

    def show_state(self, text: str, *, wrong: bool = False) -> None:
        """Say what is being done, or why not."""
        state = self.query_one("#lens-state", Static)
        self._state = Content.styled(printable_line(text), "$text-error" if wrong else "$text-secondary")
        state.update(self._state)
        state.display = bool(text) and self.result is not None
        if self.result is None:
            self.query_one("#lens-body", Static).update(self._state)

    def _show_cost(self) -> None:
        result = self.result
        if result is None:
            return
        at = f"checkpoint of step {count(result.value['checkpoint'])}" if "checkpoint" in result.value else ""
        took = f"{at or f'step {count(result.step)}'} · took {fine_duration(result.seconds)}"
        again = max(LEAST_INTERVAL, result.seconds / SHARE)
        live = self.lens.live and self.snapshot is not None and self.snapshot.is_live and not at
        self.show_state(f"{took} · again every {again:.0f} s while it trains" if live else took)

    def show_step(self, step: float | None) -> None:
        """Show what a result has of a step, where it has something of several: the cursor of the chart stands there."""
        if step != self._at:
            self._at = step
            self._show_result()

    def _show(self) -> None:
        """Show the latest result of the chosen lens."""
        self.query_one(LensTabs).show(self.offered, self.lens.name)
        for static in self.query(".lens-reading").results(Static):
            static.update(Content(self.lens.reading))
        self.call_later(self._show_options)
        self._show_result()
        self.post_message(self.Shown(self.lens, self.result))

    def on_resize(self) -> None:
        self.set_class(self.size.height < SHORT, "-short")
        self._divided = ()
        self._show_result()

    def _show_result(self) -> None:
        heading, body = self.query_one("#lens-heading", Static), self.query_one("#lens-body", Static)
        result = self.result
        self._suggestion, self._view = None, None
        if result is None:
            heading.update("")
            body.update(self._state)  # in sight, where the result will stand
            body.display = True
            self.figure.show(None)
            self.remove_class("-figure", "-no-body")
        elif width := self.content_size.width:  # none before the first layout
            at = {} if self._at is None else {"at": self._at}
            view = rendered(self.lens, result.value | at, width - 1)  # beside the scrollbar
            heading.update(view.heading)
            body.update(view.body)
            body.display = view.body != ""
            self.set_class(view.figure is not None, "-figure")
            self.set_class(view.body == "" and not self.has_class("-short"), "-no-body")
            self.figure.show(view.figure)
            self._suggestion, self._view = view.suggestion, view
            self.call_after_refresh(self._divide)
        self.refresh_bindings()

    def _divide(self) -> None:
        """Give the figure the lines it fills, and the body the others; while the same lens moves on they stay as they are."""
        view = self._view
        if view is None or view.figure is None or not self.figure.size.width:
            return
        others = [self.query_one(LensTabs), self.query_one(OptionsLine), *self.query("#lens-reading, #lens-state")]
        taken = sum(other.outer_size.height for other in others if other.display)
        about = (self.lens.name, self.size, taken, tuple(self._values.items()))
        if about == self._divided:
            return
        self._divided = about
        is_short = self.has_class("-short")
        room = self.size.height - taken - self._lines(view.heading)
        body = (self._lines(view.body) if view.body else 0) + (self._lines(self.lens.reading) if is_short else 0)
        least = min(body, LEAST_BODY if is_short else round(room * BODY_SHARE))
        filled = self.figure.wanted(max(1, room - least))
        self.figure.styles.height = filled if body and filled < room else None

    def _lines(self, shown: RenderableType) -> int:
        """Return how many lines something takes in the width there is."""
        options = self.app.console.options.update(width=max(1, self.size.width - 1), height=None)
        return len(self.app.console.render_lines(shown, options, pad=False))

    # -- options --------------------------------------------------------------------------------------------------

    async def _show_options(self) -> None:
        offered: dict[str, Any] = dict(self.result.value.get("choices", {})) if self.result is not None else {}
        if any(spec.name == STEP.name for spec in self.lens.options):
            offered[STEP.name] = (None, *self._checkpoints)
        line = self.query_one(OptionsLine)
        values = self._taken(offered) | self._values
        if self._shown_options != (self.lens.name,) or not line.offer(values, offered):
            had_focus = line.has_focus_within and isinstance(self.screen.focused, Input)
            if had_focus and self._shown_options == (self.lens.name,):
                return  # nothing is taken away from under who types
            self._shown_options = (self.lens.name,)
            await line.show(self.lens, values, offered)

    def _taken(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the lens took, as its result says, for options whose values depend on the model and were left to it."""
        result = self.result.value if self.result is not None else {}
        return {name: result[name] for name in offered if isinstance(result.get(name), str)}

    @on(Changed)
    def _option_changed(self, event: Changed) -> None:
        event.stop()
        self.set_option(event.name, event.value)

    def set_option(self, name: str, value: Any) -> None:
        """Give an option of the chosen lens a value, and compute it anew where a process has the model."""
        self._options.setdefault(self.lens.name, {})[name] = value
        self._cancel()
        if self.snapshot is not None and (self.snapshot.is_served or self.result is not None):
            self.action_compute()

    @property
    def options(self) -> Mapping[str, Any]:
        """The options that a person has set for the chosen lens."""
        return self._values

    def action_use(self) -> None:
        """Put what the lens suggests into the form."""
        if self._suggestion is not None and self.snapshot is not None:
            self.post_message(self.SuggestionTaken(self.snapshot, self._suggestion))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action == "use":
            return self._suggestion is not None
        if action == "cancel":
            return self.request is not None and not self.request.live
        return action != "compute" or (self.run is not None and self.request is None)
