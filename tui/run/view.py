"""One run on the screen: its curves, its samples, its progress, and the keys that steer it."""

import time
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.events import Resize
from textual.message import Message
from textual.widgets import Static

from engine.contract import commands
from engine.contract.commands import Command
from engine.contract.configuration import Configuration, ImageConfiguration, with_value
from engine.contract.errors import UserError
from engine.contract.files import write_atomically
from engine.contract.printable import printable_line
from engine.contract.run_directory import RunDirectory
from engine.contract.status import RunState, Status
from tui.charts.chart import Chart
from tui.run.curves import Curves, Tab
from tui.run.follower import News
from tui.run.headline import Headline, headline
from tui.run.polling import Polling
from tui.run.progress import ProgressLine
from tui.run.prompt import PromptBar
from tui.run.record import Facts
from tui.run.resume_dialog import MAX_STEPS, ResumeDialog, can_take_steps
from tui.run.sample_lines import plain_text
from tui.run.samples import SamplesPanel
from tui.run.states import explanation

if TYPE_CHECKING:
    from tui.images.panel import ImagePanel

WIDE = 140  # cells from which curves and samples stand side by side
SHORT, TINY = 16, 9  # rows below which parts give way to the curve
WORKER_PATIENCE = 30.0  # seconds until a worker is asked for again
SAMPLES_FILE = "samples.txt"


class RunView(Vertical):
    """Follows a run and shows it. Mounted once; `show` attaches it to another run or to none."""

    DEFAULT_CSS = """
    RunView { height: 1fr; width: 1fr; }
    RunView #run-body { height: 1fr; layout: vertical; }
    RunView.-wide #run-body { layout: horizontal; }
    RunView.-wide Curves { height: 1fr; width: 3fr; margin-right: 3; }
    RunView.-wide SamplesPanel { height: 1fr; width: 2fr; min-width: 66; }
    RunView ImagePanel { display: none; }
    RunView.-pictures ImagePanel { display: block; }
    RunView.-pictures SamplesPanel, RunView.-tiny ImagePanel { display: none; }
    RunView.-wide ImagePanel { height: 1fr; width: 2fr; min-width: 58; }
    RunView.-short #field-row, RunView.-short #samples-title { display: none; }
    RunView.-tiny SamplesPanel, RunView.-tiny #tabs { display: none; }
    RunView #run-notice { height: auto; max-height: 3; color: $text-accent; display: none; }
    RunView #run-notice.-note { color: $foreground 65%; }
    RunView #run-notice.-warning { color: $text-warning; }
    RunView #run-notice.-problem { color: $text-error; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "pause", id="run.pause", tooltip="Pause the run between two steps"),
        Binding("space", "go_on", "go on", id="run.go_on", tooltip="Let the paused run go on"),
        Binding(
            "ctrl+s",
            "prompt",
            "sample",
            id="run.prompt",
            tooltip="Write a prompt and draw a sample from the model as it is now",
        ),
        Binding(
            "c",
            "next_chart",
            "chart",
            id="run.next_chart",
            tooltip="Show the next chart: loss, learning rate, gradient norm, speed",
        ),
        Binding(
            "ctrl+x", "stop", "stop", id="run.stop", tooltip="Stop the run; it keeps a checkpoint and can be resumed"
        ),
        Binding(
            "r", "resume", "resume", id="run.resume", tooltip="Resume a run that is over, with more steps if you like"
        ),
        Binding("ctrl+y", "copy", "copy", id="run.copy", show=False, tooltip="Copy the latest sample"),
        Binding(
            "w",
            "write",
            "write samples",
            id="run.write",
            show=False,
            tooltip="Write all samples into a file in the run's folder",
        ),
        Binding(
            "escape",
            "cancel",
            "break off",
            id="run.cancel",
            show=False,
            tooltip="Break off the sample that is being drawn",
        ),
    ]

    class StatusChanged(Message):
        """The run's status is another."""

        def __init__(self, status: Status | None) -> None:
            super().__init__()
            self.status = status

    class NeedsWorker(Message):
        """Samples wait in the inbox of a run that no process looks after: serve it."""

        def __init__(self, run: RunDirectory) -> None:
            super().__init__()
            self.run = run

    class ResumeRequested(Message):
        """A run that is over shall go on, with `edits` of its settings."""

        def __init__(self, run: RunDirectory, edits: dict[str, Any]) -> None:
            super().__init__()
            self.run = run
            self.edits = edits

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
        self._facts = Facts()
        self._asked = ""
        self._told = ""
        self._problem = ""  # why the configuration cannot be read
        self._worker_asked = 0.0
        self._images: ImagePanel | None = None  # mounted with the first run that draws pictures

    def compose(self) -> ComposeResult:
        yield Headline(id="run-headline")
        with Container(id="run-body"):
            yield Curves()
            yield SamplesPanel()
        yield Static(id="run-notice")
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
        self._polling = Polling(run, self._tell) if run else None
        self.status, self._configuration, self._facts = None, None, Facts()
        self._asked = self._told = self._problem = ""
        self._worker_asked = 0.0
        self._curves.attach(self._polling.follower if self._polling else None)
        self._samples.clear()
        self._samples.configure(None)
        self.remove_class("-pictures")
        if self._images is not None:
            self._images.attach(None)
        self.query_one(ProgressLine).show(None)
        if run is None:
            empty = Content.assemble(
                ("no run yet", "bold"), ("  ctrl+t starts one with the settings shown", "$foreground 65%")
            )
            self.query_one(Headline).show(empty)
        else:
            self.query_one(Headline).show(
                Content.assemble(("◌ opening", "bold $text-accent"), "  ", (run.name, "bold"))
            )
        self._notice()
        self.query_one("#run-body").disabled = run is None  # tab is to stay in the form while there is nothing to steer
        if self._polling:
            self._polling.start()
        else:
            self.post_message(self.StatusChanged(None))

    def _tell(self, polling: Polling) -> None:
        self.post_message(self._Arrived(polling))

    def on_run_view__arrived(self, event: _Arrived) -> None:
        """Take over what the thread has read; what came from a run that was left meanwhile is dropped."""
        if event.polling is not self._polling:
            return
        news = event.polling.follower.take()
        if news:
            self._take(news)

    def _take(self, news: News) -> None:
        if news.configuration:
            self._configuration = news.configuration
            self._samples.configure(news.configuration)
            self._suit(news.configuration)
        if news.problem:
            self._problem = news.problem
        if news.status:
            self._take_status(news.status)
        if news.facts:
            self._take_facts(news.facts)
        if news.metrics:
            self._curves.points_changed()
        if news.forget_samples:
            self._samples.clear()
        if news.samples:
            self._samples.take(news.samples)
            if self._draws_pictures and (failed := news.samples[-1].failed):
                self._told = failed
        if news.status or news.facts or news.problem:
            self._notice()

    def _suit(self, configuration: Configuration) -> None:
        """Offer the charts of the run's family, and pictures in the place of text if that is what it draws."""
        if self._curves.offer(configuration.kind):
            self.look_closely()
        if not isinstance(configuration, ImageConfiguration):
            return
        if self._images is None:
            from tui.images.panel import ImagePanel  # brings pillow, which runs on text do without

            self._images = ImagePanel()
            self.query_one("#run-body").mount(self._images)
        self.add_class("-pictures")
        self._images.attach(self.run.media if self.run else None)

    @property
    def _draws_pictures(self) -> bool:
        return isinstance(self._configuration, ImageConfiguration)

    def _take_status(self, status: Status) -> None:
        before, self.status = self.status, status
        if before is None or before.state is not status.state:
            self._asked = self._told = ""
            self.refresh_bindings()
        if status.serving or status.state.is_live:
            self._worker_asked = 0.0
        if before is None or before.max_steps != status.max_steps:
            self._curves.set_steps(status.max_steps)
        self._samples.set_alive(status.serving or status.state.is_live, status.step)
        self.query_one(ProgressLine).show(status)
        self._headline()
        self.post_message(self.StatusChanged(status))

    def _take_facts(self, facts: Facts) -> None:
        self._curves.take(facts)
        if self._images is not None and self._draws_pictures and facts.grids != self._facts.grids:
            known = self._facts.grids
            self._images.take(facts.grids[len(known) :] if facts.grids[: len(known)] == known else facts.grids)
        if self._configuration and facts.edits != self._facts.edits:
            tree = self._configuration.tree()
            for edit in facts.edits:
                tree = with_value(tree, edit.path, edit.value)
            self._samples.configure(self._configuration, tree)
        self._facts = facts

    def _headline(self) -> None:
        if self.run and self.status:
            self.query_one(Headline).show(headline(self.run.name, self.status, self._configuration, self._asked))

    def _notice(self) -> None:
        """Say the one thing a person should know now: what was just done, else the state's reason, else a warning, else a note."""
        text, kind = self._told, "told"
        if not text and self._problem:
            text, kind = self._problem, "problem"
        if not text and self.status:
            text = explanation(self.status, resumable=self.can_resume)
            kind = "problem" if self.status.state in (RunState.FAILED, RunState.LOST) else "told"
        if not text and self._facts.warnings:
            text, kind = self._facts.warnings[-1], "warning"
        if not text and self._facts.notes:
            text, kind = " ".join(self._facts.notes), "note"
        notice = self.query_one("#run-notice", Static)
        notice.set_classes(f"-{kind}")
        notice.display = bool(text)
        notice.update(Content(printable_line(text)))

    def tell(self, text: str) -> None:
        """Say something about the run, until its state changes."""
        self._told = text
        self._notice()

    @property
    def _curves(self) -> Curves:
        return self.query_one(Curves)

    @property
    def _samples(self) -> SamplesPanel:
        return self.query_one(SamplesPanel)

    # -- what a person does -------------------------------------------------------------------------------------------------------

    def _send(self, command: Command, asked: str = "") -> bool:
        assert self.run is not None
        try:
            self.run.send(command)
        except UserError as error:
            self.tell(str(error))
            return False
        self._asked = asked
        self._headline()
        self.look_closely()
        return True

    def pause_or_resume(self) -> None:
        """Pause a run that trains; let one that is paused go on."""
        state = self.status.state if self.status else None
        if state is RunState.RUNNING:
            self._send(commands.Pause(), "pausing …")
        elif state is RunState.PAUSED:
            self._send(commands.Resume(), "going on …")
        elif state in (RunState.STARTING, RunState.QUEUED):
            self.tell("The run has not begun yet: it can be paused once it trains.")
        elif self.can_resume:
            self.tell("The run is over: r resumes it.")

    def stop_run(self) -> None:
        """Stop the run; it keeps a checkpoint."""
        if self.status and self.status.state.is_live:
            self._send(commands.Stop(), "stopping …")
            self.tell("It stops after writing a checkpoint; r resumes it from there.")

    @property
    def can_resume(self) -> bool:
        """Whether the run is over and could go on."""
        over = self.status is not None and not self.status.state.is_live
        return over and self.run is not None and can_take_steps(self._configuration) and bool(self.run.checkpoints())

    def resume_run(self) -> None:
        """Ask up to which step, then ask the host for a worker that goes on."""
        if not self.can_resume:
            if self.status and not self.status.state.is_live:
                counting = self._configuration is not None and not can_take_steps(self._configuration)
                self.tell(
                    "A model that counts is done after one pass: there is nothing to resume."
                    if counting
                    else "The run has no checkpoint to resume from: start it anew."
                )
            return
        assert self.run is not None and self.status is not None and self._configuration is not None  # noqa: PT018
        run, steps = self.run, self.status.max_steps

        def resume(answer: int | None) -> None:
            if answer is not None and run == self.run:
                self.post_message(self.ResumeRequested(run, {} if answer == steps else {MAX_STEPS: answer}))
                self._asked = "resuming …"
                self._headline()
                self.look_closely()

        self.app.push_screen(ResumeDialog(run.name, self._configuration, self.status), resume)

    def focus_prompt(self) -> None:
        """Go to the prompt; a run that draws pictures has none, and draws a grid of fresh noise."""
        if self._images is not None and self._draws_pictures:
            self._images.focus()
            self._images.action_draw()
        else:
            self.query_one(PromptBar).focus_prompt()

    def focus_curves(self) -> None:
        """Go to the chart in view."""
        self._curves.chart(self._curves.current.id).focus()

    @on(SamplesPanel.Asked)
    def _ask(self, event: SamplesPanel.Asked) -> None:
        event.stop()
        if not self._can_ask():
            return
        if self._samples.is_sampling:
            self._send(commands.CancelSample())
        if note := self._put(event.command):
            self._samples.wait_for(event.command, note)

    def on_image_panel_asked(self, event: "ImagePanel.Asked") -> None:
        """Ask for a grid of fresh noise."""
        event.stop()
        if self._can_ask() and (note := self._put(event.command)):
            self.tell(f"A grid of fresh noise: {note}")

    def on_chart_cursor_moved(self, event: Chart.CursorMoved) -> None:
        """Show the pictures of the step that the cursor stands at."""
        if self._images is not None and self._draws_pictures:
            self._images.show_step(event.step)

    def _can_ask(self) -> bool:
        """Whether there is a model to ask, or will be; else say why not."""
        if self.run is None or self.status is None:
            self.tell("There is no model to ask yet: start a run first.")
            return False
        if not self._is_served and not self.run.checkpoints():
            self.tell("The run has no checkpoint to load the model from, so there is nothing to ask.")
            return False
        return True

    @property
    def _is_served(self) -> bool:
        return self.status is not None and (self.status.serving or self.status.state.is_live)

    def _put(self, command: commands.Sample) -> str:
        """Send a command that asks for a sample, and see to a worker; return what it waits for, nothing if it was not sent."""
        if not self._send(command):
            return ""
        assert self.run is not None and self.status is not None  # noqa: PT018
        served = self._is_served
        if not served and time.monotonic() - self._worker_asked > WORKER_PATIENCE:
            self._worker_asked = time.monotonic()
            self.post_message(self.NeedsWorker(self.run))
        if self.status.state in (RunState.STARTING, RunState.QUEUED):
            return "waits until the run has begun"
        return "drawing …" if served else "loading the model …"

    @on(Tab.Chosen)
    def _choose_chart(self, event: Tab.Chosen) -> None:
        event.stop()
        if self._curves.show(event.quantity):
            self.look_closely()

    def action_pause(self) -> None:
        """See `pause_or_resume`."""
        self.pause_or_resume()

    def action_go_on(self) -> None:
        """See `pause_or_resume`."""
        self.pause_or_resume()

    def action_stop(self) -> None:
        """See `stop_run`."""
        self.stop_run()

    def action_resume(self) -> None:
        """See `resume_run`."""
        self.resume_run()

    def action_prompt(self) -> None:
        """See `focus_prompt`."""
        self.focus_prompt()

    def action_next_chart(self) -> None:
        """Show the next chart."""
        if self._curves.show_next():
            self.look_closely()

    def action_copy(self) -> None:
        """Copy the latest sample to the clipboard of the terminal (OSC 52)."""
        if latest := self._samples.log_of_samples.latest:
            self.app.copy_to_clipboard(plain_text(latest))
            self.tell(f"Copied the sample of step {latest.step:,}.")

    def action_write(self) -> None:
        """Write all samples into a file in the run's folder."""
        records = [record for record in self._samples.log_of_samples.records if record.texts]
        if self.run is None or not records:
            return
        text = "\n\n".join(f"step {record.step}\n{plain_text(record)}" for record in reversed(records))
        try:
            write_atomically(self.run.path / SAMPLES_FILE, text + "\n")
        except OSError as error:
            self.tell(f"The samples could not be written: {error.strerror or error}.")
        else:
            self.tell(f"Wrote {len(records)} samples to {self.run.path / SAMPLES_FILE}.")

    def action_cancel(self) -> None:
        """Break off the sample that is being drawn, or else leave the prompt."""
        if self._samples.is_sampling:
            self._send(commands.CancelSample())
            self._samples.forget_waiting()
        else:
            self._samples.log_of_samples.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer what the run's state lets one do; let escape through where there is nothing to break off or to leave."""
        live = self.status is not None and self.status.state.is_live
        if action in ("pause", "go_on"):
            paused = self.status is not None and self.status.state is RunState.PAUSED
            return live and paused == (action == "go_on")
        if action == "stop":
            return live
        if action == "resume":
            return self.status is not None and not live
        if action == "cancel":
            try:
                return self._samples.is_sampling or self.query_one(PromptBar).has_focus_within
            except NoMatches:
                return False
        return True
