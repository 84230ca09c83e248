"""The chart of a race: bits per character of every model, over the seconds, steps or FLOPs that it has spent."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from torchtty.engine.contract.experiments.race import BITS, BudgetKind
from torchtty.engine.contract.experiments.results import Member, Results
from torchtty.engine.contract.experiments.standings import standings
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.settings.families import family_of
from torchtty.tui.charts.axes import Axis
from torchtty.tui.charts.figure import Cursor, Drawing
from torchtty.tui.charts.plane import Dot, Place, Plane, PlaneCurve, draw
from torchtty.tui.charts.style import ChartStyle, Line, Run, colour, faded
from torchtty.tui.experiments.choices import Choices
from torchtty.tui.experiments.fan import DARK, LEGEND, clipped, cut_off, in_lines, limits_of, y_axis

WAYS = 120  # places of the cursor along x
NOTHING = "The curves appear here once two points of a model are known."


@dataclass(frozen=True)
class Racer:
    """A model's curve: (spent, bits per character), ascending. One that is `done` for good has its last value from there on."""

    name: str
    number: int  # of its colour
    places: tuple[Place, ...]
    done: bool = False

    def at(self, x: float) -> float | None:
        """Return the bits at a place, those of the latest evaluation by then; None before the first."""
        found = bisect_right([place[0] for place in self.places], x)
        if not found or (x > self.places[-1][0] and not self.done):
            return None
        return self.places[found - 1][1]


@dataclass(frozen=True)
class RaceChart:
    """Curves over a common axis, the weakest first; the cursor goes along x and reads all of them."""

    racers: tuple[Racer, ...]
    x: Axis
    y: Axis
    x_title: str

    def _place(self, cursor: Cursor) -> float:
        return self.x.value(min(cursor[1], WAYS) / WAYS)

    def moved(self, cursor: Cursor | None, right: int, down: int) -> Cursor | None:
        return 0, WAYS if cursor is None else min(max(cursor[1] + right - down, 0), WAYS)

    def reading(self, cursor: Cursor) -> str:
        return f"{self.x_title} {_amount(self._place(cursor))}"

    def draw(self, width: int, height: int | None, cursor: Cursor | None, style: ChartStyle) -> Drawing:
        height = height or 20
        at = self._place(cursor) if cursor is not None else None
        legend = self._legend(width, at, style, LEGEND if height > 16 else 2 if height > 12 else 1)
        behind = style.backdrop or DARK
        curves = []
        if at is not None:
            curves.append(PlaneCurve(((at, self.y.low), (at, self.y.high)), faded("#ffffff", behind, 0.5), 0))
        dots = []
        for racer in self.racers:
            own = colour(racer.number)
            curves.append(PlaneCurve(clipped(self._line(racer), self.y), own, 1 + racer.number))
            if racer.done or len(racer.places) == 1:
                dots.append(Dot(racer.places[-1], "●" if style.unicode else "o", own))
        plane = Plane(self.x, self.y, tuple(curves), tuple(dots), f"{self.x_title} →", "bits per character ↑")
        return Drawing((*legend, *draw(plane, width, height - len(legend), style)))

    def _line(self, racer: Racer) -> tuple[Place, ...]:
        """Return a curve, and where nothing more comes of it, its last value up to the end of the axis."""
        beyond = racer.done and racer.places[-1][0] < self.x.high
        return (*racer.places, *([(self.x.high, racer.places[-1][1])] if beyond else []))

    def _legend(self, width: int, at: float | None, style: ChartStyle, most: int) -> list[Line]:
        """Write the models with their bits, at the cursor or at the end, the strongest first."""
        entries: list[Line] = [((f"{self.x_title} {_amount(at)} ", style.cursor),)] if at is not None else []
        found = [(racer, racer.places[-1][1] if at is None else racer.at(at)) for racer in self.racers]
        for racer, bits in sorted(found, key=lambda pair: (pair[1] is None, pair[1] or 0.0)):
            runs: list[Run] = [(style.sample(1 + racer.number), style.curve(colour(racer.number)))]
            entries.append((*runs, (f" {printable_line(racer.name)} {written(bits)}", style.label)))
        entries += cut_off((racer.places for racer in self.racers), self.y, style)
        return in_lines(entries, width, most, style)


def race_chart_of(results: Results, choices: Choices) -> RaceChart | str:
    """Return the chart of a race, or why there is none."""
    assert results.race is not None
    kind = BudgetKind(choices.x) if choices.x else results.race.budget.kind
    log = kind is not results.race.budget.kind  # what was not the same for all spans several powers of ten
    numbers = {member.name: number for number, member in enumerate(results.members)}
    found = []
    for standing in standings(results):
        member = standing.member
        each = {
            BudgetKind.STEPS: 1.0,
            BudgetKind.FLOPS: results.race.flops.get(standing.name, 0.0),
            BudgetKind.SECONDS: None,
        }[kind]
        places = _places(member, each, log=log)
        if places:
            done = each == 0.0 or not family_of(member.tree["model"]["kind"]).trains_by_steps
            found.append(Racer(standing.name, numbers[member.name], places, done))
    return _chart(found, kind, log=log, log_y=choices.log)


def _places(member: Member, each: float | None, *, log: bool) -> tuple[Place, ...]:
    """Return (spent, bits) of a model; `each` is what a step spends, None for its seconds; of what spends nothing the end."""
    bits = member.curves.get(BITS)
    if bits is None or not len(bits):
        return ()
    if each == 0.0:
        return ((0.0, bits.values[-1]),)
    places = []
    for step, value in zip(bits.steps, bits.values, strict=True):
        spent = member.seconds.at(step) if each is None else each * step
        if spent is not None and (spent > 0 or not log):
            places.append((spent, value))
    return tuple(places)


def _chart(found: Sequence[Racer], kind: BudgetKind, *, log: bool, log_y: bool) -> RaceChart | str:
    spent = [x for racer in found for x, _ in racer.places if x > 0]
    values = limits_of([racer.places for racer in found])
    if not spent or values is None:
        return NOTHING
    low, high = (min(spent), max(spent)) if log else (0.0, max(spent))
    if log and low == high:
        low = high / 10
    x = Axis(low, high, log)
    racers = tuple(
        Racer(one.name, one.number, tuple((max(place[0], x.low), place[1]) for place in one.places), one.done)
        for one in found
    )
    return RaceChart(racers, x, y_axis(*values, log=log_y), kind.value)


def _amount(value: float) -> str:
    """Write what was spent: `12.5`, `3,400`, `2.3e10`."""
    if value >= 1e6:
        return f"{value:.2g}".replace("e+", "e")
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
