"""The Lenses screen: the lenses on the left, and on the right what the chosen one shows of a run's model."""

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES, LensEntry, lens_named
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.events import Answered, Cancelled, Failed, Progress
from torchtty.engine.contract.run.log import RunLog, is_about, result_of
from torchtty.engine.contract.run.requests import Cancel, Lens
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.lenses.view import rendered
from torchtty.tui.run.view import RunView
from torchtty.tui.shell.header import Header
from torchtty.tui.shell.key_bar import KeyBar

INTERVAL = 0.1  # seconds between two looks for an answer
PATIENCE = 120.0  # seconds for a worker to load the model
GRACE = 2.0  # seconds for an answer to arrive after the worker has ended

ANEW = "Compute the lens for the model as it is now"
GONE = "The process that had the model ended before it answered. See worker.log in the run's folder."
NO_RUN = "There is no run yet. Train one first: lenses look into its model, also while it trains."


@dataclass(frozen=True)
class _Result:
    """What a lens found in a run at a step."""

    run: RunDirectory
    lens: LensEntry
    step: int
    value: dict[str, Any]


class ResultView(Vertical):
    """A result in the form that its lens gives it, rendered anew for every width."""

    DEFAULT_CSS = """
    ResultView { width: 1fr; height: 1fr; }
    ResultView #lenses-heading { height: auto; }
    ResultView VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; & Static { height: auto; } }
    """

    def __init__(self) -> None:
        super().__init__()
        self._result: _Result | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="lenses-heading")
        with VerticalScroll():
            yield Static(id="lenses-body")

    def show(self, result: _Result | None) -> None:
        self._result = result
        self.on_resize()

    def on_resize(self) -> None:
        heading, body = self.query_one("#lenses-heading", Static), self.query_one("#lenses-body", Static)
        if self._result is None:
            heading.update("")
            body.update("")
        elif width := self.content_size.width:  # none before the first layout
            view = rendered(self._result.lens, self._result.value, width - 1)  # beside the scrollbar
            heading.update(view.heading)
            body.update(view.body)


class LensesScreen(Screen[None]):
    """Computes lenses for the run that is shown in the Train mode, or else for the latest one."""

    HELP = "Views into a model. The result is that of the run on Train, also while it trains; r computes it anew."
    DEFAULT_CSS = """
    LensesScreen #lenses { height: 1fr; }
    LensesScreen #lenses-choice { width: 28; height: 1fr; padding: 0 1; border-right: vkey $foreground 15%; }
    LensesScreen #lenses-list { height: auto; max-height: 50%; border: none; padding: 0; background: $background; }
    LensesScreen #lenses-reading { height: auto; margin-top: 1; color: $foreground 75%; }
    LensesScreen #lenses-result { width: 1fr; height: 1fr; padding: 0 1; }
    LensesScreen #lenses-run { height: 1; color: $text-accent; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
    LensesScreen #lenses-state { height: auto; color: $text-secondary; &.-wrong { color: $text-error; } }
    LensesScreen.-narrow #lenses { layout: vertical; }
    LensesScreen.-narrow #lenses-choice { width: 1fr; height: auto; max-height: 40%; border: none; }
    LensesScreen.-narrow #lenses-list { max-height: 4; }
    LensesScreen.-narrow #lenses-reading { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "compute", "compute anew", id="lenses.compute", tooltip=ANEW),
        Binding("escape", "cancel", "cancel", id="lenses.cancel", tooltip="Cancel what is being computed"),
    ]

    @dataclass
    class RunWanted(Message):
        """The screen is shown and wants to know the run on Train; it is given to `look_into`."""

        by: "LensesScreen"

    @dataclass
    class _Reported(Message, bubble=False):
        """What has become of a request."""

        request: Lens
        run: RunDirectory
        text: str = ""
        wrong: bool = False
        ended: bool = False
        result: _Result | None = None

    def __init__(self) -> None:
        super().__init__()
        self.run: RunDirectory | None = None
        self._request: Lens | None = None  # what is being computed
        self._results: dict[tuple[RunDirectory, str], _Result] = {}

    def compose(self) -> ComposeResult:
        yield Header("lenses")
        with Horizontal(id="lenses"):
            with Vertical(id="lenses-choice"):
                yield OptionList(*(Option(lens.title, id=lens.name) for lens in LENSES.values()), id="lenses-list")
                yield Static(id="lenses-reading")
            with Vertical(id="lenses-result"):
                yield Static(id="lenses-run")
                yield ResultView()
                yield Static(id="lenses-state")
        yield KeyBar()

    def on_mount(self) -> None:
        chosen = self.query_one(OptionList)
        chosen.highlighted = 0
        chosen.focus()

    def on_screen_resume(self) -> None:
        self.post_message(self.RunWanted(self))

    @property
    def lens(self) -> LensEntry:
        """The chosen lens."""
        option = self.query_one(OptionList).highlighted_option
        assert option is not None
        return lens_named(str(option.id))

    # -- which run, which lens ------------------------------------------------------------------------------------

    @work(thread=True, group="find", exclusive=True)
    def look_into(self, run: RunDirectory | None) -> None:
        """Show the lenses of a run, or of the latest one."""
        if run is None:
            run = next(iter(list_runs()), None)
        self.app.call_from_thread(self._found, RunSnapshot.of(run) if run is not None else None)

    def _found(self, snapshot: RunSnapshot | None) -> None:
        run = snapshot.run if snapshot is not None else None
        if run != self.run:
            self._cancel()
            self.run = run
        self._show()
        if snapshot is None:
            self._show_state(NO_RUN)
        elif self._request is None and (snapshot.run, self.lens.name) not in self._results:
            if refusal := snapshot.refusal(Action.LENS):
                self._show_state(refusal)
            elif snapshot.is_served:
                self.action_compute()
            else:
                self._show_state("The model is not in memory: r loads its latest checkpoint and computes the lens.")
        self.refresh_bindings()

    @on(OptionList.OptionHighlighted)
    def _lens_changed(self) -> None:
        self.query_one("#lenses-reading", Static).update(Content(self.lens.reading))
        if self.run is not None:
            self._cancel()
            self._show_state("" if (self.run, self.lens.name) in self._results else "Enter or r computes the lens.")
        self._show()

    # -- computing ------------------------------------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def action_compute(self) -> None:
        """Ask the run's worker for the chosen lens."""
        if self.run is None or self._request is not None:
            return
        self._request = Lens(name=self.lens.name)
        self._show_state("Asking …")
        self._ask(self.run, self._request)
        self.refresh_bindings()

    def action_cancel(self) -> None:
        self._cancel()
        self._show_state("Cancelled.")

    def _cancel(self) -> None:
        request, self._request = self._request, None
        if request is not None and self.run is not None:
            self._send(self.run, Cancel(request=request.id))
        self.refresh_bindings()

    @work(thread=True, group="cancel")
    def _send(self, run: RunDirectory, cancel: Cancel) -> None:
        with suppress(UserError):  # a run that is gone has nothing to cancel
            run.send(cancel)

    @work(thread=True, group="ask")
    def _ask(self, run: RunDirectory, request: Lens) -> None:
        """Send a request and report what becomes of it until it has ended. Runs in a thread."""
        report = partial(self._Reported, request, run)
        try:
            log = RunLog(run, with_metrics=False)
            log.read()
            snapshot = RunSnapshot.from_log(log, run.status())
            if refusal := snapshot.refusal(Action.LENS):
                raise UserError(refusal)
            run.send(request)
            if not snapshot.is_served:
                self.post_message(RunView.NeedsWorker(run))
                self.post_message(report("Loading the model …"))
            elif snapshot.state is RunState.STARTING:
                self.post_message(report("Waiting until the run has begun …"))
            self._follow(log, request, report)
        except UserError as error:
            self.post_message(report(str(error), wrong=True, ended=True))

    def _follow(self, log: RunLog, request: Lens, report: "partial[LensesScreen._Reported]") -> None:
        worker, run = get_current_worker(), log.run
        silent_since, was_served = time.monotonic(), False
        while not worker.is_cancelled and self._request == request:
            for event in log.read().events:
                if not is_about(event, request.id):
                    continue
                match event:
                    case Progress(done=done, total=total) if done is not None and total:
                        self.post_message(report(f"Computing … {done:.0f} of {total:.0f}"))
                    case Failed():
                        raise UserError(event.message)
                    case Cancelled():
                        self.post_message(report("Cancelled.", ended=True))
                        return
                    case Answered():
                        if (value := result_of(run, event)) is None:
                            raise UserError("The result is gone: its file is no longer in the run's folder.")
                        result = _Result(run, lens_named(request.name), event.step, value)
                        self.post_message(report(ended=True, result=result))
                        return
            snapshot = run.status()
            if snapshot.serving or snapshot.state.is_live:
                silent_since, was_served = time.monotonic(), True
            if time.monotonic() - silent_since > (GRACE if was_served else PATIENCE):
                raise UserError(GONE)
            time.sleep(INTERVAL)

    @on(_Reported)
    def _take_report(self, event: _Reported) -> None:
        if event.result is not None:
            self._results[event.run, event.request.name] = event.result
        if event.request != self._request:
            return
        if event.ended:
            self._request = None
            self.refresh_bindings()
        self._show_state(event.text, wrong=event.wrong)
        if event.result is not None:
            self._show()

    # -- showing --------------------------------------------------------------------------------------------------

    def _show_state(self, text: str, *, wrong: bool = False) -> None:
        state = self.query_one("#lenses-state", Static)
        state.update(Content(printable_line(text)))
        state.set_class(wrong, "-wrong")
        state.display = bool(text)

    def _show(self) -> None:
        """Show the latest result of the chosen lens."""
        result = self._results.get((self.run, self.lens.name)) if self.run else None
        name = printable_line(self.run.name) if self.run else ""
        self.query_one("#lenses-run", Static).update(Content(f"{name} · step {result.step:,}" if result else name))
        self.query_one(ResultView).show(result)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action == "cancel":
            return self._request is not None
        return action != "compute" or (self.run is not None and self._request is None)
