"""One run on the screen: its curves, its samples or pictures, its progress, and the keys that steer it."""

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.message import Message

from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.tui.charts.chart import Chart
from torchtty.tui.run.actions import BINDINGS
from torchtty.tui.run.advice import advised
from torchtty.tui.run.curves import Curves
from torchtty.tui.run.inside import Inside
from torchtty.tui.run.pictures import Pictures
from torchtty.tui.run.samples import SamplesPanel
from torchtty.tui.run.sampling import SampledRun
from torchtty.tui.run.status_lines import (
    Headline,
    Notice,
    ProgressLine,
    empty_pictures,
    has_news,
    headline,
    no_run,
    opening,
)
from torchtty.tui.run.watcher import News, RunWatcher

WIDE = 140  # cells from which curves and samples stand side by side
SHORT, TINY = 16, 9  # rows below which parts give way to the curve
ROOM_FOR_BOTH = 30  # rows from which a curve stands above the view into the model


class RunView(SampledRun):
    """Follows a run and shows it. Mounted once; `show` attaches it to another run or to none."""

    DEFAULT_CSS = """
    RunView { height: 1fr; width: 1fr; }
    RunView #run-body { height: 1fr; layout: vertical; }
    RunView Pictures { display: none; }
    RunView.-pictures Pictures { display: block; }
    RunView.-pictures SamplesPanel { display: none; }
    RunView.-wide #run-body { layout: horizontal; }
    RunView.-wide Curves { height: 1fr; width: 3fr; margin-right: 3; }
    RunView.-wide SamplesPanel { height: 1fr; width: 2fr; min-width: 66; }
    RunView.-pictures #run-body, RunView.-wide.-pictures #run-body { layout: vertical; }
    RunView.-pictures Curves, RunView.-wide.-pictures Curves { height: 1fr; min-height: 6; width: 1fr; margin-right: 0; }
    RunView Inside { display: none; height: 3fr; width: 1fr; }
    RunView.-inside Inside { display: block; }
    RunView.-inside SamplesPanel, RunView.-inside Pictures { display: none; }
    RunView.-inside Curves { height: 2fr; }
    RunView.-wide.-inside #run-body { layout: horizontal; }
    RunView.-wide.-inside Curves { width: 2fr; height: 1fr; margin-right: 3; }
    RunView.-wide.-inside Inside { height: 1fr; width: 3fr; }
    RunView.-inside.-only-inside Curves { height: 1; min-height: 1; }
    RunView.-inside.-only-inside #charts { display: none; }
    RunView.-full SamplesPanel, RunView.-full Pictures, RunView.-full Inside { display: none; }
    RunView.-full Curves, RunView.-wide.-full Curves { height: 1fr; width: 1fr; margin-right: 0; }
    RunView.-short #field-row, RunView.-short #samples-title { display: none; }
    RunView.-tiny SamplesPanel, RunView.-tiny Pictures, RunView.-tiny #tabs { display: none; }
    """
    BINDING_GROUP_TITLE = "Run"
    BINDINGS = BINDINGS

    @dataclass
    class Changed(Message):
        """There is something new about the run, or no run is shown any more (None)."""

        snapshot: RunSnapshot | None

    @dataclass
    class Diagnosed(Message):
        """What is wrong with the run is another than before."""

        snapshot: RunSnapshot
        findings: tuple[Finding, ...]

    @dataclass
    class FullScreen(Message):
        """The chart takes the whole screen, or gives it back."""

        is_full: bool

    @dataclass
    class _Arrived(Message, bubble=False):
        """The watcher's thread has news."""

        watcher: RunWatcher

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, RunView._Arrived) and message.watcher is self.watcher

    def __init__(self, *, how_to_start: str = "", id: str | None = None) -> None:
        """Make a view; `how_to_start` names the key by which another run is started here."""
        super().__init__(id=id)
        self._how_to_start = how_to_start
        self._watcher: RunWatcher | None = None

    def compose(self) -> ComposeResult:
        yield Headline(id="run-headline")
        with Container(id="run-body"):
            yield Curves(self._how_to_start)
            yield SamplesPanel()
            yield Pictures()
            yield Inside()
        yield Notice(id="run-notice")
        yield ProgressLine(id="run-progress")

    def on_mount(self) -> None:
        self._follow(self.run)

    def on_unmount(self) -> None:
        if self._watcher:
            self._watcher.stop()

    def on_resize(self, event: Resize) -> None:
        """Lay out for the room there is."""
        self.set_class(event.size.width >= WIDE, "-wide")
        self.set_class(event.size.height < SHORT, "-short")
        self.set_class(event.size.height < TINY, "-tiny")
        self.set_class(event.size.width < WIDE and event.size.height < ROOM_FOR_BOTH, "-only-inside")

    @property
    def curves(self) -> Curves:
        return self.query_one(Curves)

    # -- attaching and following ----------------------------------------------------------------------------------

    def show(self, run: RunDirectory | None) -> None:
        """Attach to a run, or to none."""
        if self.is_mounted and run is not None and run == self.run:
            self.expect_news()
            return
        self.run = run
        if self.is_mounted:
            self._follow(run)

    def expect_news(self) -> None:
        """Poll often for a while: a request was sent or a worker was handed the run."""
        if self._watcher:
            self._watcher.pay_attention()

    def _follow(self, run: RunDirectory | None) -> None:
        if self._watcher:
            self._watcher.stop()
        self._watcher = RunWatcher(run, lambda watcher: self.post_message(self._Arrived(watcher))) if run else None
        self.snapshot = None
        self.findings = ()
        self._forget_requests()
        self.curves.attach(self._watcher.follower if self._watcher else None)
        self.samples.clear()
        self.remove_class("-pictures")
        self.pictures.attach(None)
        self.fill_screen(False)
        if run is None:
            self._open_inside(False)
        self.query_one("#run-body").disabled = run is None  # tab stays in the form while there is nothing to steer
        self.query_one(ProgressLine).show(None)
        self.query_one(Notice).diagnose(())
        self.query_one(Notice).show(None)
        content = opening(run.name) if run else no_run()
        self.query_one(Headline).show(lambda _: content)
        if self._watcher:
            self._watcher.start()
        else:
            self.post_message(self.Changed(None))

    def on_run_view__arrived(self, event: _Arrived) -> None:
        """Show what the thread has read, unless the run was left meanwhile."""
        if event.watcher is self._watcher and (news := event.watcher.follower.take()):
            self._show_news(news)

    def _show_news(self, news: News) -> None:
        if news.snapshot:
            self._show_state(news.snapshot)
        if news.findings is not None:
            self._show_findings(news.findings)
        if news.metrics:
            self.curves.points_changed()
        if news.restarted:
            self.samples.clear()
        for event in news.saved:
            self._show_saved(event)
        if news.samples:
            sampled = self.samples.is_sampling
            self.samples.take(news.samples)
            if self.samples.is_sampling is not sampled:
                self.refresh_bindings()
            if self.draws_pictures and (failed := news.samples[-1].failed):
                self.report(failed)

    def _show_state(self, snapshot: RunSnapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        if before is None or has_news(before, snapshot):
            self._state_changed(snapshot.state)
        if before is None or any(before.offers(action) != snapshot.offers(action) for action in Action):
            self.refresh_bindings()
        if snapshot.is_served:
            self._worker_call.answered()
        self.curves.show_state(snapshot)
        self.inside.take(snapshot)
        self.samples.show_state(snapshot)
        if snapshot.draws_pictures:
            if not self.has_class("-pictures"):
                self.add_class("-pictures")
                self.pictures.attach(snapshot.run.media)
            self.pictures.explain(empty_pictures(snapshot))
            self.pictures.take(snapshot.facts.images)
        self.query_one(ProgressLine).show(snapshot)
        self.query_one(Notice).show(snapshot, chart_is_empty=self.curves.is_empty)
        self._report_test(before, snapshot)
        self._show_headline()
        self.post_message(self.Changed(snapshot))

    def _show_findings(self, findings: tuple[Finding, ...]) -> None:
        before, self.findings = self.findings, findings
        self.query_one(Notice).diagnose(findings)
        self.curves.show_findings(findings)
        if bool(advised(before)) != bool(advised(findings)):
            self.refresh_bindings()
        if self.snapshot is not None:
            self.post_message(self.Diagnosed(self.snapshot, findings))

    def _show_headline(self) -> None:
        if (snapshot := self.snapshot) is not None:
            pending = self._pending
            self.query_one(Headline).show(lambda width: headline(snapshot, pending, width))

    def report(self, text: str) -> None:
        """Report something about the run, until its state changes."""
        self.query_one(Notice).report(text)

    def action_export(self) -> None:
        """Ask what is to be exported, a chart as it is looked at."""
        if self.run is not None:
            from torchtty.tui.run.export_dialog import ExportDialog  # here: it brings what writes files

            self.app.push_screen(ExportDialog(self.run, self.curves.looked_at))

    # -- inside ---------------------------------------------------------------------------------------------------

    @property
    def inside(self) -> Inside:
        return self.query_one(Inside)

    def action_inside(self) -> None:
        """Open the view into the model beside the curve, or close it."""
        self._open_inside(not self.inside.is_open)
        if not self.inside.is_open:
            self.focus_curves()

    on_inside_tab_chosen = action_inside

    def _open_inside(self, is_open: bool) -> None:
        if is_open and self.snapshot is not None:
            self.fill_screen(False)
            self.inside.open(self.snapshot)
        else:
            self.inside.close()
        self.set_class(self.inside.is_open, "-inside")
        self.curves.mark_inside(self.inside.is_open)
        self.refresh_bindings()

    def make_room_for_samples(self) -> None:
        self._open_inside(False)
        self.fill_screen(False)

    # -- charts ---------------------------------------------------------------------------------------------------

    def focus_curves(self) -> None:
        """Focus the chart in view, or the lenses where there is no room for a chart beside them."""
        if self.inside.is_open and self.has_class("-only-inside"):
            self.inside.focus_tabs()
        else:
            self.curves.chart(self.curves.current.id).focus()

    def action_next_chart(self) -> None:
        """Show the next chart."""
        if self.has_class("-only-inside"):
            self._open_inside(False)
        self.curves.show_next()

    @property
    def is_full_screen(self) -> bool:
        """Whether the chart has the whole screen."""
        return self.has_class("-full")

    def fill_screen(self, is_full: bool) -> None:
        """Give the chart the whole screen, or give that back."""
        if is_full != self.is_full_screen:
            if is_full:
                self._open_inside(False)
                self.focus_curves()
            self.set_class(is_full, "-full")
            self.post_message(self.FullScreen(is_full))
            self.refresh_bindings()

    def action_full_screen(self) -> None:
        """Give the chart the whole screen, or give that back."""
        self.fill_screen(not self.is_full_screen)

    on_chart_full_screen = action_full_screen

    def action_cancel(self) -> None:
        """Leave the full screen, or cancel the sample that is being drawn."""
        if self.is_full_screen:
            self.fill_screen(False)
        else:
            super().action_cancel()

    def on_curves_wanted(self, event: Curves.Wanted) -> None:
        """Have metrics read that come into view."""
        event.stop()
        self.expect_news()

    def on_chart_cursor_moved(self, event: Chart.CursorMoved) -> None:
        """Show the pictures, or what the lens has, of the step that the cursor stands at."""
        self.inside.show_step(event.step)
        if self.draws_pictures:
            self.pictures.show_step(event.step)

    # -- keys -----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the run's state allows; escape passes where there is nothing to cancel or to leave."""
        match action:
            case "export" | "inside":
                return self.run is not None
            case "full_screen":
                return self.run is not None
            case "next_chart":
                return self.run is not None and len(self.curves.offered) > 1
            case "cancel" if self.is_full_screen:
                return True
        return super().check_action(action, parameters)
