"""The line that says how far a run is, updated in place."""

from textual.content import Content
from textual.widgets import Static

from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.format import duration, loss, measures, rate

FULL, HALF = "━", "╸"


class ProgressLine(Static):
    """A bar, the steps, the speed, the time left and the validation loss, as many of them as fit."""

    DEFAULT_CSS = """
    ProgressLine { height: 1; width: 100%; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot: RunSnapshot | None = None
        self._shown: Content | None = None

    def show(self, snapshot: RunSnapshot | None) -> None:
        """Show how far a run is; nothing is painted where it looks the same."""
        self._snapshot = snapshot
        content = line(snapshot, self.size.width) if snapshot else Content("")
        if content != self._shown:
            self._shown = content
            self.update(content, layout=False)

    def on_resize(self) -> None:
        """Fit the line to its new width."""
        self.show(self._snapshot)


def line(snapshot: RunSnapshot, width: int) -> Content:
    """Return the progress line of a run for a width in cells."""
    status, parts = snapshot.status, _figures(snapshot)
    while len(parts) > 1 and 12 + 2 + sum(len(part) + 2 for part in parts) > width:
        parts.pop()
    text = "  ".join(parts).replace("  (", " (")
    bar = max(0, min(60, width - len(text) - 2))
    if not status.max_steps or bar < 4:
        return Content(text)
    share = min(1.0, max(0.0, status.step / status.max_steps))
    halves = int(share * bar * 2)
    done = FULL * (halves // 2) + (HALF if halves % 2 else "")
    colour = {
        RunState.FINISHED: "$success",
        RunState.FAILED: "$error",
        RunState.LOST: "$error",
        RunState.PAUSED: "$warning",
    }.get(status.state, "$primary")
    return Content.assemble((done, colour), (FULL * (bar - len(done)), "$foreground 15%"), "  ", text)


def _figures(snapshot: RunSnapshot) -> list[str]:
    """List the figures, the most important first."""
    status, summarised = snapshot.status, snapshot.summarised
    parts = [f"{status.step:,}/{status.max_steps:,}" if status.max_steps else f"step {status.step:,}"]
    running = status.state is RunState.RUNNING
    if running and status.steps_per_second:
        parts.append(rate(status.steps_per_second))
        parts.append(f"ETA {duration(max(0, status.max_steps - status.step) / status.steps_per_second)}")
    elif status.seconds:
        parts.append(f"{duration(status.seconds)} trained")
    if summarised:
        parts.append(measures(summarised))
        watched = snapshot.family.watched if snapshot.family else None
        if summarised[0][0].name == watched and status.best is not None and status.best_step is not None:
            parts.append(f"(best {loss(status.best)} at {status.best_step:,})")
    return parts
