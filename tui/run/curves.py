"""The charts of a run, one at a time behind tabs: those that the run's family declares."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widgets import ContentSwitcher, Static

from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.log import Facts
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.family import MetricChart
from torchtty.tui.charts.chart import Chart
from torchtty.tui.charts.series import STEP
from torchtty.tui.charts.spec import Mark
from torchtty.tui.charts.units import NATS, Unit, loss_units
from torchtty.tui.format import edit_texts
from torchtty.tui.run.advice import bands
from torchtty.tui.run.status_lines import empty_chart
from torchtty.tui.run.watcher import RunFollower


@dataclass(frozen=True)
class ChartView:
    """Which chart of a run is looked at, and how; `smoothing` is a share of the x axis."""

    chart: str = ""  # the id of one of the family's charts; empty for the first
    coordinate: str = STEP
    log_y: bool = False
    smoothing: float = 0.01
    log_x: bool = False
    unit: str = ""  # empty for that in which it was logged


DECLARED = {chart.id: chart for family in FAMILIES.values() for chart in family.charts}
"""A chart for every id that a family declares; families may share an id and draw other metrics under it."""


def units_of(snapshot: RunSnapshot, chart: MetricChart) -> tuple[Unit, ...]:
    """Return what the values of a chart can be read in, the unit that they were logged in first; none where it has none."""
    family = snapshot.family
    logged = {family.metric(name).unit for name in chart.metrics} if family is not None else set()
    if logged == {NATS}:
        return loss_units(snapshot.facts.characters_per_token)
    return (Unit(logged.pop()),) if len(logged) == 1 and "" not in logged else ()


class Tab(Static):
    """The name of a chart; a click shows it."""

    @dataclass
    class Chosen(Message):
        """The tab was clicked."""

        chart: MetricChart

    def __init__(self, chart: MetricChart) -> None:
        super().__init__(id=f"tab-{chart.id}")
        self.offer(chart)

    def offer(self, chart: MetricChart) -> None:
        """Stand for another chart of the same id."""
        self.chart = chart
        self.tooltip = f"Show the {chart.title}"
        self.update(Content(chart.title))

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.Chosen(self.chart))


class InsideTab(Static):
    """The name of the view into the model; a click opens or closes it."""

    class Chosen(Message):
        """The tab was clicked."""

    def __init__(self) -> None:
        super().__init__(Content("inside"), id="tab-inside")
        self.tooltip = "Look into the model with a lens"
        self.display = False  # until there is a model to look into

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.Chosen())


class Curves(Vertical):
    """Charts of the run's metrics. Each is built once; only those in view are filled."""

    DEFAULT_CSS = """
    Curves { height: 3fr; width: 1fr; }
    Curves #tabs { height: 1; }
    Curves #tabs Static { width: auto; padding: 0 2 0 0; color: $foreground 55%; }
    Curves #tabs Static:hover { color: $foreground; }
    Curves #tabs Static.-current { color: $text-accent; text-style: bold; }
    Curves #charts { height: 1fr; layers: charts note; }
    Curves ContentSwitcher { height: 1fr; layer: charts; }
    Curves #empty-chart { layer: note; height: 1fr; width: 1fr; margin: 1 0 0 0; padding: 0 2;
        content-align: center middle; text-align: center; color: $foreground 65%; background: $background; }
    Curves #empty-chart.-problem { color: $text-error; }
    """

    class Wanted(Message):
        """A chart came into view whose metrics are not followed yet: the next poll reads them."""

    def __init__(self, how_to_start: str) -> None:
        super().__init__()
        self._how_to_start = how_to_start
        self.offered: tuple[MetricChart, ...] = tuple(DECLARED.values())[:1]
        self._charts = dict(DECLARED)  # by id, as the family of the latest run declares them
        self._follower: RunFollower | None = None
        self._snapshot: RunSnapshot | None = None
        self._marks: tuple[Mark, ...] = ()
        self._references: set[str] = set()

    def compose(self) -> ComposeResult:
        with Horizontal(id="tabs"):
            for chart in DECLARED.values():
                yield Tab(chart)
            yield InsideTab()
        with Container(id="charts"):
            with ContentSwitcher(initial=f"chart-{self.offered[0].id}"):
                for id in DECLARED:
                    yield Chart(id=f"chart-{id}", may_fill_screen=True)
            yield Static(id="empty-chart")

    def on_mount(self) -> None:
        self.query_one(f"#tab-{self.offered[0].id}").add_class("-current")
        self._show_tabs()
        self._explain_emptiness()

    @property
    def current(self) -> MetricChart:
        """What the chart in view shows."""
        return self._charts[str(self.query_one(ContentSwitcher).current).removeprefix("chart-")]

    def chart(self, id: str) -> Chart:
        return self.query_one(f"#chart-{id}", Chart)

    @property
    def looked_at(self) -> ChartView:
        """How the chart in view is looked at."""
        chart = self.chart(self.current.id)
        spec = chart.spec
        return ChartView(
            self.current.id, spec.coordinate, spec.log_y, chart.smoothing_share, spec.log_x, spec.unit.name
        )

    def _show_tabs(self) -> None:
        places = {f"tab-{chart.id}": number for number, chart in enumerate(self.offered)}
        for tab in self.query(Tab):
            tab.display = tab.id in places
            if tab.display:
                tab.offer(self._charts[tab.chart.id])
        self.query_one("#tabs").sort_children(key=lambda tab: places.get(tab.id or "", len(places)))

    def mark_inside(self, is_open: bool) -> None:
        """Mark the tab of the view into the model as open or closed."""
        self.query_one(InsideTab).set_class(is_open, "-current")

    # -- the run --------------------------------------------------------------------------------------------------

    def attach(self, follower: RunFollower | None) -> None:
        """Show the curves of another run, or none."""
        self._follower, self._snapshot = follower, None
        self.query_one(InsideTab).display = False
        for chart in map(self.chart, DECLARED):
            for name in [series.name for series in chart.spec.series]:
                chart.remove_series(name)
            for title in self._references:
                chart.set_reference(title, None)
            chart.clear()
            chart.set_x_max(None)
        self._references.clear()
        self._marks = ()
        self._fill(self.current)
        self._explain_emptiness()

    def show_state(self, snapshot: RunSnapshot) -> None:
        """Offer the charts of the run's family, on axes that end where training will."""
        before, self._snapshot = self._snapshot, snapshot
        if snapshot.family is not None and (before is None or before.family is None):
            self.offered = snapshot.family.charts
            self._charts |= {chart.id: chart for chart in self.offered}
            self._show_tabs()
            self.query_one(InsideTab).display = bool(snapshot.lenses)
            self.show(self.current if self.current in self.offered else self.offered[0])
        steps = snapshot.status.max_steps
        if before is None or steps != before.status.max_steps:
            for id in DECLARED:
                self.chart(id).set_x_max(float(steps) if steps else None)
        if before is None and snapshot.parent is not None:
            for id in DECLARED:
                self.chart(id).mark(
                    snapshot.parent.step, printable_line(f"fork of {snapshot.parent.run}").replace(" ", "\u00a0")
                )
        for id in DECLARED:
            self.chart(id).set_over(not snapshot.is_live)
        if before is None or snapshot.facts is not before.facts:
            self._show_facts(snapshot.facts)
            self._offer_units(snapshot)
        self._explain_emptiness()

    def _show_facts(self, facts: Facts) -> None:
        """Draw the reference losses on the first chart, and a mark at every live edit on all."""
        chart = self.chart(self.offered[0].id)
        titles = {printable_line(title): nats for title, nats in facts.references.items()}
        for title in self._references - titles.keys():
            chart.set_reference(title, None)
        for title, nats in titles.items():
            chart.set_reference(title, nats)
        self._references = set(titles)
        marks = tuple(Mark(edit.step, *edit_texts(edit)) for edit in facts.edits if edit.value != edit.old)
        for id in DECLARED if marks != self._marks else ():
            self.chart(id).replace_marks(self._marks, marks)
        self._marks = marks

    def _offer_units(self, snapshot: RunSnapshot) -> None:
        """Offer what the losses can be read in and, along x, epochs; other values have the unit that is declared."""
        for declared in self.offered if snapshot.family is not None else ():
            chart = self.chart(declared.id)
            chart.set_units(units_of(snapshot, declared))
            chart.set_epoch(snapshot.facts.tokens_an_epoch)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show what is wrong with the run where the charts show it."""
        for chart in self.offered:
            self.chart(chart.id).set_bands(bands(findings, chart))

    def points_changed(self) -> None:
        """Have grown curves drawn."""
        for id in DECLARED:
            self.chart(id).points_changed()
        self._explain_emptiness()

    @property
    def cursor(self) -> float | None:
        """The step at which the cursor of the chart in view stands."""
        return self.chart(self.current.id).spec.cursor

    @property
    def is_empty(self) -> bool:
        """Whether the chart in view has no points, and an explanation in its place."""
        known = self._follower.series if self._follower is not None else {}
        return not any(len(known[name]) for name in self.current.metrics if name in known)

    def _explain_emptiness(self) -> None:
        note, snapshot = self.query_one("#empty-chart", Static), self._snapshot
        note.display = self.is_empty and (self._follower is None or snapshot is not None)
        if not note.display:
            return
        text = Content(printable(empty_chart(snapshot, self.current.title, self._how_to_start)))
        if text != note.content:  # a status comes ten times a second
            note.set_class(snapshot is not None and snapshot.state in (RunState.FAILED, RunState.LOST), "-problem")
            note.update(text)

    # -- which chart is in view -----------------------------------------------------------------------------------

    def show(self, chart: MetricChart) -> None:
        """Bring a chart into view."""
        had_focus = self.chart(self.current.id).has_focus
        self.query_one(ContentSwitcher).current = f"chart-{chart.id}"
        for tab in self.query(Tab):
            tab.set_class(tab.chart.id == chart.id, "-current")
        self._fill(chart)
        self._explain_emptiness()
        if had_focus:
            self.chart(chart.id).focus()

    def show_next(self) -> None:
        """Bring the next chart into view, after the last the first."""
        at = self.offered.index(self.current)
        self.show(self.offered[(at + 1) % len(self.offered)])

    def _fill(self, chart: MetricChart) -> None:
        if self._follower is None:
            return
        is_new = chart.metrics[0] not in self._follower.series
        self._follower.want(chart.metrics)
        drawn = self.chart(chart.id)
        for name in [series.name for series in drawn.spec.series if series.name not in chart.metrics]:
            drawn.remove_series(name)
        for metric in chart.metrics:
            drawn.add_series(self._follower.series[metric])
        if is_new:
            self.post_message(self.Wanted())

    def on_tab_chosen(self, event: Tab.Chosen) -> None:
        event.stop()
        self.show(event.chart)
