"""Numbers, times and sizes as people write them."""

import time

from torchtty.engine.contract.run.status import RunState

STATE_COLOURS = {
    RunState.STARTING: "cyan",
    RunState.QUEUED: "yellow",
    RunState.RUNNING: "bold cyan",
    RunState.PAUSED: "yellow",
    RunState.FINISHED: "green",
    RunState.STOPPED: "blue",
    RunState.FAILED: "bold red",
    RunState.LOST: "red",
}


def loss(value: float | None) -> str:
    """Write a loss in nats, a dash where there is none."""
    return "–" if value is None else f"{value:.4f}"


def count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Write a span of time: 0.4 s, 12 s, 3:05, 1:02:09."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(moment: float | None, now: float | None = None) -> str:
    """Write how long ago a moment was, in its largest unit."""
    if not moment:
        return "–"
    passed = max(0.0, (time.time() if now is None else now) - moment)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= size:
            return f"{passed / size:.0f} {unit} ago"
    return "just now"


def size(number: float) -> str:
    """Write bytes: 812 B, 1.1 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"
