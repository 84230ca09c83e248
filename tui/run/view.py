"""One run on the screen: its curves, its samples or pictures, its progress, and the keys that steer it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.events import Resize
from textual.message import Message

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.requests import Request
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import Status
from torchtty.tui.run import actions
from torchtty.tui.run.bindings import BINDINGS
from torchtty.tui.run.body import RunBody
from torchtty.tui.run.follower import News
from torchtty.tui.run.headline import NO_RUN, Headline, headline, opening
from torchtty.tui.run.notice import Notice
from torchtty.tui.run.polling import Polling
from torchtty.tui.run.progress import ProgressLine
from torchtty.tui.run.prompt import PromptBar
from torchtty.tui.run.resume_dialog import MAX_STEPS, ResumeDialog
from torchtty.tui.run.sample_file import write_samples
from torchtty.tui.run.sample_lines import plain_text
from torchtty.tui.run.samples import SamplesPanel

if TYPE_CHECKING:
    from torchtty.tui.images.panel import ImagePanel

WIDE = 140  # cells from which curves and samples stand side by side
SHORT, TINY = 16, 9  # rows below which parts give way to the curve


class RunView(Vertical):
    """Follows a run and shows it. Mounted once; `show` attaches it to another run or to none."""

    DEFAULT_CSS = """
    RunView { height: 1fr; width: 1fr; }
    RunView.-wide RunBody { layout: horizontal; }
    RunView.-wide Curves { height: 1fr; width: 3fr; margin-right: 3; }
    RunView.-wide SamplesPanel { height: 1fr; width: 2fr; min-width: 66; }
    RunView.-wide Pictures { height: 1fr; width: 2fr; min-width: 58; }
    RunView.-short #field-row, RunView.-short #samples-title { display: none; }
    RunView.-tiny SamplesPanel, RunView.-tiny Pictures, RunView.-tiny #tabs { display: none; }
    """
    BINDINGS = BINDINGS

    @dataclass
    class StatusChanged(Message):
        """The run's status is another."""

        status: Status | None

    @dataclass
    class NeedsWorker(Message):
        """Samples wait in the inbox of a run that no process looks after: serve it."""

        run: RunDirectory

    @dataclass
    class ResumeRequested(Message):
        """A run that is over shall go on, with `edits` of its settings."""

        run: RunDirectory
        edits: dict[str, Any]

    class _Arrived(Message, bubble=False):
        """The polling thread has news."""

        def __init__(self, polling: Polling) -> None:
            super().__init__()
            self.polling = polling

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, RunView._Arrived) and message.polling is self.polling

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.run: RunDirectory | None = None
        self.snapshot: RunSnapshot | None = None
        self._polling: Polling | None = None
        self._pending = ""  # what was asked of the run and has not happened yet
        self._worker_call = actions.WorkerCall()

    def compose(self) -> ComposeResult:
        yield Headline(id="run-headline")
        yield RunBody(id="run-body")
        yield Notice(id="run-notice")
        yield ProgressLine(id="run-progress")

    def on_mount(self) -> None:
        self._follow(self.run)

    def on_unmount(self) -> None:
        if self._polling:
            self._polling.stop()

    def on_resize(self, event: Resize) -> None:
        """Lay out for the room there is."""
        self.set_class(event.size.width >= WIDE, "-wide")
        self.set_class(event.size.height < SHORT, "-short")
        self.set_class(event.size.height < TINY, "-tiny")

    @property
    def _body(self) -> RunBody:
        return self.query_one(RunBody)

    # -- attaching and following --------------------------------------------------------------------------------------------------

    def show(self, run: RunDirectory | None) -> None:
        """Attach to a run, or show what will appear (None)."""
        if self.is_mounted and run is not None and run == self.run:
            self.look_closely()
            return
        self.run = run
        if self.is_mounted:
            self._follow(run)

    def look_closely(self) -> None:
        """Expect something to happen soon: a command was sent or a worker was handed the run."""
        if self._polling:
            self._polling.pay_attention()

    def _follow(self, run: RunDirectory | None) -> None:
        if self._polling:
            self._polling.stop()
        self._polling = Polling(run, self._tell_of) if run else None
        self.snapshot = None
        self._pending = ""
        self._worker_call = actions.WorkerCall()
        self._body.attach(run, self._polling.follower if self._polling else None)
        self.query_one(ProgressLine).show(None)
        self.query_one(Notice).clear()
        self.query_one(Headline).show(opening(run.name) if run else NO_RUN)
        if self._polling:
            self._polling.start()
        else:
            self.post_message(self.StatusChanged(None))

    def _tell_of(self, polling: Polling) -> None:
        self.post_message(self._Arrived(polling))

    def on_run_view__arrived(self, event: _Arrived) -> None:
        """Take over what the thread has read; what came from a run that was left meanwhile is dropped."""
        if event.polling is not self._polling:
            return
        news = event.polling.follower.take()
        if news:
            self._take(news)

    def _take(self, news: News) -> None:
        notice = self.query_one(Notice)
        if news.snapshot:
            notice.take_problem(news.snapshot.problem)
            self._take_snapshot(news.snapshot)
        if news.facts:
            notice.take_facts(news.facts)
        self._body.take(news)
        if news.samples and self._body.draws_pictures and (failed := news.samples[-1].failed):
            self.tell(failed)

    @property
    def status(self) -> Status | None:
        """The run's status; None of no run."""
        return self.snapshot.status if self.snapshot else None

    def _take_snapshot(self, snapshot: RunSnapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        if before is None or before.state is not snapshot.state:
            self._pending = ""
        if before is None or any(before.offers(action) != snapshot.offers(action) for action in Action):
            self.refresh_bindings()
        if snapshot.is_served:
            self._worker_call.answered()
        self.query_one(ProgressLine).show(snapshot)
        self.query_one(Notice).take_status(snapshot.status, resumable=snapshot.can_resume)
        self._headline()
        self.post_message(self.StatusChanged(snapshot.status))

    def _headline(self) -> None:
        if self.snapshot:
            self.query_one(Headline).show(headline(self.snapshot, self._pending))

    def tell(self, text: str) -> None:
        """Say something about the run, until its state changes."""
        self.query_one(Notice).tell(text)

    # -- steering -----------------------------------------------------------------------------------------------------------------

    def _send(self, request: Request, pending: str = "") -> bool:
        assert self.run is not None
        try:
            self.run.send(request)
        except UserError as error:
            self.tell(str(error))
            return False
        self._expect(pending)
        return True

    def _expect(self, pending: str) -> None:
        """Say in the headline what is about to happen, and look closely until it does."""
        self._pending = pending
        self._headline()
        self.look_closely()

    def _do(self, step: actions.Step) -> None:
        if step.request is not None and not self._send(step.request, step.pending):
            return
        if step.sentence:
            self.tell(step.sentence)

    def pause_or_continue(self) -> None:
        """Pause a run that trains; let one that is paused go on."""
        if self.snapshot is not None:
            self._do(actions.pause_or_continue(self.snapshot))

    def stop_run(self) -> None:
        """Stop the run; it keeps a checkpoint."""
        if self.snapshot is not None:
            self._do(actions.stop(self.snapshot))

    @property
    def can_resume(self) -> bool:
        """Whether the run is over and could go on."""
        return self.snapshot is not None and self.snapshot.can_resume

    def resume_run(self) -> None:
        """Ask up to which step, then ask the host for a worker that goes on."""
        snapshot = self.snapshot
        if snapshot is None or snapshot.configuration is None or not snapshot.can_resume:
            if snapshot is not None and not snapshot.is_live:
                self.tell(snapshot.refusal(Action.RESUME))
            return
        run, steps = snapshot.run, snapshot.status.max_steps

        def resume(answer: int | None) -> None:
            if answer is not None and run == self.run:
                self.post_message(self.ResumeRequested(run, {} if answer == steps else {MAX_STEPS: answer}))
                self._expect("resuming …")

        self.app.push_screen(ResumeDialog(run.name, snapshot.configuration, snapshot.status), resume)

    # -- samples and pictures -----------------------------------------------------------------------------------------------------

    def focus_prompt(self) -> None:
        """Go to the prompt; a run that draws pictures has none, and draws a grid of fresh noise."""
        self._body.focus_prompt()

    @on(SamplesPanel.Asked)
    def _ask(self, event: SamplesPanel.Asked) -> None:
        event.stop()
        if not self._can_ask():
            return
        if self._body.samples.is_drawing:
            self._send(requests.Cancel())
        if note := self._put(event.request):
            self._body.samples.wait_for(event.request, note)

    def on_image_panel_asked(self, event: "ImagePanel.Asked") -> None:
        """Ask for a grid of fresh noise."""
        event.stop()
        if self._can_ask() and (note := self._put(event.request)):
            self.tell(f"A grid of fresh noise: {note}")

    def _can_ask(self) -> bool:
        """Whether there is a model to ask, or will be; else say why not."""
        if self.snapshot is None:
            why = "There is no model to ask yet: start a run first."
        else:
            why = self.snapshot.refusal(Action.SAMPLE)
        if why:
            self.tell(why)
        return not why

    def _put(self, request: requests.Sample) -> str:
        """Send a request for a sample, and see to a worker; return what it waits for, nothing if it was not sent."""
        assert self.snapshot is not None
        if not self._send(request):
            return ""
        if self._worker_call.is_due(self.snapshot):
            self.post_message(self.NeedsWorker(self.snapshot.run))
        return self.snapshot.waits_for()

    def action_copy(self) -> None:
        """Copy the latest sample to the clipboard of the terminal (OSC 52)."""
        if latest := self._body.samples.log_of_samples.latest:
            self.app.copy_to_clipboard(plain_text(latest))
            self.tell(f"Copied the sample of step {latest.step:,}.")

    def action_write(self) -> None:
        """Write all samples into a file in the run's folder."""
        if self.run is not None and (told := write_samples(self.run, self._body.samples.log_of_samples.records)):
            self.tell(told)

    def action_cancel(self) -> None:
        """Break off the sample that is being drawn, or else leave the prompt."""
        if self._body.samples.is_sampling:
            self._send(requests.Cancel())
            self._body.samples.forget_waiting()
        else:
            self._body.samples.log_of_samples.focus()

    # -- charts -------------------------------------------------------------------------------------------------------------------

    def focus_curves(self) -> None:
        """Go to the chart in view."""
        self._body.focus_curves()

    def action_next_chart(self) -> None:
        """Show the next chart."""
        self._body.show_next_chart()

    def on_run_body_curves_wanted(self, event: RunBody.CurvesWanted) -> None:
        """Have the new curves read."""
        event.stop()
        self.look_closely()

    # -- keys ---------------------------------------------------------------------------------------------------------------------

    action_pause = action_continue = pause_or_continue
    action_stop = stop_run
    action_resume = resume_run
    action_prompt = focus_prompt

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer what the run's state lets one do; let escape through where there is nothing to break off or to leave."""
        if action in ("pause", "continue", "stop", "resume"):
            return self.snapshot is not None and self.snapshot.offers(Action(action))
        if action == "cancel":
            try:
                return self._body.samples.is_sampling or self.query_one(PromptBar).has_focus_within
            except NoMatches:
                return False
        return True
