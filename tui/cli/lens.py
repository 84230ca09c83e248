"""`torchtty lens`: a view into a run's model, as a picture in characters or as JSON."""

import os
import sys

from rich.console import Console
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.lenses import LENSES, LensEntry
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.events import Answered
from torchtty.engine.contract.run.log import result_of
from torchtty.engine.contract.run.requests import Lens
from torchtty.engine.contract.run.snapshot import Action
from torchtty.engine.contract.settings.families import FAMILIES
from torchtty.engine.contract.settings.fields import FieldSpec, show
from torchtty.tui.charts.figure import as_text
from torchtty.tui.charts.style import ChartStyle
from torchtty.tui.cli.arguments import Arguments, parse_argv, suggestion
from torchtty.tui.cli.console import Exit, UsageError, grid, output, print_json, speaks_unicode
from torchtty.tui.cli.requests import ask_showing_progress, offering
from torchtty.tui.format import count, fine_duration
from torchtty.tui.lenses.view import rendered


def lens(argv: list[str], *, as_json: bool) -> int:
    """List the lenses, or compute one for a run; return the exit code."""
    arguments = parse_argv(argv)
    if not arguments.words:
        if arguments.settings or arguments.unknown:
            raise UsageError("Which lens? 'torchtty lens' lists them.")
        _list(as_json=as_json)
        return Exit.DONE
    name, *words = arguments.words
    if name not in LENSES:
        raise UsageError(
            f"There is no lens called '{name}'.{suggestion(name, LENSES)} The lenses are {', '.join(LENSES)}."
        )
    entry = LENSES[name]
    if arguments.wants_help:
        _explain(entry)
        return Exit.DONE
    if not words:
        raise UsageError(f"Which run? 'torchtty lens {name} latest' looks into the latest one.")
    if len(words) > 1:
        raise UsageError(f"A lens looks into one run: what is '{words[1]}'? Put a text of several words in quotes.")
    return _look(entry, words[0], arguments, as_json=as_json)


def _look(entry: LensEntry, run_name: str, arguments: Arguments, *, as_json: bool) -> int:
    try:
        options = entry.parse({option: text or "" for option, text in arguments.settings.items()})
    except UserError as error:
        raise UsageError(f"{error}\n'torchtty lens {entry.name} --help' lists its options.") from None
    if arguments.unknown:
        raise UsageError(f"{arguments.unknown[0]} is not an option: options begin with two dashes.")
    snapshot = offering(run_name, Action.LENS)
    if refusal := snapshot.lens_refusal(entry):
        raise UserError(refusal)
    run = snapshot.run
    given = {option: value for option, value in options.items() if value is not None}
    answer = ask_showing_progress(run, Lens(name=entry.name, options=given), entry.name)
    if not isinstance(answer, Answered):
        return Exit.INTERRUPTED
    result = result_of(run, answer)
    if result is None:
        raise UserError(f"The result is gone from {run.path / answer.artifact}.")
    if as_json:
        print_json({"run": run.name, "step": answer.step, "lens": entry.name, "seconds": answer.seconds} | result)
        return Exit.DONE
    console = output()
    step = result.get("checkpoint", answer.step)
    console.print(
        Text.assemble(
            f"{printable_line(run.name)} · step {count(step)}", (f" · took {fine_duration(answer.seconds)}", "dim")
        )
    )
    view = rendered(entry, result, console.width)
    console.print(view.heading)
    if view.figure is not None:
        drawn = view.figure.draw(console.width, None, None, _style(console))
        console.print(as_text(drawn), no_wrap=True, overflow="crop", crop=True)
    if view.body:
        console.print(view.body)
    console.print(Text(entry.reading, "dim"))
    return Exit.DONE


def _style(console: Console) -> ChartStyle:
    colour = console.color_system in ("truecolor", "256") and "NO_COLOR" not in os.environ
    return ChartStyle(colour=colour, unicode=speaks_unicode(sys.stdout))


def _list(*, as_json: bool) -> None:
    """List the lenses, and which models each looks into."""
    if as_json:
        print_json([_as_json(entry) for entry in LENSES.values()])
        return
    rows = []
    for entry in LENSES.values():
        kinds = [kind for kind, family in FAMILIES.items() if not entry.refusal(family)]
        models = "every model" if len(kinds) == len(FAMILIES) else ", ".join(kinds)
        rows.append((Text(entry.name, "bold"), Text.assemble(entry.reading, (f"\n{models}", "dim"))))
    output().print(grid(rows, ""))


def _as_json(entry: LensEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "title": entry.title,
        "reading": entry.reading,
        "models": [kind for kind, family in FAMILIES.items() if not entry.refusal(family)],
        "options": {spec.name: {"default": spec.default, "help": spec.help} for spec in entry.options},
    }


def _explain(entry: LensEntry) -> None:
    console = output()
    console.print(Text(f"torchtty lens {entry.name} RUN [--json] [--option VALUE …]\n", "bold"))
    console.print(Text(f"{entry.reading}\n"))
    console.print(grid((f"--{spec.name}", _about(spec)) for spec in entry.options))


def _about(spec: FieldSpec) -> str:
    default = show(spec.default) if spec.default != "" else ""
    takes = "" if spec.type is str and not spec.choices else f" ({spec.allowed()})"
    return f"{spec.help}{takes}" + (f" [{default}]" if default else "")
