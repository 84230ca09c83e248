"""`torchtty train` and `torchtty resume`: start a run, or continue one, and follow it."""

import sys
from collections.abc import Sequence

from torchtty.engine.contract.client.offline_fallback import create_fallback, fallback_for
from torchtty.engine.contract.client.workers import Mode, WarmWorker, follow_rank_0, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory, create, find_run
from torchtty.engine.contract.run.lineage import parent_of
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Continue, Edit
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.fallbacks import fetches
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.mirrors import refuse_missing_mirror
from torchtty.tui.cli.arguments import (
    Arguments,
    configured,
    live_settings,
    parse_argv,
    paths_given,
    preset_named,
    recipes,
    refuse_unreadable_data,
    with_absolute_paths,
)
from torchtty.tui.cli.console import Exit, UsageError, notify, output, print_json, report_error
from torchtty.tui.cli.follow import Interruptions, Outcome, counting_interrupts, describe, display, follow
from torchtty.tui.cli.models import print_resume_help, print_settings, print_train_help
from torchtty.tui.cli.show import numbers, parent_as_json, print_summary
from torchtty.tui.cli.sweep import several_values, sweep


def train(arguments: Sequence[str], name: str | None, *, detach: bool, as_json: bool, falls_back: bool = True) -> int:
    """Train what the arguments say; return the exit code."""
    follow_rank_0()
    given = parse_argv(arguments)
    if given.wants_help and not given.words:
        print_train_help(output())
        return Exit.DONE
    preset = preset_named(_only_word(given))
    if given.wants_help:
        print_settings(output(), preset)
        return Exit.DONE
    if several_values(preset, given):
        return sweep(
            arguments, {}, name=name, resume=None, workers=None, detach=detach, as_json=as_json, grid_of_recipe=False
        )
    configuration = with_absolute_paths(configured(preset.tree, given))
    refuse_missing_mirror(configuration)
    refuse_unreadable_data(configuration)
    if preset.recipe and recipes()[preset.recipe].grid and not as_json:
        runs = len(recipes()[preset.recipe].runs())
        notify(f"1 of {runs} runs; 'torchtty sweep {preset.recipe}' trains all.")
    with counting_interrupts() as interruptions:
        run = create(configuration, name=name, recipe=preset.recipe)
        outcome = follow_on(run, start(run, Mode.TRAIN), interruptions, as_json=as_json, detach=detach)
        if falls_back and not outcome.interrupted:
            fallback = fallback_for(run, recipes(), paths_given(preset.tree, given))
            if fallback is not None:
                notify(fallback.sentence)
                run = create_fallback(run, fallback, name)
                outcome = follow_on(run, start(run, Mode.TRAIN), interruptions, as_json=as_json, detach=detach)
        return conclude(outcome, as_json=as_json, detach=detach)


def _only_word(given: Arguments) -> str:
    if not given.words:
        raise UsageError("Name a model or a recipe to train: 'torchtty train --help' lists them.")
    if len(given.words) > 1:
        raise UsageError(
            f"One model or recipe at a time, but there are {len(given.words)}: {' '.join(given.words[:5])}. "
            "Settings are written --section.field VALUE."
        )
    return given.words[0]


def resume(arguments: Sequence[str], *, detach: bool, changed_data: bool, as_json: bool) -> int:
    """Continue the run that the arguments name, with the live settings they give; return the exit code."""
    follow_rank_0()
    given = parse_argv(arguments)
    if given.wants_help:
        print_resume_help(output())
        return Exit.DONE
    if len(given.words) != 1:
        raise UsageError("Name one run to resume, or 'latest': 'torchtty runs' lists them.")
    run = find_run(given.words[0])
    snapshot = RunSnapshot.of(run)
    paused = snapshot.offers(Action.CONTINUE)
    if not paused and (refusal := snapshot.refusal(Action.RESUME)):
        raise UserError(refusal)
    edits = live_settings(snapshot.settings, given)
    if why := snapshot.why_it_would_end(edits):
        raise UsageError(why)
    if changed_data:
        run.accept_changed_data()
    worker: WarmWorker | None = None
    with counting_interrupts() as interruptions:
        if paused:
            for path, value in edits.items():
                run.send(Edit(path=path, value=value))
            run.send(Continue())
        else:
            worker = start(run, Mode.RESUME, edits)
        outcome = follow_on(run, worker, interruptions, as_json=as_json, detach=detach)
        return conclude(outcome, as_json=as_json, detach=detach)


def follow_on(
    run: RunDirectory, worker: WarmWorker | None, interruptions: Interruptions, *, as_json: bool, detach: bool = False
) -> Outcome:
    """Follow a run until it is over or left to itself; to detach, until it trains or is queued."""
    family = family_of(run.configuration().kind)
    with display(run.name, family, results_on_stdout=as_json or detach) as shown:
        return follow(run, RunLog(run), shown, interruptions, worker, detach=detach)


def conclude(outcome: Outcome, *, as_json: bool, detach: bool = False) -> int:
    """Print the result of a run that was followed, or that it trains in the background; return the exit code."""
    run, state, message = outcome.log.run, outcome.status.state, outcome.status.message
    failed = state in (RunState.FAILED, RunState.LOST)
    if detach and not failed and not outcome.interrupted:
        _announce(run, outcome.status, as_json=as_json)
    elif as_json:
        end = {"state": state.value, "message": message, "instead_of": run.meta().get("instead_of")}
        print_json(numbers(outcome.log) | end)
    elif outcome.left:
        notify(f"{run.name} stops after this step: 'torchtty show {run.name}' shows whether it has.")
    elif not failed:
        print_summary(output(), outcome.log, outcome.status)
    if outcome.interrupted:
        return Exit.INTERRUPTED
    if failed:
        report_error(f"{run.name} {state.value}: {message or 'no reason was given'}")
        notify(f"Its log is {run.log_path}.")
        return Exit.FAILED
    return Exit.DONE


def _announce(run: RunDirectory, status: Status, *, as_json: bool) -> None:
    """Report that a run trains in the background, or will once the device is free."""
    if as_json:
        found = {"run": run.name, "path": str(run.path), "state": status.state.value}
        print_json(
            found | {"instead_of": run.meta().get("instead_of"), "parent": parent_as_json(parent_of(run.meta()))}
        )
        return
    sys.stdout.write(f"{printable_line(run.name)}\n")
    if status.state is RunState.QUEUED:
        notify(f"{run.name} is {describe(status)} and trains in the background once the device is free.")
        if fetches(run.configuration().tree()):
            notify("It downloads its data then; if that fails, the run fails and nothing is trained instead.")
    elif status.state.is_live:
        notify(f"{run.name} trains in the background.")
    else:
        notify(f"{run.name} has {status.state.value} already.")
    notify(f"'torchtty show {run.name}' shows it, 'torchtty stop {run.name}' stops it.")
