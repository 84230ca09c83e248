"""`torchtty resume`: go on with a run that pauses, was stopped, was lost, or is finished and gets more steps."""

from collections.abc import Sequence

from torchtty.engine.contract.client.workers import Mode, WarmWorker, start
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.requests import Continue, Edit
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import specs
from torchtty.tui.cli.console import Exit, UsageError, output
from torchtty.tui.cli.flags import check_live, take_apart
from torchtty.tui.cli.follow import counting_interrupts
from torchtty.tui.cli.settings import print_resume_help
from torchtty.tui.cli.train import announce, conclude, follow_on


def resume(arguments: Sequence[str], *, detach: bool, as_json: bool) -> int:
    """Resume the run that the arguments name, with the live settings they give; return the exit code."""
    given = take_apart([argument for argument in arguments if argument not in ("--help", "-h")])
    if "--help" in arguments or "-h" in arguments:
        print_resume_help(output())
        return Exit.DONE
    if len(given.words) != 1:
        raise UsageError("Which run shall go on? Give one name, or 'latest': 'torchtty runs' lists them.")
    run = find_run(given.words[0])
    tree = settings_in_force(run)
    edits = check_live(str(tree["model"]["kind"]), tree, given)
    status = run.status()
    _check_can_go_on(run, status, edits.get("training.max_steps", status.max_steps))
    worker: WarmWorker | None = None
    with counting_interrupts() as interruptions:
        if status.state is RunState.PAUSED:
            for path, value in edits.items():
                run.send(Edit(path=path, value=value))
            run.send(Continue())
        else:
            worker = start(run, Mode.RESUME, edits)
        if detach:
            return announce(run, as_json=as_json)
        return conclude(follow_on(run, worker, interruptions, as_json=as_json), as_json=as_json)


def _check_can_go_on(run: RunDirectory, status: Status, max_steps: int) -> None:
    if status.state.is_live and status.state is not RunState.PAUSED:
        raise UserError(f"{run.name} is {status.state.value} already: 'torchtty show {run.name}' looks at it.")
    if status.state is RunState.PAUSED:
        return
    configuration = run.configuration()
    if "training.max_steps" not in {spec.path for spec in specs(configuration.kind, configuration.tree())}:
        raise UserError(f"{run.name} counts and takes no steps: there is nothing to go on with. Train a new run.")
    if status.state is RunState.FINISHED and max_steps <= status.step:
        raise UsageError(
            f"{run.name} is finished after {status.step:,} steps: "
            f"add --training.max_steps with more, such as {2 * max(1, status.step)}."
        )
