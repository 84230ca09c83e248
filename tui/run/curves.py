"""The charts of a run, one at a time: loss, learning rate, gradient norm, speed."""

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import ContentSwitcher, Static

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.events import Edited
from torchtty.engine.contract.run.log import Facts
from torchtty.engine.contract.settings.families import FAMILIES, family_of
from torchtty.engine.contract.settings.family import MetricChart
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.tasks import LANGUAGE_CHARTS, LOSS_CHART
from torchtty.tui.charts.chart import Chart
from torchtty.tui.run.follower import RunFollower

ALL: tuple[MetricChart, ...] = tuple(
    {chart.id: chart for family in FAMILIES.values() for chart in family.charts}.values()
)
"""Every chart that some family has."""


class Tab(Static):
    """The name of a chart; a click shows it."""

    @dataclass
    class Chosen(Message):
        """The tab was clicked."""

        chart_spec: str

    def __init__(self, chart_spec: MetricChart) -> None:
        super().__init__(Content(chart_spec.title), id=f"tab-{chart_spec.id}")
        self.chart_spec = chart_spec
        self.tooltip = f"Show the {chart_spec.title}"

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.Chosen(self.chart_spec.id))


class Curves(Vertical):
    """Charts on the run's curves. Each is built once; those that are not in view cost nothing."""

    DEFAULT_CSS = """
    Curves { height: 3fr; width: 1fr; }
    Curves #tabs { height: 1; }
    Curves Tab { width: auto; padding: 0 2 0 0; color: $foreground 55%; }
    Curves Tab:hover { color: $foreground; }
    Curves Tab.-current { color: $text-accent; text-style: bold; }
    Curves ContentSwitcher { height: 1fr; }
    Curves.-untabbed #tabs { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.offered: tuple[MetricChart, ...] = LANGUAGE_CHARTS

    def compose(self) -> ComposeResult:
        with Horizontal(id="tabs"):
            for chart_spec in ALL:
                yield Tab(chart_spec)
        with ContentSwitcher(initial=f"chart-{self.offered[0].id}"):
            for chart_spec in ALL:
                yield Chart(id=f"chart-{chart_spec.id}", placeholder=f"The {chart_spec.title} appears here.")

    def on_mount(self) -> None:
        self._follower: RunFollower | None = None
        self._marked = 0
        self._references: set[str] = set()
        self.query_one(f"#tab-{self.offered[0].id}").add_class("-current")
        self._show_tabs()

    @property
    def current(self) -> MetricChart:
        """What the chart in view shows."""
        shown = self.query_one(ContentSwitcher).current
        return next(chart_spec for chart_spec in ALL if f"chart-{chart_spec.id}" == shown)

    def chart(self, id: str) -> Chart:
        """Return the chart of a chart_spec."""
        return self.query_one(f"#chart-{id}", Chart)

    def offer(self, family: str) -> bool:
        """Offer the charts of a family; say whether that needs curves that were not drawn before."""
        self.offered = family_of(family).charts
        self._show_tabs()
        return self.show(self.offered[0].id) if self.current not in self.offered else False

    def _show_tabs(self) -> None:
        for tab in self.query(Tab):
            tab.display = tab.chart_spec in self.offered

    def attach(self, follower: RunFollower | None) -> None:
        """Show the curves of another run, or none."""
        self._follower = follower
        for chart_spec in ALL:
            chart = self.chart(chart_spec.id)
            for metric in chart_spec.metrics:
                chart.remove_series(metric)
            chart.clear()
            chart.set_x_max(None)
        for title in self._references:
            self.chart(LOSS_CHART.id).set_reference(title, None)
        self._references.clear()
        self._marked = 0
        self._want(self.current)

    def _want(self, chart_spec: MetricChart) -> None:
        """Have the curves of a chart_spec drawn: those that nobody looks at are not."""
        if self._follower is None:
            return
        self._follower.want(chart_spec.metrics)
        chart = self.chart(chart_spec.id)
        for metric in chart_spec.metrics:
            chart.add_series(self._follower.series[metric])

    def show(self, id: str) -> bool:
        """Bring a chart into view; say whether it needs curves that were not drawn before."""
        had_focus = self.chart(self.current.id).has_focus
        self.query_one(ContentSwitcher).current = f"chart-{id}"
        for tab in self.query(Tab):
            tab.set_class(tab.chart_spec.id == id, "-current")
        known = self._follower is None or self.current.metrics[0] in self._follower.series
        self._want(self.current)
        if had_focus:
            self.chart(id).focus()
        return not known

    def show_next(self) -> bool:
        """Bring the next chart into view, after the last the first; see `show`."""
        at = self.offered.index(self.current)
        return self.show(self.offered[(at + 1) % len(self.offered)].id)

    def points_changed(self) -> None:
        """Say that the curves grew."""
        for chart_spec in ALL:
            self.chart(chart_spec.id).points_changed()

    def set_steps(self, max_steps: int) -> None:
        """Let the axes end where training will."""
        for chart_spec in ALL:
            self.chart(chart_spec.id).set_x_max(float(max_steps) if max_steps else None)

    def take(self, facts: Facts) -> None:
        """Draw the references, and a mark at every live edit."""
        chart = self.chart(LOSS_CHART.id)
        for title in self._references - facts.references.keys():
            chart.set_reference(title, None)
        for title, nats in facts.references.items():
            chart.set_reference(printable_line(title), nats)
        self._references = {printable_line(title) for title in facts.references}
        for edit in facts.edits[self._marked :]:
            for chart_spec in ALL:
                self.chart(chart_spec.id).mark(edit.step, edit_text(edit))
        self._marked = len(facts.edits)


def edit_text(edit: Edited) -> str:
    """Write a live edit: `learning_rate 1e-3`."""
    return printable_line(f"{edit.path.rpartition('.')[2]} {show(edit.value)}")
