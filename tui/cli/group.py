"""Groups on the command line: runs that differ in a few numbers, trained together and followed as one."""

import time
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import Planned, RunGroup
from torchtty.engine.contract.experiments.results import ResultsReader
from torchtty.engine.contract.experiments.standings import standings
from torchtty.engine.contract.experiments.variation import short
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Family, Metric
from torchtty.engine.contract.settings.fields import show
from torchtty.tui.cli.console import Exit, notify, output, print_json
from torchtty.tui.cli.follow import INTERVAL, counting_interrupts
from torchtty.tui.format import count, loss

STOP_PATIENCE = 60.0  # seconds that a worker may take over a step and the checkpoints of all runs


def show_group(group: RunGroup, *, as_json: bool) -> int:
    """Show the runs of a group, one a line, with mean and standard deviation; return the exit code."""
    runs, status = group.runs(), group.status()
    if as_json:
        print_json(group_as_json(group, status))
        return Exit.DONE
    if not runs:
        notify(
            f"{group.name} is a group whose runs have been deleted: 'torchtty delete {group.name}' removes what is left."
        )
        return Exit.DONE
    family = family_of(runs[0].configuration().kind)
    output().print(_table(group, family))
    found = (
        _common(_statuses(runs), family) if group.race() is None else None
    )  # of models that differ, a mean says nothing
    if found is not None and len(found[1]) > 1:
        metric, values = found
        output().print(
            Text(f"{metric.title} {loss(mean(values))} ± {loss(stdev(values))} (mean and sd of {len(values)})")
        )
    return Exit.DONE


def _statuses(runs: Sequence[RunDirectory]) -> list[Status]:
    return [run.status() for run in runs]


def spread(statuses: Sequence[Status], family: Family) -> str:
    """Return how many runs there are, and the mean of what sums them up, with its range: `10 runs · val 2.31 (2.28 to 2.35)`."""
    parts = [f"{len(statuses)} run{'s' * (len(statuses) != 1)}"]
    found = _common(statuses, family)
    if found is not None:
        metric, values = found
        parts.append(
            f"{metric.label or metric.title} {loss(mean(values))} ({loss(min(values))} to {loss(max(values))})"
        )
    for what, how_many in outcomes(statuses).items():
        parts.append(f"{how_many} {what}")
    return " · ".join(parts)


def standing(reader: ResultsReader) -> str:
    """Say how a race stands in a line of progress: how many are over, and who leads."""
    results = reader.read()
    over = sum(not member.status.state.is_live for member in results.members)
    ladder = [one for one in standings(results) if one.bits is not None]
    leads = f" · {ladder[-1].name} leads, {loss(ladder[-1].bits)} bits/char" if ladder else ""
    return f"{over} of {len(results.members)} models{leads}"


def outcomes(statuses: Sequence[Status]) -> dict[str, int]:
    """Count the runs that are over, by how they ended: finished ones while others go on, diverged and failed ones always."""
    finished = sum(status.state is RunState.FINISHED for status in statuses)
    diverged = sum(status.diverged for status in statuses)
    failed = sum(status.state is RunState.FAILED for status in statuses) - diverged
    counts = {"finished": finished if finished < len(statuses) else 0, "diverged": diverged, "failed": failed}
    return {what: how_many for what, how_many in counts.items() if how_many}


def _common(statuses: Sequence[Status], family: Family) -> tuple[Metric, list[float]] | None:
    """Return the most important metric that all runs have that have not failed, and its latest values."""
    good = [status for status in statuses if status.state is not RunState.FAILED]
    for group in family.headline:
        if good and all(group[0] in status.metrics for status in good):
            return family.metric(group[0]), [status.metrics[group[0]] for status in good]
    return None


def _table(group: RunGroup, family: Family) -> Table:
    """Lay the runs out, one a line: what they differ in, their state, and what they came to."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    titles = [family.metric(names[0]).title for names in family.headline]
    varied = group.variation().paths
    for heading in (*(short(path) for path in varied), "state", "step", *titles, "best", "run"):
        table.add_column(heading)
    for planned in group.planned():
        run = RunDirectory(group.path.parent / planned.name)
        status = run.status()
        figures = [loss(status.metrics.get(names[0])) for names in family.headline]
        best = loss(status.best) if family.watched else ""
        settings = [show(planned.settings.get(path)) for path in varied]
        cells = [*settings, _word(planned, status), count(status.step), *figures, best, planned.name]
        table.add_row(*(Text(printable_line(cell)) for cell in cells))
    return table


def _word(planned: Planned, status: Status) -> str:
    """Say in a word what has become of a run."""
    return planned.ended or ("diverged" if status.diverged else status.state.value)


def group_as_json(group: RunGroup, status: Status) -> dict[str, Any]:
    runs = []
    for planned in group.planned():
        own = RunDirectory(group.path.parent / planned.name).status()
        found = {"run": planned.name, "settings": dict(planned.settings), "state": own.state.value, "step": own.step}
        found |= {"ended": planned.ended, "diverged": own.diverged}
        runs.append(found | {"metrics": own.metrics, "best": own.best, "message": own.message})
    return {"group": group.name, "path": str(group.path), "state": status.state.value, "message": status.message} | {
        "runs": runs
    }


def stop_group(group: RunGroup) -> int:
    """Stop every run of a group with a checkpoint; return the exit code."""
    status = group.status()
    if not status.state.is_live:
        notify(f"{group.name} is {status.state.value}: there is nothing to stop.")
        return Exit.DONE
    group.stop()
    until = time.monotonic() + STOP_PATIENCE
    with counting_interrupts() as interruptions:
        while group.status().state.is_live:
            if interruptions.count:
                return Exit.INTERRUPTED
            if time.monotonic() > until:
                raise UserError(
                    f"{group.name} has not stopped within {STOP_PATIENCE:.0f} s. Its log is {group.directory.log_path}."
                )
            time.sleep(INTERVAL)
    status = group.status()
    notify(f"{group.name} is {status.state.value}; 'torchtty sweep --resume {group.name}' goes on with it.")
    if status.message:
        notify(status.message)
    return Exit.DONE
