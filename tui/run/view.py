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
from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.requests import Command
from torchtty.engine.contract.run.status import Status
from torchtty.engine.contract.settings.configuration import Configuration
from torchtty.tui.run import asking, steering
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
        self.status: Status | None = None
        self._polling: Polling | None = None
        self._configuration: Configuration | None = None
        self._asked = ""  # what was asked of the run and has not happened yet
        self._worker_call = asking.WorkerCall()

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
        self.status, self._configuration = None, None
        self._asked = ""
        self._worker_call = asking.WorkerCall()
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
        if news.configuration:
            self._configuration = news.configuration
        if news.problem:
            notice.take_problem(news.problem)
        if news.status:
            self._take_status(news.status)
        if news.facts:
            notice.take_facts(news.facts)
        self._body.take(news)
        if news.samples and self._body.draws_pictures and (failed := news.samples[-1].failed):
            self.tell(failed)

    def _take_status(self, status: Status) -> None:
        before, self.status = self.status, status
        if before is None or before.state is not status.state:
            self._asked = ""
            self.refresh_bindings()
        if asking.is_served(status):
            self._worker_call.answered()
        self.query_one(ProgressLine).show(status)
        self.query_one(Notice).take_status(status, resumable=self.can_resume)
        self._headline()
        self.post_message(self.StatusChanged(status))

    def _headline(self) -> None:
        if self.run and self.status:
            self.query_one(Headline).show(headline(self.run.name, self.status, self._configuration, self._asked))

    def tell(self, text: str) -> None:
        """Say something about the run, until its state changes."""
        self.query_one(Notice).tell(text)

    # -- steering -----------------------------------------------------------------------------------------------------------------

    def _send(self, command: Command, asked: str = "") -> bool:
        assert self.run is not None
        try:
            self.run.send(command)
        except UserError as error:
            self.tell(str(error))
            return False
        self._expect(asked)
        return True

    def _expect(self, asked: str) -> None:
        """Say in the headline what is about to happen, and look closely until it does."""
        self._asked = asked
        self._headline()
        self.look_closely()

    def _answer(self, answer: steering.Answer) -> None:
        if answer.command is not None and not self._send(answer.command, answer.asked):
            return
        if answer.sentence:
            self.tell(answer.sentence)

    def pause_or_resume(self) -> None:
        """Pause a run that trains; let one that is paused go on."""
        self._answer(steering.pause_or_go_on(self.status, resumable=self.can_resume))

    def stop_run(self) -> None:
        """Stop the run; it keeps a checkpoint."""
        self._answer(steering.stop(self.status))

    @property
    def can_resume(self) -> bool:
        """Whether the run is over and could go on."""
        return steering.is_resumable(self.run, self.status, self._configuration)

    def resume_run(self) -> None:
        """Ask up to which step, then ask the host for a worker that goes on."""
        if not self.can_resume:
            if why := steering.why_not_resumable(self.status, self._configuration):
                self.tell(why)
            return
        assert self.run is not None and self.status is not None and self._configuration is not None  # noqa: PT018
        run, steps = self.run, self.status.max_steps

        def resume(answer: int | None) -> None:
            if answer is not None and run == self.run:
                self.post_message(self.ResumeRequested(run, {} if answer == steps else {MAX_STEPS: answer}))
                self._expect("resuming …")

        self.app.push_screen(ResumeDialog(run.name, self._configuration, self.status), resume)

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
            self._send(commands.CancelSample())
        if note := self._put(event.command):
            self._body.samples.wait_for(event.command, note)

    def on_image_panel_asked(self, event: "ImagePanel.Asked") -> None:
        """Ask for a grid of fresh noise."""
        event.stop()
        if self._can_ask() and (note := self._put(event.command)):
            self.tell(f"A grid of fresh noise: {note}")

    def _can_ask(self) -> bool:
        """Whether there is a model to ask, or will be; else say why not."""
        if why := asking.refusal(self.run, self.status):
            self.tell(why)
        return not why

    def _put(self, command: commands.Sample) -> str:
        """Send a command that asks for a sample, and see to a worker; return what it waits for, nothing if it was not sent."""
        if not self._send(command):
            return ""
        assert self.run is not None and self.status is not None  # noqa: PT018
        if self._worker_call.is_due(self.status):
            self.post_message(self.NeedsWorker(self.run))
        return asking.waits_for(self.status)

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
            self._send(commands.CancelSample())
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

    action_pause = action_go_on = pause_or_resume
    action_stop = stop_run
    action_resume = resume_run
    action_prompt = focus_prompt

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer what the run's state lets one do; let escape through where there is nothing to break off or to leave."""
        if action in ("pause", "go_on", "stop", "resume"):
            return steering.is_offered(action, self.status)
        if action == "cancel":
            try:
                return self._body.samples.is_sampling or self.query_one(PromptBar).has_focus_within
            except NoMatches:
                return False
        return True
