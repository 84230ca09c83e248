"""The text around a run's curves: its headline, its notice, its progress, and what stands in place of an empty chart."""

from collections.abc import Callable

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.events import Tested
from torchtty.engine.contract.run.log import Facts
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.families import metric_named
from torchtty.tui.format import STATE_LOOKS, behind, duration, loss, measures, rate, size, state_words
from torchtty.tui.run.advice import proposal, quiet_line

FULL, HALF = "━", "╸"
ENDED_EARLY = (RunState.STOPPED, RunState.FAILED, RunState.LOST)
HOW_TO_START = "ctrl+t trains a model with the settings shown"


class Headline(Static):
    """`● running  gpt-names-2  GPT · given-names · 48,637 parameters · cpu`."""

    DEFAULT_CSS = """
    Headline { height: 1; width: 100%; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._fitted: Callable[[int], Content] = lambda _: Content("")

    def show(self, fitted: Callable[[int], Content]) -> None:
        """Show a headline, given what writes it for a width in cells; it is painted only where it differs from the one before."""
        self._fitted = fitted
        if (content := fitted(self.size.width)) != self.content:
            self.update(content, layout=False)

    def on_resize(self) -> None:
        """Fit the line to its new width."""
        self.show(self._fitted)


def no_run() -> Content:
    """Write the headline of no run."""
    return Content.assemble(("no run yet", "bold"), (f"  {HOW_TO_START}", "$foreground 65%"))


def _past(state: RunState) -> str:
    return {RunState.LOST: "was lost"}.get(state, state.value)


def opening(name: str) -> Content:
    """Write the headline of a run that has not been read yet."""
    return Content.assemble(("◌ opening", "bold $text-accent"), "  ", (printable_line(name), "bold"))


def headline(snapshot: RunSnapshot, pending: str, width: int) -> Content:
    """Write the headline of a run for a width in cells: its state, its name, and as many facts as fit whole, the first in any case.

    `pending` is what was requested of it and has not happened yet.
    """
    status = snapshot.status
    look = STATE_LOOKS[status.state]
    word = f"{look.word}, {pending}" if pending else state_words(status)
    word += behind(status)
    facts = []
    if snapshot.family is not None:
        facts += [snapshot.family.title, printable_line(snapshot.dataset)]
    if status.parameters is not None:
        facts.append(f"{status.parameters:,} parameters")
    if status.device:
        facts.append(printable_line(status.device) + (f" {size(status.memory)}" if status.memory else ""))
    if status.serving:
        facts.append("in memory")
    facts = list(filter(None, facts))
    name = printable_line(snapshot.name)
    begun = f"{look.sign} {word}  {name}  "
    while len(facts) > 1 and cell_len(begun + " · ".join(facts)) > width:
        facts.pop()
    return Content.assemble(
        (f"{look.sign} {word}", f"bold {look.colour}"),
        "  ",
        (name, "bold"),
        ("  " + " · ".join(facts), "$foreground 60%"),
    )


def has_news(before: RunSnapshot, after: RunSnapshot) -> bool:
    """Whether a run's state has changed, or it is said why one that has ended does not go on."""
    if before.state is not after.state:
        return True
    return not after.state.is_live and before.status.message != after.status.message


class Notice(Static):
    """The one thing to know now: what was just done, else why the run is in its state, what is wrong, a warning, or notes."""

    DEFAULT_CSS = """
    Notice { height: auto; max-height: 3; color: $text-accent; display: none; }
    Notice.-note { color: $foreground 65%; }
    Notice.-warning { color: $text-warning; }
    Notice.-problem { color: $text-error; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot: RunSnapshot | None = None
        self._chart_is_empty = False
        self._message = ""
        self._findings: tuple[Finding, ...] = ()
        self._shown = ("", "message")

    def diagnose(self, findings: tuple[Finding, ...]) -> None:
        """Show what is wrong with the run, until something else is found."""
        self._findings = findings
        self._choose()

    def show(self, snapshot: RunSnapshot | None, *, chart_is_empty: bool = False) -> None:
        """Show what there is to know of a run, or nothing; a message stays until the state changes, or why it did not.

        An empty chart explains some states in its own place, which is not repeated here.
        """
        before, self._snapshot, self._chart_is_empty = self._snapshot, snapshot, chart_is_empty
        if before is None or snapshot is None or before.run != snapshot.run or has_news(before, snapshot):
            self._message = ""
        self._choose()

    def report(self, message: str) -> None:
        """Report what was done, until the run's state changes."""
        self._message = message
        self._choose()

    def _choose(self) -> None:
        if (chosen := self._chosen()) != self._shown:
            self._shown = text, kind = chosen
            self.set_classes(f"-{kind}")
            self.display = bool(text)
            self.update(Content(printable_line(text)))

    def _chosen(self) -> tuple[str, str]:
        """Return the text and its kind: message, problem, warning or note."""
        snapshot = self._snapshot
        if self._message or snapshot is None:
            return self._message, "message"
        if snapshot.problem:
            return snapshot.problem, "problem"
        is_explained = self._chart_is_empty and snapshot.state in (RunState.QUEUED, *ENDED_EARLY)
        if not is_explained and (reason := explanation(snapshot)):
            failed = snapshot.state in (RunState.FAILED, RunState.LOST)
            found = proposal(self._findings) if failed else quiet_line(self._findings)  # a failure has its reason
            return " · ".join(filter(None, (reason, found))), "problem" if failed else "message"
        return (quiet_line(self._findings), "warning") if self._findings else _remark(snapshot.facts)


def _remark(facts: Facts) -> tuple[str, str]:
    if facts.warnings:
        return facts.warnings[-1], "warning"
    return " ".join(facts.notes), "note"


def explanation(snapshot: RunSnapshot) -> str:
    """Explain the state of a run and name the key to press; empty if its name is enough."""
    state, message = snapshot.state, _sentence(snapshot.status.message.strip())
    if state is RunState.QUEUED:
        first = " f in Runs lets it go before your others." if snapshot.status.place > 1 else ""
        return f"Waits for {snapshot.status.waiting_for or 'another run'}, which holds the device.{first}"
    if state is RunState.PAUSED:
        return message or "Paused · space continues"
    if state in ENDED_EARLY and snapshot.can_resume:
        how = f"r resumes from step {snapshot.checkpoints[-1]:,}"
        if state is RunState.STOPPED:
            return f"Stopped · {how}" if not message else f"{message} Stopped · {how}"
        return f"{message} {how}.".strip()
    return message


def _sentence(message: str) -> str:
    return message if not message or message[-1] in ".!?…" else message + "."


def empty_chart(snapshot: RunSnapshot | None, title: str, how_to_start: str) -> str:
    """Explain why a run's chart has no points and what to do about it; `title` is the chart's."""
    if snapshot is None:
        return "Curves appear here once training starts."
    match snapshot.state:
        case RunState.STARTING:
            return "Starting: the model and its data are being loaded."
        case RunState.QUEUED:
            return f"Queued behind {snapshot.status.waiting_for or 'another run'}. Training starts when the device is free."
        case RunState.RUNNING:
            return "Waiting for the first values."
        case RunState.PAUSED:
            return "Paused before anything was logged · space continues"
        case RunState.FINISHED:
            return f"Finished. Nothing was logged for this chart ({title})."
    reason = explanation(snapshot) or f"The run {_past(snapshot.state)} before it logged anything."
    return reason if snapshot.can_resume else f"{reason}\n{how_to_start}"


def empty_pictures(snapshot: RunSnapshot) -> str:
    """Explain why a run has no pictures; the chart beside them explains its state."""
    match snapshot.state:
        case RunState.RUNNING:
            return "The first pictures are being drawn."
        case RunState.QUEUED | RunState.STARTING | RunState.PAUSED:
            return "Pictures appear here once it trains."
    return "This run has drawn no pictures."


class ProgressLine(Static):
    """A bar, the steps, the speed, the time left and the losses, as many of them as fit."""

    DEFAULT_CSS = """
    ProgressLine { height: 1; width: 100%; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot: RunSnapshot | None = None

    def show(self, snapshot: RunSnapshot | None) -> None:
        """Show how far a run is; nothing is painted where it looks the same."""
        self._snapshot = snapshot
        content = progress(snapshot, self.size.width) if snapshot else Content("")
        if content != self.content:
            self.update(content, layout=False)

    def on_resize(self) -> None:
        """Fit the line to its new width."""
        self.show(self._snapshot)


def progress(snapshot: RunSnapshot, width: int) -> Content:
    """Return the progress line of a run for a width in cells."""
    status, parts = snapshot.status, _progress_figures(snapshot)
    while len(parts) > 1 and 12 + 2 + sum(len(part) + 2 for part in parts) > width:
        parts.pop()
    text = "  ".join(parts).replace("  (", " (")
    bar = max(0, min(60, width - len(text) - 2))
    if not status.max_steps or bar < 4:
        return Content(text)
    halves = int(status.share_done * bar * 2)
    done = FULL * (halves // 2) + (HALF if halves % 2 else "")
    colours = {RunState.FINISHED: "$success", RunState.PAUSED: "$warning"}
    colours |= dict.fromkeys((RunState.FAILED, RunState.LOST), "$error")
    colour = colours.get(status.state, "$primary")
    return Content.assemble((done, colour), (FULL * (bar - len(done)), "$foreground 15%"), "  ", text)


def _progress_figures(snapshot: RunSnapshot) -> list[str]:
    """List the figures, the most important first."""
    status, summarised = snapshot.status, snapshot.summarised
    parts = [f"{status.step:,}/{status.max_steps:,}" if status.max_steps else f"step {status.step:,}"]
    running = status.state is RunState.RUNNING
    if running and (left := status.seconds_left) is not None:
        parts.append(rate(status.steps_per_second))
        parts.append(f"ETA {duration(left)}")
    elif status.seconds:
        parts.append(f"{duration(status.seconds)} trained")
    if summarised:
        parts.append(measures(summarised))
        watched = snapshot.family.watched if snapshot.family else None
        if summarised[0][0].name == watched and status.best is not None and status.best_step is not None:
            parts.append(f"(best {loss(status.best)} at {status.best_step:,})")
    tested = snapshot.family.tested if snapshot.family else None
    if tested in status.test:
        parts.append(f"test {loss(status.test[tested])}")
    return parts


def test_report(test: Tested) -> str:
    """Write what an evaluation of the test split came to: `Test loss 2.051, validation loss 2.033, with the best weights (…)`."""
    named = [(metric_named(name), value) for name, value in test.metrics.items()]
    figures = ", ".join(f"{metric.description or metric.title} {loss(value)}" for metric, value in named)
    weights = f"with the {test.weights} weights, those of step {test.weights_step:,}"
    return f"{figures[:1].upper()}{figures[1:]}, {weights}."
