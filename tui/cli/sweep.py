"""Sweeps on the command line: runs that differ in some settings, planned, trained and followed as one."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torchtty.engine.contract.client.workers import WarmWorker
from torchtty.engine.contract.experiments.cluster import Cluster
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.lifecycle import (
    fork_of,
    group_named,
    open_runs,
    resume_sweep,
    start_sweep,
    sweep_of,
)
from torchtty.engine.contract.experiments.outlook import outlook
from torchtty.engine.contract.experiments.results import ResultsReader, read_results
from torchtty.engine.contract.experiments.sweep import Sweep, define, plan_from, read_file
from torchtty.engine.contract.experiments.values import is_several
from torchtty.engine.contract.experiments.variation import fields_of
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.abbreviations import written_out
from torchtty.engine.contract.settings.configuration import ConfigurationError, parse
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.mirrors import refuse_missing_mirror
from torchtty.tui.cli.arguments import (
    Arguments,
    Preset,
    full_paths,
    parse_argv,
    preset_named,
    recipes,
    refuse_unreadable_data,
    with_absolute_paths,
)
from torchtty.tui.cli.console import Exit, UsageError, messages, notify, print_json, report_error
from torchtty.tui.cli.follow import INTERVAL, Interruptions, counting_interrupts, display, last_line
from torchtty.tui.cli.group import group_as_json, show_group, spread, standing
from torchtty.tui.cli.results import print_results
from torchtty.tui.format import rough_duration, size

BEGINS = 20.0  # seconds that a coordinator may take to begin


def sweep(
    arguments: Sequence[str],
    options: Mapping[str, Any],
    *,
    name: str | None,
    resume: str | None,
    workers: int | None,
    detach: bool,
    as_json: bool,
    dry_run: bool = False,
    grid_of_recipe: bool = True,
    cluster: Cluster | None = None,
) -> int:
    """Plan a sweep from the arguments and train it, or go on with one; return the exit code."""
    if workers is not None and workers < 1:
        raise UsageError("--workers takes how many runs may train side by side: 1 or more.")
    if resume is not None:
        if arguments:
            raise UsageError("A sweep that is gone on with keeps its settings: give --resume and its name alone.")
        group = group_named(resume)
        notify(f"{group.name}: {len(open_runs(group))} of {len(group.planned())} runs are to be finished.")
        return followed(lambda: _resumed(group, workers), detach=detach, as_json=as_json)
    given = parse_argv(arguments)
    planned, name = _planned(given, options, name, grid_of_recipe=grid_of_recipe)
    planned.check()
    notify(announcement(planned))
    if cluster is None and (dry_run or (messages().is_terminal and not as_json and not detach)):
        notify(amount(planned, workers))
    if dry_run:
        return Exit.DONE
    return train_sweep(planned, name, workers=workers, detach=detach, as_json=as_json, cluster=cluster)


def cluster_of(kind: str | None, job: Sequence[str]) -> Cluster | None:
    """Return the cluster that options name; raise a `UsageError` for what a job is given without one."""
    if kind is None and job:
        raise UsageError("--job says what a job of a cluster is given: name that too, with --cluster slurm.")
    return Cluster.read(kind, job) if kind is not None else None


def fork_group(
    group: RunGroup, arguments: Arguments, name: str | None, *, workers: int | None, detach: bool, as_json: bool
) -> int:
    """Train the sweep of a group anew, with the settings that were given; return the exit code."""
    sweep = sweep_of(group)
    texts = _texts(arguments, Preset(group.name, group.name, "", sweep.tree, sweep.recipe))
    try:
        planned = fork_of(group, texts)
    except ConfigurationError as error:
        raise UsageError("\n".join(f"--{one}" for one in error.problems)) from None
    planned = replace(planned, tree=with_absolute_paths(parse(planned.tree)).tree())
    planned.check()
    notify(f"As {group.name}: {announcement(planned)}")
    return train_sweep(planned, name, workers=workers, detach=detach, as_json=as_json)


def train_sweep(
    planned: Sweep,
    name: str | None,
    *,
    workers: int | None,
    detach: bool,
    as_json: bool,
    cluster: Cluster | None = None,
) -> int:
    """Start a sweep and follow it; return the exit code."""
    return followed(
        lambda: start_sweep(planned, name, workers=workers, cluster=cluster), detach=detach, as_json=as_json
    )


def announcement(planned: Sweep) -> str:
    """Say what a sweep will do: its runs, what varies, and how it chooses them."""
    plan, runs = planned.plan, planned.runs
    how = {"grid": "every combination", "random": f"drawn at random, seed {plan.seed}"}
    how["halving"] = f"halving: 1 in {plan.keep} goes on after each round"
    return f"{runs:,} run{'s' * (runs != 1)}: {planned.in_words()} ({how.get(plan.kind, f'{plan.kind}, seed {plan.seed}')})."


def amount(planned: Sweep, workers: int | None) -> str:
    """Say about how long a sweep takes and how much memory and disk, from steps of one of its runs that a worker times here."""
    worker = WarmWorker()
    try:
        request = worker.prepare(planned.first().tree())
        with messages().status("timing one of its runs"):
            while (answer := worker.answer(request)) is None and worker.is_alive:
                time.sleep(INTERVAL / 2)
    finally:
        worker.close()
    found = outlook(planned, answer, workers)
    parts = [f"{'at most' if found.is_bound else 'about'} {rough_duration(found.seconds)}"] if found.seconds else []
    for bytes, where in ((found.memory, "of memory"), (found.disk, "on disk")):
        if bytes is not None:
            parts.append(f"{size(max(1e6, round(bytes, -6)))} {where}")
    return f"{', '.join(parts) or 'How long it takes is not known'}: {found.how}."


def several_values(preset: Preset, given: Arguments) -> bool:
    """Whether a setting was given several values, where a comma in a shape's number may separate thousands."""
    fields = fields_of(preset.kind, preset.tree)
    for name, text in given.settings.items():
        fitting = [spec for path, spec in fields.items() if written_out(name) in (path, spec.name)]
        if text and any(is_several(spec, text) for spec in fitting):
            return True
    return False


def _planned(
    given: Arguments, options: Mapping[str, Any], name: str | None, *, grid_of_recipe: bool
) -> tuple[Sweep, str | None]:
    """Return the sweep that arguments and options say, and its name if it was given one."""
    if not given.words:
        raise UsageError("Name a model, a recipe or a file to sweep: 'torchtty sweep --help' shows how.")
    if len(given.words) > 1:
        raise UsageError(
            f"One model, recipe or file at a time, but there are {len(given.words)}: {' '.join(given.words[:5])}."
        )
    word, texts, written = given.words[0], dict[str, str](), None
    if word.endswith(".toml"):
        written = read_file(Path(word))
    preset = preset_named(written.start if written else word)
    texts = {**(written.texts if written else {}), **_texts(given, preset)}
    plan = plan_from({**(vars(written.plan) | {"plan": written.plan.kind} if written else {}), **_chosen(options)})
    try:
        grid = _grid(preset) if grid_of_recipe else None
        found = define(preset.tree, texts, grid, plan, preset.recipe, sweeps=grid_of_recipe)
    except ConfigurationError as error:
        lines = [f"--{one}" for one in error.problems]
        raise UsageError("\n".join([*lines, f"'torchtty train {preset.kind} --help' lists every setting."])) from None
    if not found.variation.paths:
        raise UsageError(
            f"Nothing varies in {word}: give a setting several values, such as --training.seed 1..5 or "
            '--learning_rate "1e-4..1e-1 log 7".'
        )
    configuration = with_absolute_paths(parse(found.tree))
    refuse_missing_mirror(configuration)
    found = replace(found, tree=configuration.tree())
    refuse_unreadable_data(found.first())
    return found, name or (written.name if written else None)


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _texts(given: Arguments, preset: Preset) -> dict[str, str]:
    """Return what was typed for each setting, by its full path; raise a `UsageError`."""
    if given.unknown:
        raise UsageError(f"{given.unknown[0]} is not an option; settings begin with two dashes.")
    found = {}
    for path, text in full_paths(preset.tree, given).items():
        found[path] = "yes" if text is None else text
    return found


def _grid(preset: Preset) -> Mapping[str, tuple[Any, ...]]:
    """Return the grid of a recipe, or nothing."""
    return recipes()[preset.recipe].grid if preset.recipe else {}


# Following.


def _resumed(group: RunGroup, workers: int | None) -> RunGroup:
    resume_sweep(group, workers)
    return group


def followed(begin: Callable[[], RunGroup], *, detach: bool, as_json: bool) -> int:
    """Begin a sweep or a race and follow it; return the exit code."""
    with counting_interrupts() as interruptions:
        group = begin()
        return follow_group(group, interruptions, detach=detach, as_json=as_json)


def follow_group(group: RunGroup, interruptions: Interruptions, *, detach: bool, as_json: bool) -> int:
    """Show a sweep until it is over, or to detach until it trains; return the exit code."""
    tree = group.tree() or group.runs()[0].configuration().tree()
    family = family_of(tree["model"]["kind"])
    began, handled, races, reader = time.monotonic(), 0, group.race() is not None, ResultsReader(group)
    with display(group.name, family, results_on_stdout=as_json or detach) as shown:
        while True:
            status = group.status()
            if status.pid and not status.state.is_live:
                break
            if not status.pid and time.monotonic() - began > BEGINS:
                raise UsageError(f"The coordinator of {group.name} did not begin: {last_line(group.directory)}")
            if interruptions.count > handled:
                handled = interruptions.count
                if handled > 1:
                    notify(f"{group.name} stops after this step: 'torchtty show {group.name}' shows whether it has.")
                    return Exit.INTERRUPTED
                group.stop()
                shown.note("Stopping every run with a checkpoint; ctrl+c again leaves them to themselves.")
            if detach and not handled and status.state is RunState.RUNNING:
                break
            figures = standing(reader) if races else spread([run.status() for run in group.runs()], family)
            shown.show(status, figures.split(" · "))
            time.sleep(INTERVAL if len(group.planned()) < 50 else 5 * INTERVAL)
    return _conclude(group, interrupted=handled > 0, detach=detach, as_json=as_json)


def _conclude(group: RunGroup, *, interrupted: bool, detach: bool, as_json: bool) -> int:
    """Print what the sweep has come to, or that it trains in the background; return the exit code."""
    status = group.status()
    statuses = [run.status() for run in group.runs()]
    if detach and status.state.is_live:
        if as_json:
            print_json(group_as_json(group, status))
        else:
            sys.stdout.write(f"{printable_line(group.name)}\n")
            trains = "1 run trains" if len(statuses) == 1 else f"{len(statuses)} runs train"
            stops = f"'torchtty stop {group.name}' stops {'it' if len(statuses) == 1 else 'them'}."
            notify(f"{trains} in the background. {stops}")
        return Exit.DONE
    found = read_results(group)
    if as_json or not found.metrics:
        show_group(group, as_json=as_json)
    else:
        print_results(found)
        notify(
            f"'torchtty show {group.name}' lists its runs, 'torchtty results {group.name}' other tables; f5 in the app."
        )
    if interrupted:
        notify(f"'torchtty sweep --resume {group.name}' goes on with it.")
        return Exit.INTERRUPTED
    failed = [run for run in group.runs() if (one := run.status()).state is RunState.FAILED and not one.diverged]
    if status.state in (RunState.FAILED, RunState.LOST) or failed:
        report_error(f"{group.name} {status.state.value}: {status.message or 'no reason was given'}")
        for run in failed:
            notify(f"{run.name}: {run.status().message}")
        return Exit.FAILED
    return Exit.DONE
