"""The tables of a group: losses by step and run, settings against settings, every run, and what mattered."""

from collections.abc import Sequence
from itertools import pairwise, product
from statistics import median
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.comparison import Ranked, losses_of_runs, ranked, verdict, which_mattered
from torchtty.engine.contract.experiments.race import BITS
from torchtty.engine.contract.experiments.results import BEST, LAST, At, Member, Results, label, short_name
from torchtty.engine.contract.experiments.standings import race_table
from torchtty.engine.contract.experiments.statistics import FEWEST_TO_RESAMPLE, Spread
from torchtty.engine.contract.experiments.tables import Cell, Table, written
from torchtty.engine.contract.experiments.variation import SEED
from torchtty.engine.contract.settings.fields import show
from torchtty.engine.contract.settings.recipes import Reference

LENGTH = "training.max_steps"
MOST_STEPS = 25  # rows of a table of steps
FEW_STEPS = 11
STABILISED_ROW = "  stabilised"
NOT_YET = "not yet"  # stabilised
MOST_COLUMNS = 12  # runs beside each other

STABILISED = (
    "Stabilised: the earliest {unit} from which on the {curve} curve stays near its end ('torchtty guide statistics')."
)


def tables_of(
    results: Results, *, rows: str = "", columns: Sequence[str] = (), metric: str = "", at: Sequence[At] = ()
) -> list[Table]:
    """Return the tables that answer a group's question: those asked for, else what suits its settings.

    Runs that differ in the seed alone are shown by step; others as a matrix of their settings. Raises `UserError` for a setting in
    which the runs do not differ, or a metric that none of them has.
    """
    if results.race is not None and not (rows or columns or at) and metric in ("", BITS):
        return [race_table(results)]
    metric = checked_metric(results, metric)
    fields = [path for path in results.fields if path != SEED]
    rows, columns = rows and field_named(results, rows), [field_named(results, name) for name in columns]
    last = [*at] or [LAST]
    if not (rows or columns or fields):
        steps = [int(step) for step in at if not isinstance(step, str)] or table_steps(results, metric)
        found = (
            [by_step(results, metric, steps), *([changes(results, metric, steps)] if len(steps) > 1 else [])]
            if len(results.members) <= MOST_COLUMNS
            else []
        )
        return [*found, by_run(results, metric, [*(steps if not found else ()), *(last if found else ())])]
    if not rows:
        rows = max(
            (path for path in fields or results.fields if path not in columns),
            key=lambda path: len(results.values(path)),
            default="",
        )
    if not columns:
        columns = [path for path in fields if path != rows]
    moments = [] if LENGTH in results.fields else figure_steps(results, metric)
    found = [matrix(results, rows, columns, metric, [*at] or [*moments] or [LAST])]
    if len(ranked(results, metric)) > 1:
        found += [ranking(results, metric, last[-1])]
    if mattered := which_mattered(results, metric, last[-1]):
        found.append(
            Table(
                "Which setting mattered",
                ("setting", "explains", "by chance", "means"),
                tuple(
                    (
                        entry.name,
                        f"{entry.share:.0%}",
                        f"{entry.by_chance:.0%}",
                        " · ".join(f"{name}: {written(mean)}" for name, mean, _ in entry.groups),
                    )
                    for entry in mattered
                ),
                ("Share of the variance between runs that each setting explains on its own (eta squared).",),
            )
        )
    return found


def checked_metric(results: Results, name: str) -> str:
    """Return a metric of the group: the one named, or the one that it is judged by; raise `UserError` if there is none."""
    if not results.metrics:
        raise UserError(f"{results.name} has no results yet: none of its runs has logged a step.")
    if name and name not in results.metrics:
        raise UserError(f"{results.name} has no metric '{name}'. It has {', '.join(results.metrics)}.")
    return name or results.metric


def field_named(results: Results, name: str) -> str:
    """Return the path of a setting in which the runs differ, given it or its last part; raise `UserError` if there is none."""
    found = [path for path in results.fields if name in (path, short_name(path))]
    if not found:
        differing = ", ".join(map(short_name, results.fields)) or "nothing"
        raise UserError(f"The runs of {results.name} do not differ in '{name}', but in {differing}.")
    return found[0]


def figure_steps(results: Results, metric: str) -> list[int]:
    """Return the steps for which the recipe has figures."""
    steps = {results.step_of(entry) for entry in results.references if entry.metric == metric}
    return sorted(step for step in steps if step <= results.last_step)


def table_steps(results: Results, metric: str) -> list[int]:
    """Return the steps of a table: all where they are few, else those of the recipe's figures, else some at equal distances."""
    steps = results.steps(metric)
    if len(steps) <= MOST_STEPS:
        return list(steps)
    if figures := figure_steps(results, metric):
        return [int(step) for step in figures]
    return sorted({steps[round(place * (len(steps) - 1) / (FEW_STEPS - 1))] for place in range(FEW_STEPS)})


def steps_per_epoch(results: Results) -> int | None:
    """Return how long an epoch is; None where the recipe does not say so, or the runs have another batch size."""
    recipe = results.recipe
    if recipe is None or not recipe.steps_per_epoch:
        return None
    sizes = {member.tree.get("training", {}).get("batch_size") for member in results.members if member.tree}
    return recipe.steps_per_epoch if sizes == {recipe.tree["training"].get("batch_size")} else None


def epochs(results: Results, step: float) -> Cell:
    """Return the epoch of a step; None where it is not known how long one is."""
    length = steps_per_epoch(results)
    if length is None:
        return None
    epoch = step / length
    return int(epoch) if epoch.is_integer() else epoch


def unit(results: Results) -> str:
    """Name what `_moment` counts."""
    return "step" if epochs(results, 0) is None else "epoch"


def moment(results: Results, step: float) -> Cell:
    """Return a step, as its epoch where that is known."""
    found = epochs(results, step)
    return int(step) if found is None else found


def name_of(results: Results, at: At) -> str:
    return at if isinstance(at, str) else f"{unit(results)} {written(moment(results, at))}"


def title_of(results: Results, metric: str) -> str:
    """Name a metric: `training loss`."""
    declared = results.family.metric(metric) if results.family else None
    return (declared.description or declared.title or metric) if declared else metric


# -- tables ---------------------------------------------------------------------------------------------------------


def by_step(results: Results, metric: str, steps: Sequence[int]) -> Table:
    """Return a row a step with the value of every run, their mean and standard deviation, and the recipe's figure."""
    figures = [results.reference(results.members, metric, step) for step in steps]
    rows: list[tuple[Cell, ...]] = []
    for step, figure in zip(steps, figures, strict=True):
        spread = results.spread(results.members, metric, step)
        values = [member.value(metric, step) for member in results.members]
        course = [_figure(figure)] if any(figures) else []
        rows.append((moment(results, step), *values, *(_sums(spread)), *course))
    sources = dict.fromkeys(
        f"{name_of(results, step)}: {entry.source}" for step, entry in zip(steps, figures, strict=True) if entry
    )
    headings = (unit(results), *map(_column, results.members), "mean", "sd", *(["course"] if any(figures) else []))
    notes = [*sources, *_ends(results, metric)]
    return Table(f"{results.name}: {title_of(results, metric)}", headings, tuple(rows), tuple(filter(None, notes)))


def changes(results: Results, metric: str, steps: Sequence[int]) -> Table:
    """Return what every run has changed by from one step of a table to the next, with mean and standard deviation."""
    rows: list[tuple[Cell, ...]] = []
    for before, step in pairwise(steps):
        pairs = [(member.value(metric, before), member.value(metric, step)) for member in results.members]
        deltas = [None if one is None or other is None else other - one for one, other in pairs]
        spread = Spread(tuple(delta for delta in deltas if delta is not None))
        rows.append((moment(results, step), *deltas, *_sums(spread)))
    headings = (unit(results), *map(_column, results.members), "mean", "sd")
    return Table("Change since the row before", headings, tuple(rows))


def by_run(results: Results, metric: str, at: Sequence[At]) -> Table:
    """Return a row a run: settings, values, the lowest and the last one, when it has stabilised, and its state."""
    # The best and the last have columns of their own.
    steps: list[At] = [moment_ for moment_ in at if not isinstance(moment_, str)]
    headings = (
        *map(short_name, results.fields),
        *(name_of(results, step) for step in steps),
        "best",
        "last",
        "stabilised",
        "state",
    )
    rows: list[tuple[Cell, ...]] = []
    for member in results.members:
        settings = [show(member.settings.get(path)) for path in results.fields]
        values = [member.value(metric, step) for step in steps]
        rows.append(
            (
                *settings,
                *values,
                member.value(metric, BEST),
                member.value(metric),
                stabilised(results, [member]),
                member.state,
            )
        )
    spreads = [results.spread(results.members, metric, step) for step in (*steps, BEST, LAST)]
    blank = [""] * max(0, len(results.fields) - 1)
    name = ["mean"] if results.fields else []
    rows.append((*name, *blank, *(spread.mean if spread.n else None for spread in spreads), None, ""))
    rows.append((*(["sd"] if results.fields else []), *blank, *(spread.sd for spread in spreads), None, ""))
    notes = (_stabilised_note(results), *_ends(results, metric))
    quiet = frozenset((len(rows) - 2, len(rows) - 1))
    return Table(f"Runs: {title_of(results, metric)}", headings, tuple(rows), tuple(filter(None, notes)), quiet)


def matrix(results: Results, rows: str, columns: Sequence[str], metric: str, at: Sequence[At]) -> Table:
    """Return a setting against others and against moments: a row a value, with the recipe's figures and the stabilisation below.

    A cell is the mean of its runs, with their standard deviation where there are several. What depends on the length of a run
    alone is no run of its own: see `passes_through`.
    """
    cells = list(product(*(results.values(path) for path in columns)))
    found: list[tuple[Cell, ...]] = []
    quiet, sources = set[int](), dict[str, None]()
    for value in results.values(rows) if rows else (None,):
        ours: list[Cell] = []
        course: list[Cell] = []
        settled: list[Cell] = []
        for chosen in cells:
            members = members_with(
                results, {**({rows: value} if rows else {}), **dict(zip(columns, chosen, strict=True))}
            )
            for step in at:
                ours.append(value_of(results.spread(members, metric, step)))
                until = None if isinstance(step, str) else step
                figure = results.reference(members, metric, end_of(results, members) if until is None else until)
                course.append(_figure(figure) if figure else None)
                settled.append(stabilised(results, members, until))
                if figure:
                    sources[figure.source] = None
        found.append((show(value) if rows else "all", *ours))
        for name, others in (("  course", course), (STABILISED_ROW, settled)):
            if any(other is not None for other in others):
                quiet.add(len(found))
                found.append((name, *others))
    names = [label(tuple(zip(columns, chosen, strict=True))) if columns else "" for chosen in cells]
    several = len(at) > 1 or not columns
    headings = [
        " · ".join(filter(None, (name, name_of(results, step) if several else ""))) for name in names for step in at
    ]
    title = f"{results.name}: {title_of(results, metric)}" + ("" if several else f", {name_of(results, at[0])}")
    shorter = passes_through(results, [step for step in at if not isinstance(step, str)])
    note = _stabilised_note(results) if any(row[0] == STABILISED_ROW for row in found) else ""
    notes = (*(f"course: {source}" for source in sources), shorter, note, *_ends(results, metric))
    return Table(title, (short_name(rows), *headings), tuple(found), tuple(filter(None, notes)), frozenset(quiet))


def ranking(results: Results, metric: str, at: At = LAST) -> Table:
    """Return the settings, the best first: number of runs, mean, standard deviation, interval of the mean, range."""
    settings = ranked(results, metric, at)
    several = any(entry.spread.n > 1 for entry in settings)
    lost = any(entry.spread.n < entry.spread.runs for entry in settings)
    rows: list[tuple[Cell, ...]] = []
    for entry in settings:
        spread = entry.spread
        interval = spread.interval
        bounds = "–" if interval is None else f"{written(interval[0])} to {written(interval[1])}"
        sums = (*_sums(spread), bounds, spread.low, spread.high) if several else (spread.mean if spread.n else None,)
        rows.append((entry.name, spread.n, *sums, *((spread.diverged, spread.failed) if lost else ())))
    sums_named = ("mean", "sd", "95 % of mean", "lowest", "highest") if several else ("value",)
    return Table(
        f"Settings by {title_of(results, metric)}, {name_of(results, at)}",
        ("setting", "n", *sums_named, *(("diverged", "failed") if lost else ())),
        tuple(rows),
        tuple(filter(None, [verdict(results, metric, at), _missing_intervals(settings) if several else ""])),
    )


def _missing_intervals(settings: Sequence[Ranked]) -> str:
    """Say why settings of several runs have no interval; nothing where each has one."""
    counts = sorted({entry.spread.n for entry in settings if entry.spread.n > 1 and entry.spread.interval is None})
    if not counts:
        return ""
    few = " and ".join(map(str, counts))
    return f"95 % of mean needs {FEWEST_TO_RESAMPLE} runs of a setting: {few} are too few to draw it from."


def passes_through(results: Results, steps: Sequence[float]) -> str:
    """Say that what stands at earlier steps of longer runs is what runs of those lengths end with; nothing where it is not so.

    It is so where nothing in the runs looks ahead to their last step: the learning rate is constant, and no length varies.
    """
    earlier = [step for step in steps if 0 < step < results.last_step]
    constant = all(member.tree.get("schedule", {}).get("kind") == "constant" for member in results.members)
    if not earlier or not constant or LENGTH in results.fields:
        return ""
    settings = len({member.setting for member in results.members})
    return (
        f"{settings * len(steps)} cells of {len(results.members)} runs: the learning rate is constant, so that a run stands at"
        f" {' and '.join(name_of(results, step) for step in earlier)} where a run of that length would end."
    )


def end_of(results: Results, members: Sequence[Member]) -> int:
    """Return the step at which runs end, where all of them end at the same; otherwise that at which the group does."""
    ends = {int(member.tree.get("training", {}).get("max_steps", 0)) for member in members if member.tree}
    return ends.pop() if len(ends) == 1 else results.last_step


def members_with(results: Results, settings: dict[str, Any]) -> list[Member]:
    """Return the runs that have these settings."""
    return [
        member
        for member in results.members
        if all(member.settings.get(path) == value for path, value in settings.items())
    ]


def stabilised(results: Results, members: Sequence[Member], until: float | None = None) -> Cell:
    """Return when the curves of runs have stabilised, in epochs where those are known: the median of several.

    `NOT_YET` if none has, and None where they are too short to say.
    """
    found = [one for member in members if (one := member.stabilised(results.trained, until)) is not None]
    steps = [one.step for one in found if one.step is not None]
    if not steps:
        return NOT_YET if found else None
    when = moment(results, round(median(steps)))
    return when if len(steps) == len(members) else f"{written(when)} ({len(steps)} of {len(members)})"


def value_of(spread: Spread) -> Cell:
    """Return a cell: a value, `mean ± sd` of several, with how many of the runs have one where some do not."""
    if not spread.n:
        return "diverged" if spread.diverged else "failed" if spread.failed else None
    text = written(spread.mean) if spread.n == 1 else f"{written(spread.mean)} ± {written(spread.sd)}"
    if spread.n < spread.runs:
        return f"{text} ({spread.n} of {spread.runs})"
    return spread.mean if spread.n == 1 else text


def _sums(spread: Spread) -> tuple[Cell, Cell]:
    return (spread.mean, spread.sd) if spread.n else (None, None)


def _figure(reference: Reference | None) -> Cell:
    if reference is None:
        return None
    if reference.at_most is not None or reference.value is None:
        return f"≤ {reference.at_most:g}"
    return f"{reference.value:g} ± {reference.spread:g}" if reference.spread else float(reference.value)


def _column(member: Member) -> str:
    return label(tuple(member.settings.items()))


def _ends(results: Results, metric: str) -> list[str]:
    """Return what is said below a table: the verdict's grain of salt, and the runs that came to nothing."""
    spread = results.spread(results.members, metric)
    interval = spread.interval if len(ranked(results, metric)) == 1 else None
    said = []
    if interval is not None:
        bounds = f"{written(interval[0])} to {written(interval[1])}"
        said.append(f"Last: mean {written(spread.mean)}, 95 % bootstrap interval {bounds} (n = {spread.n}).")
    return [*said, losses_of_runs(results)]


def _stabilised_note(results: Results) -> str:
    return STABILISED.format(unit=unit(results), curve=title_of(results, results.trained))
