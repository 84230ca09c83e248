"""`torchtty lens`: the lenses, and what one of them shows of a run's model, also while it trains."""

from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES
from torchtty.engine.contract.run.directory import RunDirectory, find_run
from torchtty.engine.contract.run.events import Answered, Cancelled, Progress, RequestEvent
from torchtty.engine.contract.run.log import result_of
from torchtty.engine.contract.run.requests import Lens
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.tui.cli.console import Exit, UsageError, messages, output, print_json
from torchtty.tui.cli.request import ask
from torchtty.tui.format import count
from torchtty.tui.lenses.view import rendered


def lens(name: str | None, run_name: str | None, *, as_json: bool) -> int:
    """List the lenses, or compute one for a run; return the exit code."""
    if name is None:
        return _list(as_json=as_json)
    if name not in LENSES:
        raise UsageError(f"There is no lens called '{name}'. The lenses are {', '.join(LENSES)}.")
    if run_name is None:
        raise UsageError(f"Which run? 'torchtty lens {name} latest' looks into the latest one.")
    run = find_run(run_name)
    if refusal := RunSnapshot.of(run).refusal(Action.LENS):
        raise UserError(refusal)
    answer = _ask(run, Lens(name=name))
    if not isinstance(answer, Answered):
        return Exit.INTERRUPTED
    result = result_of(run, answer)
    if result is None:
        raise UserError(f"The result is gone from {run.path / answer.artifact}.")
    if as_json:
        print_json({"run": run.name, "step": answer.step, "lens": name, "seconds": answer.seconds} | result)
        return Exit.DONE
    console = output()
    view = rendered(LENSES[name], result, console.width)
    console.print(Text(f"{run.name} · step {count(answer.step)}"))
    console.print(view.heading)
    console.print(view.body)
    return Exit.DONE


def _ask(run: RunDirectory, request: Lens) -> Answered | Cancelled | None:
    """Return the answer; on a terminal show how far it is."""
    console = messages()
    spinner = console.status(request.name)

    def show(event: RequestEvent) -> None:
        if console.is_terminal and isinstance(event, Progress) and event.done is not None and event.total:
            spinner.start()  # only now: loading a model has one of its own
            spinner.update(f"{request.name}  {event.done / event.total:.0%}")

    try:
        return ask(run, request, show)
    finally:
        spinner.stop()


def _list(*, as_json: bool) -> int:
    if as_json:
        print_json([{"name": lens.name, "title": lens.title, "reading": lens.reading} for lens in LENSES.values()])
        return Exit.DONE
    table = Table.grid(padding=(0, 2, 0, 0))
    for lens in LENSES.values():
        table.add_row(Text(lens.name, "bold"), Text(lens.reading))
    output().print(table)
    return Exit.DONE
