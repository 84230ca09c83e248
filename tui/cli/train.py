"""`torchtty train`: start a run and follow it."""

import sys
from collections.abc import Sequence

from engine.contract.client import Mode, WarmWorker, start
from engine.contract.run_directory import RunDirectory, create
from engine.contract.status import RunState
from tui.cli.choices import chosen, with_whole_paths
from tui.cli.console import Exit, UsageError, fail, output, print_json, say
from tui.cli.flags import Arguments, configured, take_apart
from tui.cli.follow import Interruptions, counting_interrupts, follow
from tui.cli.history import History, numbers
from tui.cli.progress import display
from tui.cli.settings import print_settings, print_train_help
from tui.cli.summary import print_summary


def train(arguments: Sequence[str], name: str | None, *, detach: bool, as_json: bool) -> int:
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
        return follow_to_the_end(run, worker, interruptions, as_json=as_json)


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


def follow_to_the_end(
    run: RunDirectory, worker: WarmWorker | None, interruptions: Interruptions, *, as_json: bool
) -> int:
    """Follow a run, print what it came to, and return the exit code."""
    history = History(run)
    with display(results_on_stdout=as_json) as shown:
        outcome = follow(run, history, shown, interruptions, worker)
    state = outcome.status.state
    if as_json:
        print_json(numbers(run, history) | {"state": state.value, "message": outcome.status.message})
    elif outcome.left:
        say(f"{run.name} was told to stop and is left to itself: 'torchtty show {run.name}' says what became of it.")
    elif state not in (RunState.FAILED, RunState.LOST):
        print_summary(output(), run, history, outcome.status)
    if outcome.interrupted:
        return Exit.INTERRUPTED
    if state in (RunState.FAILED, RunState.LOST):
        fail(f"{run.name} {state.value}: {outcome.status.message or 'no reason was given'}")
        say(f"Its log is {run.log_path}.")
        return Exit.FAILED
    return Exit.DONE
