"""How numbers, times, sizes and run states are written, in the app and on the command line alike."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.run.stopping import ended_by
from torchtty.engine.contract.settings.family import Metric
from torchtty.engine.contract.settings.fields import show

if TYPE_CHECKING:
    from torchtty.engine.contract.run.events import Edited

MISSING = "–"


@dataclass(frozen=True)
class StateLook:
    """A run state's sign (one cell) and word, with their colour in the app's theme and their style on the command line."""

    sign: str
    word: str
    colour: str
    style: str


STATE_LOOKS: dict[RunState, StateLook] = {
    RunState.STARTING: StateLook("◌", "starting", "$text-accent", "cyan"),
    RunState.QUEUED: StateLook("◷", "queued", "$text-accent", "yellow"),
    RunState.RUNNING: StateLook("●", "running", "$text-success", "bold cyan"),
    RunState.PAUSED: StateLook("‖", "paused", "$text-warning", "yellow"),
    RunState.FINISHED: StateLook("✓", "finished", "$text-primary", "green"),
    RunState.STOPPED: StateLook("■", "stopped", "$foreground 65%", "blue"),
    RunState.FAILED: StateLook("✗", "failed", "$text-error", "bold red"),
    RunState.LOST: StateLook("?", "lost", "$text-error", "red"),
}
"""Each state has a sign, a word and a colour, so that any one of the three suffices."""


def state_words(status: Status) -> str:
    """Write a run's state, and the rule that ended it before its last step: `finished`, `finished by patience`."""
    rule = ended_by(status)
    return STATE_LOOKS[status.state].word + (f" by {rule.partition('.')[2]}" if rule else "")


def behind(status: Status) -> str:
    """Write what a queued run waits for: ` behind gpt-7`, ` behind gpt-7, number 3 in the queue`; empty for any other."""
    if not status.waiting_for:
        return ""
    place = f", number {status.place} in the queue" if status.place > 1 else ""
    return f" behind {printable_line(status.waiting_for)}{place}"


def loss(value: float | None, decimals: int = 3) -> str:
    """Write a loss in nats: `1.842`, `NaN`, `∞`."""
    if value is None:
        return MISSING
    return f"{value:.{decimals}f}" if math.isfinite(value) else "NaN" if math.isnan(value) else "∞"


def measures(summarised: Sequence[tuple[Metric, float]]) -> str:
    """Write the metrics that sum up a run: `val 1.931`, or `D 0.51 G 3.40` where there are several."""
    write = loss if len(summarised) == 1 else _three_digits
    return " ".join(f"{metric.label or metric.title} {write(value)}" for metric, value in summarised)


def _three_digits(value: float) -> str:
    """Write a loss in four cells: 0.51, 12.3, 812."""
    if not math.isfinite(value):
        return loss(value)
    return f"{value:.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}"


def number(value: float | None) -> str:
    """Write any number in about seven characters: 1.842, 27.31, 0.0421, 3.00e-4, 1.25M; `–` for one that is none."""
    if value is None or math.isnan(value):
        return MISSING
    size = abs(value)
    if size >= 1e15:
        return f"{value:.0e}"
    if size >= 100_000:
        return count_label(value, 10 ** (math.floor(math.log10(size)) - 2))
    if 0 < size < 1e-2:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.{4 if 0 < size < 0.1 else 3 if size < 10 else 2 if size < 100 else 1 if size < 10_000 else 0}f}"


def count(value: float | None) -> str:
    """Write a count in full: `48,637`."""
    return MISSING if value is None else f"{value:,.0f}"


def short_count(value: int | None) -> str:
    """Write a count for a narrow column: `812`, `48.6k`, `1.2M`."""
    if value is None:
        return MISSING
    for size, suffix in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**4, "k")):
        if value >= size:
            return f"{value / (1000 if suffix == 'k' else size):.1f}{suffix}"
    return f"{value:,}"


def parameter_count(value: int) -> str:
    """Write the size of a model, with three digits from a million on: `48,637`, `6.34 M`, `124 M`."""
    if value < 1_000_000:
        return count(value)
    return f"{value / 1e6:.{2 if value < 10e6 else 1 if value < 100e6 else 0}f} M"


def rate(per_second: float | None) -> str:
    """Write steps a second: `0.25 it/s`, `41 it/s`, `12.3k it/s`."""
    if per_second is None or not math.isfinite(per_second):
        return MISSING
    if per_second >= 10_000:
        return f"{per_second / 1000:.1f}k it/s"
    return f"{per_second:,.{0 if per_second >= 10 else 1 if per_second >= 1 else 2}f} it/s"


def size(in_bytes: float) -> str:
    """Write a number of bytes: `812 B`, `1 MB`, `1.1 MB`, `350 MB`, `1.2 GB`."""
    power = next((power for power in range(4) if in_bytes < 999.5 * 1000**power), 4)
    unit = ("B", "kB", "MB", "GB", "TB")[power]
    in_bytes /= 1000**power
    text = f"{in_bytes:,.{0 if unit == 'B' or in_bytes >= 10 else 1}f}"
    return f"{text.removesuffix('.0')} {unit}"


def duration(seconds: float) -> str:
    """Write a length of time exactly: `0.4 s`, `0:07`, `12:05`, `3:02:11`, `2d 4h`."""
    if not math.isfinite(seconds) or seconds < 0:
        return MISSING
    if 0 < seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = int(seconds + 0.5)
    if whole >= 2 * 86400:
        return f"{whole // 86400}d {whole % 86400 // 3600}h"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def fine_duration(seconds: float | None) -> str:
    """Write a time that is mostly below a second, with three digits: `8.3 µs`, `118 µs`, `1.28 ms`, `2.40 s`."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    unit, value = next(
        ((unit, seconds / least) for least, unit in ((1.0, "s"), (1e-3, "ms")) if seconds >= least * 0.9995),
        ("µs", seconds * 1e6),
    )
    return f"{value:.{2 if value < 9.995 and unit != 'µs' else 1 if value < 99.95 else 0}f} {unit}"


def rough_duration(seconds: float) -> str:
    """Write a length of time as roughly as an estimate is: `12 s`, `3 min`, `2.5 h`, `4 days`."""
    if seconds < 1:
        return "1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def moment(seconds: float) -> str:
    """Write a point in time (seconds since the epoch): the hour if it is today's, else the day."""
    then, today = time.localtime(seconds), time.localtime()
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b" if then[0] == today[0] else "%Y-%m-%d", then)


def ago(moment: float | None) -> str:
    """Write how long ago a moment (seconds since the epoch) was, in its largest unit: `3 h ago`."""
    if not moment:
        return MISSING
    passed = max(0.0, time.time() - moment)
    for seconds, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= seconds:
            return f"{passed / seconds:.0f} {unit} ago"
    return "just now"


# Labels of an axis: each takes a tick's position and the distance to the next tick.


def decimal_label(value: float, step: float) -> str:
    """Write a number with the decimals that distinguish it from the next tick: 1.5, 0.25, 3e-4, 12k."""
    if abs(value) < step * 1e-6:
        return "0"
    if abs(value) >= (1000 if step >= 1000 else 10_000):  # 5k beside 10k
        return count_label(value, step)
    if max(abs(value), step) < 1e-2:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.{_decimals(step)}f}"


def count_label(value: float, step: float) -> str:
    """Write a count with k, M, G or T: 500, 1.5k, 10M."""
    for power, suffix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            text = f"{value / 10**power:.{min(3, _decimals(step / 10**power))}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + suffix
    if value == int(value):
        return str(int(value))
    return f"{value:.{_decimals(step)}f}"


def seconds_label(value: float, step: float) -> str:
    """Write a time since the start: 45s, 1m30, 2h, 1h15, 3d."""
    whole = round(value)
    if whole == 0:
        return "0"
    if step < 1 or value < 1:
        return f"{value:.{_decimals(min(step, value))}f}s"
    for size, unit, small, width in ((86400, "d", 3600, 1), (3600, "h", 60, 2), (60, "m", 1, 2)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size}{unit}" + (f"{rest:0{width}d}" if rest else "")
    return f"{whole}s"


def _decimals(step: float) -> int:
    """Return the decimals that a multiple of a step needs."""
    return max(0, -math.floor(math.log10(step) + 1e-9))


def edit_texts(edit: "Edited") -> tuple[str, str]:
    """Write a live edit, and in short: `learning_rate 1e-3 → 8e-3` and `learning_rate 8e-3`."""
    name, value = edit.path.rpartition(".")[2], show(edit.value)
    return printable_line(f"{name} {show(edit.old)} → {value}"), printable_line(f"{name} {value}")


def branch(depth: int) -> str:
    """Write what stands before the name of a fork in a list: its parent's lies above, with `depth` ancestors in all."""
    return "  " * (depth - 1) + "└ " if depth else ""
