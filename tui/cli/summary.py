"""What a run came to, on one screen: losses, a chart, samples, and what to do next."""

import shlex
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchtty.engine.contract.printable import printable, printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.tui.cli.chart import legend, loss_chart
from torchtty.tui.cli.console import speaks_unicode
from torchtty.tui.cli.history import History, SampleSet
from torchtty.tui.cli.wording import STATE_COLOURS, count, duration, loss
from torchtty.tui.run.figures import rate

SAMPLE_LINES = 5


def print_summary(console: Console, run: RunDirectory, history: History, status: Status) -> None:
    """Print the outcome of a run that was followed."""
    print_headline(console, run, status)
    console.print()
    console.print(figures(status, history))
    print_chart(console, history, height=max(8, min(16, console.height - 16)))
    print_samples(console, history.samples, SAMPLE_LINES)
    console.print()
    print_next_steps(console, run, status)


def print_headline(console: Console, run: RunDirectory, status: Status) -> None:
    """Print the run's name, its state and how far it came."""
    parts = [Text(run.name, "bold"), Text(status.state.value, STATE_COLOURS[status.state])]
    if status.max_steps > 1:
        parts.append(Text(f"{count(status.step)} of {count(status.max_steps)} steps"))
    if status.seconds:
        parts.append(Text(f"in {duration(status.seconds)}"))
    if status.steps_per_second:
        parts.append(Text(rate(status.steps_per_second)))
    console.print(Text("  ").join(parts))
    if status.message:
        console.print(Text(printable(status.message), "red" if status.state is RunState.FAILED else ""))


def figures(status: Status, history: History) -> Table:
    """Return losses (in nats), size and device as a table."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column()
    best = ""
    if status.best_val_loss is not None and status.best_step is not None and status.max_steps > 1:
        best = f"  best {loss(status.best_val_loss)} at step {count(status.best_step)}"
    if status.loss_d is None:
        table.add_row("validation loss", Text.assemble((loss(status.val_loss), "bold"), best))
        table.add_row("training loss", loss(status.train_loss))
    else:
        table.add_row("discriminator's loss", Text(loss(status.loss_d), "bold"))
        table.add_row("generator's loss", Text(loss(status.loss_g), "bold"))
    for name, value in (history.summary.get("metrics") or {}).items():
        if name not in (
            "val_loss",
            "train_loss",
            "best_val_loss",
            "train_eval_loss",
            "loss_d",
            "loss_g",
        ) and isinstance(value, int | float):
            table.add_row(Text(printable_line(str(name)).replace("_", " ")), f"{value:,.4f}")
    references = history.ready.get("references") or {}
    if references:
        compared = [f"{printable_line(str(name))} {value:.4f}" for name, value in references.items()]
        table.add_row("to compare with", Text(" · ".join(compared)))
    device = f" on {printable_line(status.device)}" if status.device else ""
    table.add_row("parameters", Text(f"{count(status.parameters)}{device}"))
    return table


def print_chart(console: Console, history: History, height: int) -> None:
    """Print both losses over the steps, if there is a line to draw."""
    unicode = speaks_unicode(sys.stdout)
    lines = loss_chart(history.train, history.validation, min(console.width, 120), height, unicode=unicode)
    if lines:
        console.print()
        for line in lines:
            console.print(line, no_wrap=True, crop=True)
        console.print(Text(" " * 8) + legend(unicode))


def print_samples(console: Console, samples: SampleSet | None, most: int) -> None:
    """Print texts as far as `most` lines go, marking items as new or seen."""
    if samples is None:
        return
    console.print()
    console.print(Text(f"samples at step {count(samples.step)}", "dim"))
    if len(samples.texts) > 1 and all("\n" not in sample.text for sample in samples.texts):
        for sample in samples.texts[:most]:
            console.print(Text("  ") + marked(sample.text, sample.known), soft_wrap=True)
        return
    lines = [line for sample in samples.texts for line in printable(sample.text).splitlines() if line.strip()]
    for line in lines[:most]:
        console.print(Text(f"  {line}"), no_wrap=True, overflow="ellipsis")


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
