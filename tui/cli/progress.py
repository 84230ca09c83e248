"""How a run that is being followed looks: one line in place on a terminal, an occasional line elsewhere."""

import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from torchtty.engine.contract.printable import printable
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import metric_named
from torchtty.tui.cli.console import messages, output
from torchtty.tui.format import count, duration, loss, rate

PLAIN_INTERVAL = 10.0  # seconds between two lines where nothing can be drawn in place


class Display(Protocol):
    """Something that shows a run's status as it changes."""

    def __enter__(self) -> "Display": ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, status: Status) -> None: ...
    def note(self, text: str) -> None: ...


def display(*, results_on_stdout: bool = False) -> Display:
    """Choose the display: in place on stderr or else stdout, plain lines on stderr if neither is a terminal."""
    consoles = [messages()] if results_on_stdout else [messages(), output()]
    for console in consoles:
        if console.is_terminal and not console.is_dumb_terminal:
            return InPlace(console)
    return Plain(messages())


def describe(status: Status) -> str:
    """Say what a run does that does not train at the moment."""
    match status.state:
        case RunState.STARTING:
            return "starting"
        case RunState.QUEUED if status.waiting_for:
            return f"queued behind {printable(status.waiting_for)}"
        case state:
            return state.value


def remaining(status: Status) -> str:
    """Say how long the rest takes at the present speed."""
    if not status.steps_per_second or status.state is not RunState.RUNNING:
        return ""
    return f"ETA {duration(max(0, status.max_steps - status.step) / status.steps_per_second)}"


def measures(status: Status) -> str:
    """Return losses and speed, those that are known."""
    parts = [f"{metric_named(name).label or name} {loss(value)}" for name, value in status.metrics.items()]
    if status.steps_per_second is not None and status.state is RunState.RUNNING:
        parts.append(rate(status.steps_per_second))
    return "  ".join(parts)


class InPlace:
    """A progress bar that is redrawn in its line and gone at the end."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[steps]}", markup=False),
            TextColumn("{task.fields[measures]}", markup=False),
            TextColumn("{task.fields[remaining]}", markup=False),
            console=console,
            transient=True,
            expand=True,
            refresh_per_second=8,
        )
        self._task = self._progress.add_task("starting", total=None, steps="", measures="", remaining="")

    def __enter__(self) -> "InPlace":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, status: Status) -> None:
        self._progress.update(
            self._task,
            description=describe(status),
            total=status.max_steps or None,
            completed=status.step,
            steps=f"{status.step:,}/{status.max_steps:,}" if status.max_steps else "",
            measures=measures(status),
            remaining=remaining(status),
        )

    def note(self, text: str) -> None:
        self._progress.console.print(Text(printable(text)))


class Plain:
    """A line whenever the state changes, and every ten seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", 0.0)

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, status: Status) -> None:
        what, now = describe(status), time.monotonic()
        if (what, True) == (self._last[0], now - self._last[1] < PLAIN_INTERVAL):
            return
        self._last = (what, now)
        steps = f"step {count(status.step)} of {count(status.max_steps)}" if status.max_steps and status.step else ""
        self.note("  ".join(part for part in (what, steps, measures(status), remaining(status)) if part))

    def note(self, text: str) -> None:
        self._console.print(Text(printable(text)), soft_wrap=True)
