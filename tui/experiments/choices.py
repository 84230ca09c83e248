"""What is looked at of a group: which view, metric, moment and settings, and how the keys go through them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from torchtty.engine.contract.experiments.race import BudgetKind
from torchtty.engine.contract.experiments.results import BEST, LAST, At, Results
from torchtty.engine.contract.experiments.summaries import LENGTH, figure_steps
from torchtty.engine.contract.experiments.variation import SEED

T = TypeVar("T")
NONE = ""  # no setting


@dataclass(frozen=True)
class View:
    """A way to look at a group: its id, its title, and what it shows."""

    id: str
    title: str
    about: str


VIEWS = (
    View("fan", "Curves", "The curve of every run, their mean, and the band of one standard deviation around it"),
    View("matrix", "Matrix", "A setting against another: mean, spread and shade of the result; enter opens its runs"),
    View("panels", "Panels", "The curves of every value of a setting in a panel of its own"),
    View("mattered", "Mattered", "How much of the differences between runs each setting explains"),
    View("scatter", "Scatter", "A setting against the result, a dot a run; enter opens it"),
    View("table", "Table", "Losses by step and run, settings ranked, with the recipe's figures"),
)
WITH_MOMENTS = ("matrix", "table")  # the views that show several moments beside each other


@dataclass(frozen=True)
class Choices:
    """What is looked at. Empty names stand for what suits the group."""

    view: str = VIEWS[0].id
    metric: str = ""
    at: At = LAST
    rows: str = ""
    columns: str = ""
    chosen_columns: bool = False  # whether `columns` is a choice, and may then be none
    each: bool = (
        True  # whether matrix and table have a column for every moment of the recipe's figures, where there are several
    )
    log: bool = False
    x: str = ""  # of a race: what was spent, its budget if left open

    def settled(self, results: Results) -> "Choices":
        """Return the choices as they are of a group: names that it lacks, or that were left open, replaced by what suits it."""
        metric = self.metric if self.metric in results.metrics else results.metric
        at = self.at if self.at in moments(results, metric) else LAST
        fields = sorted(
            (path for path in results.fields if path != SEED), key=lambda path: len(results.values(path)), reverse=True
        ) + [path for path in results.fields if path == SEED]
        rows = self.rows if self.rows in fields else next(iter(fields), NONE)
        others = [path for path in fields if path != rows]
        if self.columns in others or (self.chosen_columns and self.columns == NONE):
            columns = self.columns
        else:
            columns = next((path for path in others if path != SEED), NONE)
        kinds = [kind.value for kind in BudgetKind] if results.race is not None else []
        x = self.x if self.x in kinds else results.race.budget.kind.value if results.race is not None else NONE
        return replace(self, metric=metric, at=at, rows=rows, columns=columns, x=x)

    def next_metric(self, results: Results) -> "Choices":
        return replace(self, metric=after(results.metrics, self.metric), at=LAST)

    def next_moment(self, results: Results) -> "Choices":
        offered = moments(results, self.metric)
        if self.columns_of_moments(results):
            return replace(self, each=False, at=offered[0])
        return replace(self, at=after(offered, self.at), each=self.view in WITH_MOMENTS and self.at == offered[-1])

    def columns_of_moments(self, results: Results) -> list[int]:
        """Return the steps for which matrix and table have columns; none where they are about a single moment."""
        steps = figure_steps(results, self.metric) if self.view in WITH_MOMENTS and self.each else []
        return steps if len(steps) > 1 and LENGTH not in results.fields else []

    def next_rows(self, results: Results) -> "Choices":
        rows = after(results.fields, self.rows)
        return replace(self, rows=rows, columns=self.rows if rows == self.columns else self.columns)

    def next_axis(self, results: Results) -> "Choices":
        return replace(self, x=after([kind.value for kind in BudgetKind], self.x)) if results.race else self

    def next_columns(self, results: Results) -> "Choices":
        offered = (*(path for path in results.fields if path != self.rows), NONE)
        return replace(self, columns=after(offered, self.columns), chosen_columns=True)


def moments(results: Results, metric: str) -> tuple[At, ...]:
    """Return the moments at which a result can be read: at the end, the best, at the steps of the recipe's figures."""
    return (LAST, BEST, *(step for step in figure_steps(results, metric)))


def after(offered: Sequence[T], present: T) -> T:
    """Return what comes after the present one, and the first after the last."""
    if not offered:
        return present
    return offered[(offered.index(present) + 1) % len(offered)] if present in offered else offered[0]
