"""Groups on the command line: runs that differ in a few numbers, trained together and followed as one."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from statistics import mean, stdev
from typing import Any

from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import RunGroup, create_group
from torchtty.engine.contract.experiments.variation import Variation, in_words
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Configuration, Family, Metric
from torchtty.tui.cli.console import Exit, UsageError, notify, output, print_json, report_error
from torchtty.tui.cli.follow import GRACE, INTERVAL, counting_interrupts, display, last_line
from torchtty.tui.format import count, loss

STOP_PATIENCE = 60.0  # seconds that a worker may take over a step and the checkpoints of all runs


def train_group(
    configuration: Configuration,
    variation: Variation,
    name: str | None,
    recipe: str | None,
    *,
    detach: bool,
    as_json: bool,
) -> int:
    """Train the runs that differ as `variation` says, and follow them; return the exit code."""
    family = family_of(configuration.kind)
    if not family.trains_by_steps:
        raise UsageError(
            f"{family.title} is trained in one pass over the data: there is no group of it. Train one run."
        )
    with counting_interrupts() as interruptions:
        group = create_group(configuration.tree(), variation, name=name, recipe=recipe)
        worker = WarmWorker()
        worker.hand_over_group(group.directory, group.runs())
        handled, gone_since = 0, None
        with display(group.name, family, results_on_stdout=as_json or detach) as shown:
            while True:
                status, members = group.status(), _statuses(group.runs())
                taken_over = status.pid == worker.process.pid and status.state is not RunState.STARTING
                if taken_over and not status.state.is_live:
                    break
                if not worker.is_alive:
                    gone_since = gone_since or time.monotonic()
                    if time.monotonic() - gone_since > GRACE:
                        status = _failed(group, worker)
                        break
                if interruptions.count > handled:
                    handled = interruptions.count
                    if handled > 1:
                        notify(f"{group.name} stops after this step: 'torchtty runs' shows whether it has.")
                        return Exit.INTERRUPTED
                    group.stop()
                    shown.note("Stopping every run with a checkpoint; ctrl+c again leaves them to themselves.")
                if detach and taken_over and not handled and status.state in (RunState.RUNNING, RunState.QUEUED):
                    break
                shown.show(status, spread(members, family))
                time.sleep(INTERVAL)
        return _conclude(group, status, interrupted=handled > 0, detach=detach, as_json=as_json)


def show_group(group: RunGroup, *, as_json: bool) -> int:
    """Show the runs of a group, one a line, with mean and standard deviation; return the exit code."""
    runs, status = group.runs(), group.status()
    if as_json:
        print_json(_as_json(group, status))
        return Exit.DONE
    if not runs:
        notify(
            f"{group.name} is a group whose runs have been deleted: 'torchtty delete {group.name}' removes what is left."
        )
        return Exit.DONE
    family = family_of(runs[0].configuration().kind)
    output().print(_table(group, family))
    if (found := _common(_statuses(runs), family)) is not None and len(found[1]) > 1:
        metric, values = found
        output().print(
            Text(f"{metric.title} {loss(mean(values))} ± {loss(stdev(values))} (mean and sd of {len(values)})")
        )
    return Exit.DONE


def _statuses(runs: Sequence[RunDirectory]) -> list[Status]:
    return [run.status() for run in runs]


def spread(statuses: Sequence[Status], family: Family) -> str:
    """Return how many runs there are, and the mean of what sums them up, with its range: `10 runs · val 2.31 (2.28 to 2.35)`."""
    parts = [f"{len(statuses)} runs"]
    found = _common(statuses, family)
    if found is not None:
        metric, values = found
        parts.append(
            f"{metric.label or metric.title} {loss(mean(values))} ({loss(min(values))} to {loss(max(values))})"
        )
    if failed := sum(status.state is RunState.FAILED for status in statuses):
        parts.append(f"{failed} failed")
    return " · ".join(parts)


def _common(statuses: Sequence[Status], family: Family) -> tuple[Metric, list[float]] | None:
    """Return the most important metric that all runs have that have not failed, and its latest values."""
    good = [status for status in statuses if status.state is not RunState.FAILED]
    for group in family.headline:
        if good and all(group[0] in status.metrics for status in good):
            return family.metric(group[0]), [status.metrics[group[0]] for status in good]
    return None


def _failed(group: RunGroup, worker: WarmWorker) -> Status:
    """Note that the worker ended before it took the group over."""
    message = f"The worker process ended before it took the group over: {last_line(group.directory, worker)}"
    worker.close()
    for directory in (group.directory, *group.runs()):
        status = directory.status()
        if status.state.is_live or status.state is RunState.LOST:
            with suppress(OSError):
                directory.write_status(status.model_copy(update={"state": RunState.FAILED, "message": message}))
    return group.status()


def _conclude(group: RunGroup, status: Status, *, interrupted: bool, detach: bool, as_json: bool) -> int:
    """Print what the group has come to, or that it trains in the background; return the exit code."""
    statuses = _statuses(group.runs())
    if detach and status.state.is_live and not as_json:
        sys.stdout.write(f"{printable_line(group.name)}\n")
        notify(f"{len(statuses)} runs train in the background. 'torchtty stop {group.name}' stops them.")
    else:
        show_group(group, as_json=as_json)
    if interrupted:
        return Exit.INTERRUPTED
    if status.state in (RunState.FAILED, RunState.LOST) or any(one.state is RunState.FAILED for one in statuses):
        report_error(f"{group.name} {status.state.value}: {status.message or 'no reason was given'}")
        for run, one in zip(group.runs(), statuses, strict=True):
            if one.state is RunState.FAILED and one.message != status.message:
                notify(f"{run.name}: {one.message}")
        return Exit.FAILED
    return Exit.DONE


def _table(group: RunGroup, family: Family) -> Table:
    """Lay the runs out, one a line: what they differ in, their state, and what they came to."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    titles = [family.metric(names[0]).title for names in family.headline]
    for heading in ("run", "differs in", "state", "step", *titles, "best"):
        table.add_column(heading)
    for planned in group.planned():
        run = RunDirectory(group.path.parent / planned.name)
        status = run.status()
        figures = [loss(status.metrics.get(names[0])) for names in family.headline]
        best = loss(status.best) if family.watched else ""
        cells = [planned.name, in_words(planned.settings), status.state.value, count(status.step), *figures, best]
        table.add_row(*(Text(printable_line(cell)) for cell in cells))
    return table


def _as_json(group: RunGroup, status: Status) -> dict[str, Any]:
    runs = []
    for planned in group.planned():
        own = RunDirectory(group.path.parent / planned.name).status()
        found = {"run": planned.name, "settings": dict(planned.settings), "state": own.state.value, "step": own.step}
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
    notify(f"{group.name} is {group.status().state.value}; each of its runs can be resumed.")
    return Exit.DONE
