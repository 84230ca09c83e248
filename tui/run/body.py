"""What a run has brought forth so far: its curves, and beside or beneath them its samples or its pictures."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import Facts
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.tui.charts.chart import Chart
from torchtty.tui.run.curves import Curves, Tab
from torchtty.tui.run.follower import News, RunFollower
from torchtty.tui.run.pictures import Pictures
from torchtty.tui.run.prompt import PromptBar
from torchtty.tui.run.samples import SamplesPanel


class RunBody(Container):
    """Shows what news of a run bring; a run that draws pictures has them in the place of samples."""

    DEFAULT_CSS = """
    RunBody { height: 1fr; layout: vertical; }
    RunBody Pictures { display: none; }
    RunBody.-pictures Pictures { display: block; }
    RunBody.-pictures SamplesPanel { display: none; }
    """

    class CurvesWanted(Message):
        """Curves came into view that were not drawn before: they are read at the next look."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._run: RunDirectory | None = None
        self._snapshot: RunSnapshot | None = None
        self._max_steps: int | None = None

    def compose(self) -> ComposeResult:
        yield Curves()
        yield SamplesPanel()
        yield Pictures()

    @property
    def curves(self) -> Curves:
        return self.query_one(Curves)

    @property
    def samples(self) -> SamplesPanel:
        return self.query_one(SamplesPanel)

    @property
    def pictures(self) -> Pictures:
        return self.query_one(Pictures)

    @property
    def draws_pictures(self) -> bool:
        """Whether the run's model draws pictures and writes no text."""
        return self._snapshot is not None and self._snapshot.draws_pictures

    # -- what it is told ----------------------------------------------------------------------------------------------------------

    def attach(self, run: RunDirectory | None, follower: RunFollower | None) -> None:
        """Show another run, empty at first, or none."""
        self._run, self._snapshot, self._max_steps = run, None, None
        self.curves.attach(follower)
        self.samples.clear()
        self.samples.configure(None)
        self.remove_class("-pictures")
        self.pictures.attach(None)
        self.disabled = run is None  # tab is to stay in the form while there is nothing to steer

    def take(self, news: News) -> None:
        """Show what has changed."""
        if news.snapshot:
            self._take_snapshot(news.snapshot)
        if news.facts:
            self._take_facts(news.facts)
        if news.metrics:
            self.curves.points_changed()
        if news.forget_samples:
            self.samples.clear()
        if news.samples:
            self.samples.take(news.samples)

    def _take_snapshot(self, snapshot: RunSnapshot) -> None:
        """Offer the charts of the run's family, and pictures in the place of text if that is what it draws."""
        before, self._snapshot = self._snapshot, snapshot
        configuration, status = snapshot.configuration, snapshot.status
        if configuration is not None and (before is None or configuration != before.configuration):
            self.samples.configure(configuration)
            if before is None or before.configuration is None:
                self._look(self.curves.offer(configuration.kind))
                if self.draws_pictures and self._run is not None:
                    self.add_class("-pictures")
                    self.pictures.attach(self._run.media)
        if status.max_steps != self._max_steps:
            self._max_steps = status.max_steps
            self.curves.set_steps(status.max_steps)
        self.samples.set_alive(snapshot.is_served, status.step)

    def _take_facts(self, facts: Facts) -> None:
        self.curves.take(facts)
        self.pictures.take(facts.images)

    # -- what a person does -------------------------------------------------------------------------------------------------------

    def focus_prompt(self) -> None:
        """Go to the prompt; a run that draws pictures has none, and draws a grid of fresh noise."""
        if self.draws_pictures:
            self.pictures.draw()
        else:
            self.query_one(PromptBar).focus_prompt()

    def focus_curves(self) -> None:
        """Go to the chart in view."""
        self.curves.chart(self.curves.current.id).focus()

    def show_next_chart(self) -> None:
        """Bring the next chart into view."""
        self._look(self.curves.show_next())

    @on(Tab.Chosen)
    def _choose_chart(self, event: Tab.Chosen) -> None:
        event.stop()
        self._look(self.curves.show(event.chart_spec))

    def _look(self, wanted: bool) -> None:
        if wanted:
            self.post_message(self.CurvesWanted())

    def on_chart_cursor_moved(self, event: Chart.CursorMoved) -> None:
        """Show the pictures of the step that the cursor stands at."""
        if self.draws_pictures:
            self.pictures.show_step(event.step)
