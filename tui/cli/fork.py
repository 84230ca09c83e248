"""`torchtty fork` and `torchtty pin`: begin a run at a checkpoint of another, and keep a checkpoint."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from torchtty.engine.contract.client.fork import ForkPoint, create_fork, fork_point
from torchtty.engine.contract.client.workers import Mode, WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.group import find_group
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import find_run
from torchtty.engine.contract.run.pins import pin as pin_checkpoint
from torchtty.engine.contract.run.pins import pinned_steps
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.settings.family import Configuration
from torchtty.tui.cli.arguments import configured, parse_argv, with_absolute_paths
from torchtty.tui.cli.console import Exit, UsageError, messages, notify, output
from torchtty.tui.cli.follow import INTERVAL, counting_interrupts
from torchtty.tui.cli.models import print_fork_help
from torchtty.tui.cli.sweep import fork_group
from torchtty.tui.cli.train import conclude, follow_on


def fork(arguments: Sequence[str], step: int | None, name: str | None, *, detach: bool, as_json: bool) -> int:
    """Train a new run from a checkpoint of the one that the arguments name, with the settings they give; return the exit code."""
    given = parse_argv(arguments)
    if given.wants_help:
        print_fork_help(output())
        return Exit.DONE
    if len(given.words) != 1:
        raise UsageError("Name one run to fork, or 'latest': 'torchtty runs' lists them.")
    if (group := find_group(given.words[0])) is not None:
        if step is not None:
            raise UsageError(f"{group.name} is a group: its runs begin anew. Fork one of its runs to begin at --step.")
        return fork_group(group, given, name, workers=None, detach=detach, as_json=as_json)
    snapshot = RunSnapshot.of(find_run(given.words[0]))
    if refusal := snapshot.refusal(Action.FORK):
        raise UserError(refusal)
    point = fork_point(snapshot.run, step)
    configuration = with_absolute_paths(configured(point.settings, given))
    with ExitStack() as unless_handed_over:
        worker = WarmWorker()
        unless_handed_over.callback(worker.close)
        _refuse_what_does_not_fit(worker, point, configuration)
        run = create_fork(point, configuration, name)
        unless_handed_over.pop_all()
    with counting_interrupts() as interruptions:
        worker.hand_over(run, Mode.FORK)
        notify(f"{run.name}: {point.title}")
        followed = follow_on(run, worker, interruptions, as_json=as_json, detach=detach)
        return conclude(followed, as_json=as_json, detach=detach)


def _refuse_what_does_not_fit(worker: WarmWorker, point: ForkPoint, configuration: Configuration) -> None:
    """Have the worker look whether the checkpoint fits the settings; raise a `UsageError` that names those that do not."""
    request = worker.prepare(configuration.tree(), (point.run, point.step), only_fits=True)
    with messages().status("looking whether the checkpoint fits"):
        while (answer := worker.answer(request)) is None:
            if not worker.is_alive:
                last = worker.log().strip().splitlines()[-1:] or ["it left no message"]
                raise UserError(f"The worker process ended before it got its run: {printable_line(last[0])}")
            time.sleep(INTERVAL / 2)
    if problems := answer.get("problems"):
        raise UsageError("\n".join(f"{'--' if '.' in path else ''}{path} {message}" for path, message in problems))


def pin(name: str, step: int, *, off: bool) -> int:
    """Pin the checkpoint of a run at a step, or let it go again; return the exit code."""
    run = find_run(name)
    pin_checkpoint(run, step, keep=not off)
    pinned = ", ".join(f"{each:,}" for each in sorted(pinned_steps(run)))
    what = "is no longer pinned" if off else "is pinned: it is kept whatever comes after it"
    notify(f"The checkpoint of {run.name} at step {step:,} {what}." + (f" Pinned: {pinned}." if off and pinned else ""))
    return Exit.DONE
