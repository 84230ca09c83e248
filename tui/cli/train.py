"""`torchtty train`: start a run and follow it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from torchtty.engine.contract.client.offline_fallback import begin_instead, substitute
from torchtty.engine.contract.client.workers import Mode, WarmWorker, start
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.cli.choices import chosen, recipes, with_whole_paths
from torchtty.tui.cli.console import Exit, UsageError, fail, output, print_json, say
from torchtty.tui.cli.flags import Arguments, configured, paths_given, take_apart
from torchtty.tui.cli.follow import Interruptions, Outcome, counting_interrupts, follow
from torchtty.tui.cli.progress import display
from torchtty.tui.cli.settings import print_settings, print_train_help
from torchtty.tui.cli.summary import numbers, print_summary


def train(arguments: Sequence[str], name: str | None, *, detach: bool, as_json: bool, falls_back: bool = True) -> int:
    """Train what the arguments say; return the exit code."""
    asks_help = "--help" in arguments or "-h" in arguments
    given = take_apart([argument for argument in arguments if argument not in ("--help", "-h")])
    if asks_help and not given.words:
        print_train_help(output())
        return Exit.DONE
    choice = chosen(_only_word(given))
    if asks_help:
        print_settings(output(), choice)
        return Exit.DONE
    configuration = with_whole_paths(configured(choice.tree, given))
    with counting_interrupts() as interruptions:
        run = create(configuration, name=name, recipe=choice.recipe)
        worker = start(run, Mode.TRAIN)
        if detach:
            return announce(run, as_json=as_json)
        followed = follow_on(run, worker, interruptions, as_json=as_json)
        if falls_back and not followed.outcome.interrupted:
            instead = substitute(run, recipes(), paths_given(choice.tree, given))
            if instead is not None:
                say(instead.sentence)
                run = begin_instead(run, instead, name)
                followed = follow_on(run, start(run, Mode.TRAIN), interruptions, as_json=as_json)
        return conclude(followed, as_json=as_json)


def _only_word(given: Arguments) -> str:
    if not given.words:
        raise UsageError("What shall be trained? Give a model or a recipe: 'torchtty train --help' lists them.")
    if len(given.words) > 1:
        raise UsageError(
            f"One model or recipe at a time, but there are {len(given.words)}: {' '.join(given.words[:5])}. "
            "Settings are written --section.field VALUE."
        )
    return given.words[0]


def announce(run: RunDirectory, *, as_json: bool) -> int:
    """Say that a run trains in the background."""
    if as_json:
        print_json({"run": run.name, "path": str(run.path)})
    else:
        sys.stdout.write(f"{run.name}\n")
        say(f"It trains in the background: 'torchtty show {run.name}' looks at it, 'torchtty stop {run.name}' ends it.")
    return Exit.DONE


@dataclass(frozen=True)
class Followed:
    """A run that was followed, what it wrote, and how that ended."""

    run: RunDirectory
    log: RunLog
    outcome: Outcome


def follow_on(run: RunDirectory, worker: WarmWorker | None, interruptions: Interruptions, *, as_json: bool) -> Followed:
    """Follow a run until it is over or left to itself."""
    log = RunLog(run)
    with display(results_on_stdout=as_json) as shown:
        outcome = follow(run, log, shown, interruptions, worker)
    return Followed(run, log, outcome)


def conclude(followed: Followed, *, as_json: bool) -> int:
    """Print what a run that was followed came to, and return the exit code."""
    run, outcome = followed.run, followed.outcome
    state = outcome.status.state
    if as_json:
        print_json(
            numbers(run, followed.log)
            | {"state": state.value, "message": outcome.status.message, "instead_of": run.meta().get("instead_of")}
        )
    elif outcome.left:
        say(f"{run.name} was told to stop and is left to itself: 'torchtty show {run.name}' says what became of it.")
    elif state not in (RunState.FAILED, RunState.LOST):
        print_summary(output(), run, followed.log, outcome.status)
    if outcome.interrupted:
        return Exit.INTERRUPTED
    if state in (RunState.FAILED, RunState.LOST):
        fail(f"{run.name} {state.value}: {outcome.status.message or 'no reason was given'}")
        say(f"Its log is {run.log_path}.")
        return Exit.FAILED
    return Exit.DONE
