"""What a run came to, on one screen: losses, a chart, samples, and what to do next."""

import shlex
import sys
from dataclasses import replace
from itertools import chain, zip_longest
from math import isfinite
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import RunLog, SampleRecord
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of, metric_named
from torchtty.engine.contract.settings.family import Family
from torchtty.tui.charts.frame import FrameBuilder
from torchtty.tui.charts.series import Series
from torchtty.tui.charts.spec import ChartSpec
from torchtty.tui.charts.style import TRAIN, VALID, ChartStyle
from torchtty.tui.cli.console import speaks_unicode
from torchtty.tui.format import STATE_LOOKS, count, duration, loss, number, rate

SAMPLE_LINES = 5
SMOOTHING = 0.01  # of the training loss: the time constant as a share of the x axis


def print_summary(console: Console, run: RunDirectory, log: RunLog, status: Status) -> None:
    """Print the outcome of a run that was followed."""
    print_headline(console, run, status)
    console.print()
    console.print(figures(status, log))
    print_chart(console, log, height=max(8, min(16, console.height - 16)))
    print_samples(console, log.latest_sample, SAMPLE_LINES)
    console.print()
    print_next_steps(console, run, status)


def print_headline(console: Console, run: RunDirectory, status: Status) -> None:
    """Print the run's name, its state and how far it came."""
    parts = [Text(run.name, "bold"), Text(STATE_LOOKS[status.state].word, STATE_LOOKS[status.state].style)]
    if status.max_steps > 1:
        parts.append(Text(f"{count(status.step)} of {count(status.max_steps)} steps"))
    if status.seconds:
        parts.append(Text(f"in {duration(status.seconds)}"))
    if status.steps_per_second:
        parts.append(Text(rate(status.steps_per_second)))
    console.print(Text("  ").join(parts))
    if status.message:
        console.print(Text(printable(status.message), "red" if status.state is RunState.FAILED else ""))


def figures(status: Status, log: RunLog) -> Table:
    """Return losses (in nats), size and device as a table."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    family = family_of(str(log.settings()["model"]["kind"]))
    for name in dict.fromkeys(chain(*family.headline)):
        if name in status.metrics or name == family.watched:
            text = Text(loss(status.metrics.get(name), 4), "bold" if name == family.headline[0][0] else "")
            if (
                name == family.watched
                and status.best is not None
                and status.best_step is not None
                and status.max_steps > 1
            ):
                text.append(f"  best {loss(status.best, 4)} at step {count(status.best_step)}")
            table.add_row(metric_named(name).description, text)
    for name, value in (log.facts.summary.metrics if log.facts.summary else {}).items():
        if name not in {*chain(*family.headline), "train_eval_loss"}:
            table.add_row(Text(printable_line(name).replace("_", " ")), number(value))
    references = log.facts.references
    if references:
        compared = [f"{printable_line(str(name))} {loss(value, 4)}" for name, value in references.items()]
        table.add_row("to compare with", Text(" · ".join(compared)))
    device = f" on {printable_line(status.device)}" if status.device else ""
    table.add_row("parameters", Text(f"{count(status.parameters)}{device}"))
    return table


def print_chart(console: Console, log: RunLog, height: int) -> None:
    """Print both losses over the steps, if there are two steps or more to draw."""
    curves = (
        (Series("train", colour=TRAIN), log.metrics.points("train_loss")),
        (Series("validation", colour=VALID, smooth=False), log.metrics.points("val_loss")),
    )
    steps = {step for _, points in curves for step, value in points if isfinite(value)}
    if len(steps) < 2 or console.width < 30:
        return
    for series, points in curves:
        series.extend([step for step, _ in points], [value for _, value in points])
    style = ChartStyle(colour=console.color_system is not None, unicode=speaks_unicode(sys.stdout))
    spec = ChartSpec(
        min(console.width, 120),
        height,
        "loss in nats",
        tuple(series for series, _ in curves),
        x_max=max(steps),
        style=style,
    )
    console.print()
    console.print(FrameBuilder().build(replace(spec, smoothing=spec.time_constant(SMOOTHING))), end="")


def print_samples(console: Console, sample: SampleRecord | None, most: int) -> None:
    """Print texts as far as `most` lines go, marking items as new or seen."""
    if sample is None:
        return
    console.print()
    console.print(Text(f"samples at step {count(sample.step)}", "dim"))
    if len(sample.texts) > 1 and all("\n" not in text for text in sample.texts):
        for text, known in texts(sample)[:most]:
            console.print(Text("  ") + marked(text, known), soft_wrap=True)
        return
    lines = [line for text in sample.texts for line in printable(text).splitlines() if line.strip()]
    for line in lines[:most]:
        console.print(Text(f"  {line}"), no_wrap=True, overflow="ellipsis")


def texts(sample: SampleRecord) -> list[tuple[str, bool | None]]:
    """Return a sample's texts, and of items whether each stands in the training split."""
    return list(zip_longest(sample.texts, sample.known[: len(sample.texts)]))


def marked(text: str, known: bool | None) -> Text:
    """Return a text with a mark whether it stands in the training split."""
    mark = {None: "", True: "  seen", False: "  new"}[known]
    return Text.assemble(printable(text), (mark, "green" if known is False else "dim"))


def print_next_steps(console: Console, run: RunDirectory, status: Status) -> None:
    """Print where the run is kept and the commands that go on from here."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(no_wrap=True)
    table.add_row("kept in", Text(str(run.path)))
    if status.state is not RunState.FAILED or run.checkpoints():
        table.add_row("prompt it", Text(f"torchtty sample {run.name}"))
    if status.state is RunState.FINISHED and status.max_steps > 1:
        table.add_row("go on", Text(f"torchtty resume {run.name} --training.max_steps {2 * status.max_steps}"))
    elif status.state in (RunState.STOPPED, RunState.LOST):
        table.add_row("go on", Text(f"torchtty resume {run.name}"))
    elif status.state is RunState.FAILED:
        table.add_row("its log", Text(shlex.quote(str(run.log_path))))
    table.add_row("look again", Text(f"torchtty show {run.name}"))
    console.print(table)


def numbers(run: RunDirectory, log: RunLog) -> dict[str, Any]:
    """Return what scripts want to know of a run, as JSON values. Losses are in nats, times in seconds."""
    status = run.status()
    sample = log.latest_sample
    return {
        "run": run.name,
        "path": str(run.path),
        "state": status.state.value,
        "message": status.message,
        "step": status.step,
        "max_steps": status.max_steps,
        "seconds": status.seconds,
        "steps_per_second": status.steps_per_second,
        "device": status.device,
        "parameters": status.parameters,
        **latest_figures(status, _family(log)),
        "references": log.facts.references,
        "metrics": log.facts.summary.metrics if log.facts.summary else {},
        "samples": [{"text": text, "known": known} for text, known in texts(sample)] if sample else [],
    }


def latest_figures(status: Status, family: Family | None) -> dict[str, float | int | None]:
    """Return the metrics that a run is summed up by, as scripts read them; None for one that is not known yet."""
    if family is None:
        return dict(status.metrics)
    found: dict[str, float | int | None] = {name: status.metrics.get(name) for name in chain(*family.headline)}
    if family.watched:
        found |= {f"best_{family.watched}": status.best, "best_step": status.best_step}
    return found


def _family(log: RunLog) -> Family | None:
    try:
        return family_of(str(log.settings()["model"]["kind"]))
    except UserError:
        return None
