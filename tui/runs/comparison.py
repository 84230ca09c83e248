"""Several runs on one chart, and the settings in which they differ."""

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Static

from torchtty.engine.contract.listing.differences import differing
from torchtty.engine.contract.listing.entry import Entry
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.families import metric_named
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.fields import show
from torchtty.tui.charts.chart import Chart
from torchtty.tui.charts.style import colour
from torchtty.tui.format import loss, measures
from torchtty.tui.run.watcher import RunFollower

MOST_CELLS = 28  # width of a run's column


class Comparison(Vertical):
    """Overlays curves of the marked runs, read in a thread, above a table of the settings in which they differ."""

    DEFAULT_CSS = """
    Comparison { height: 1fr; width: 1fr; padding: 0 1; }
    Comparison #comparison-name { height: 1; }
    Comparison Chart { height: 3fr; }
    Comparison DataTable {
        height: auto; max-height: 45%; margin-top: 1; background: $background; scrollbar-size-vertical: 1;
        & > .datatable--header { background: $background; color: $foreground 60%; text-style: none; }
    }
    """

    @dataclass
    class _Read(Message, bubble=False):
        """A run's curves were read."""

        name: str
        metric: str
        follower: RunFollower
        logged: frozenset[str]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: dict[str, Entry] = {}
        self._colours: dict[str, int] = {}
        self._followers: dict[str, RunFollower] = {}
        self._logged: dict[str, frozenset[str]] = {}
        self._drawn: set[str] = set()
        self._tabled: object = None
        self.metric = ""  # what the curves show: at first that of the first runs
        self._generation = 0

    def compose(self) -> ComposeResult:
        yield Static(id="comparison-name")
        yield Chart(id="comparison-chart", placeholder="Mark runs with space: their curves appear here together.")
        table: DataTable[Content] = DataTable(id="comparison-table", cursor_type="none", cell_padding=1)
        yield table

    def on_mount(self) -> None:
        self._name_it()

    def show(self, rows: Sequence[Entry], colours: dict[str, int]) -> None:
        """Show these runs, each in its colour, with the points that are new since the last call."""
        self._rows = {row.key: row for row in rows}
        self._colours = dict(colours)
        if rows and self.metric not in self.offered:
            self._choose(self.offered[0])
        chart = self.query_one(Chart)
        for name in [name for name in self._drawn if name not in self._rows]:
            chart.remove_series(name)
            self._drawn.discard(name)
        self._followers = {name: follower for name, follower in self._followers.items() if name in self._rows}
        self._read()
        self._tabulate()
        steps = [row.status.max_steps for row in rows if row.status.max_steps]
        chart.set_x_max(float(max(steps)) if steps else None)

    def switch_metric(self) -> None:
        """Show the next metric that the runs have."""
        if offered := self.offered:
            self._choose(offered[(offered.index(self.metric) + 1) % len(offered)])
            self._read()

    @property
    def offered(self) -> list[str]:
        """The metrics that the runs are summed up by, those that most of them have first, and then whatever else they log."""
        families = [row.snapshot.family for row in self._rows.values() if row.snapshot.family is not None]
        counted = Counter(name for family in families for name in dict.fromkeys(itertools.chain(*family.headline)))
        first = [name for name, _ in counted.most_common()]
        logged = Counter(name for key in self._rows for name in sorted(self._logged.get(key, ())) if name not in first)
        return [*first, *(name for name, _ in logged.most_common())]

    def _choose(self, metric: str) -> None:
        self.metric = metric
        chart = self.query_one(Chart)
        for name in self._drawn:
            chart.remove_series(name)
        self._drawn.clear()
        self._name_it()

    def _name_it(self) -> None:
        declared, offered = metric_named(self.metric), self.offered
        which = declared.description or declared.title
        place = f"  {offered.index(self.metric) + 1} of {len(offered)}" if self.metric in offered else ""
        self.query_one("#comparison-name", Static).update(
            Content.assemble(
                (printable_line(which), "bold $text-accent"), (f"{place}  c shows another", "$foreground 60%")
            )
        )

    def _read(self) -> None:
        """Read what the runs have written since the last time."""
        self._generation += 1
        work = [(name, self._followers.setdefault(name, RunFollower(row.run))) for name, row in self._rows.items()]
        generation, metric = self._generation, self.metric

        def read() -> None:
            for name, follower in work:
                with _READING:
                    if generation != self._generation:
                        return
                    follower.want((metric,))
                    follower.take()
                    follower.poll()
                    follower.take()
                    logged = follower.logged()
                self.post_message(self._Read(name, metric, follower, logged))

        threading.Thread(target=read, name="reading curves", daemon=True).start()

    def on_comparison__read(self, event: _Read) -> None:
        if self._logged.get(event.name) != event.logged:
            self._logged[event.name] = event.logged
            self._name_it()
        if event.name not in self._rows or event.metric != self.metric:
            return
        chart = self.query_one(Chart)
        if event.name not in self._drawn:
            series = event.follower.series[event.metric]
            series.name = series.title = event.name
            series.colour = colour(self._colours.get(event.name, 0))
            chart.add_series(series)
            self._drawn.add(event.name)
        chart.points_changed()

    def _tabulate(self) -> None:
        """Write the settings in which the runs differ, a run a row."""
        rows = list(self._rows.values())
        lines = [("best", [loss(row.status.best) for row in rows])]
        summaries = [row.snapshot.summarised for row in rows]
        if any(len(summarised) > 1 for summarised in summaries):
            lines.append(("losses", [measures(found) if len(found) > 1 else "–" for found in summaries]))
        trees = [row.snapshot.settings for row in rows]
        for path in differing([tree for tree in trees if tree]):
            lines.append((path, [_value(tree, path) for tree in trees]))
        shown = [(row.key, self._colours.get(row.key)) for row in rows], lines
        if shown == self._tabled:
            return
        self._tabled = shown
        table = self.query_one(DataTable)
        table.clear(columns=True)
        table.display = bool(rows)
        table.add_column("", width=max(len(name) for name, _ in lines))
        for number, row in enumerate(rows):
            width = max(len(row.key) + 1, *(len(values[number]) for _, values in lines))
            title = Text.assemble(("▍", colour(self._colours.get(row.key, 0))), printable_line(row.key))
            table.add_column(title, width=min(MOST_CELLS, width))
        for name, values in lines:
            table.add_row(Content(name), *(Content(printable_line(value)) for value in values))


_READING = threading.Lock()
"""Two threads must not poll the same follower."""


def _value(tree: Tree, path: str) -> str:
    section, _, field = path.partition(".")
    fields = tree.get(section, {})
    return show(fields[field]) if field in fields else "–"
