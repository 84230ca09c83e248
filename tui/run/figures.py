"""Writing figures the way the run's screens show them."""

import math
import time
from collections.abc import Sequence

from torchtty.engine.contract.settings.family import Metric


def duration(seconds: float) -> str:
    """Write a time as `0:07`, `12:05`, `3:02:11` or `2d 4h`."""
    if not math.isfinite(seconds) or seconds < 0:
        return "–"
    whole = int(seconds + 0.5)
    if whole >= 2 * 86400:
        return f"{whole // 86400}d {whole % 86400 // 3600}h"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def loss(value: float | None) -> str:
    """Write a loss with three decimals; `–` where there is none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if math.isfinite(value) else "NaN" if math.isnan(value) else "∞"


def measures(summarised: Sequence[tuple[Metric, float]]) -> str:
    """Write what a run is summed up by: `val 1.931`, or `D 0.51 G 3.40` where it is more than one figure."""
    if len(summarised) == 1:
        metric, value = summarised[0]
        return f"{metric.label or metric.title} {loss(value)}"
    return " ".join(f"{metric.label or metric.title} {_three_digits(value)}" for metric, value in summarised)


def _three_digits(value: float) -> str:
    """Write a loss in four cells: 0.51, 12.3, 812."""
    if not math.isfinite(value):
        return loss(value)
    return f"{value:.{2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f}"


def rate(per_second: float | None) -> str:
    """Write steps a second: `0.25 it/s`, `41 it/s`, `12.3k it/s`."""
    if per_second is None or not math.isfinite(per_second):
        return "–"
    if per_second >= 10_000:
        return f"{per_second / 1000:.1f}k it/s"
    return f"{per_second:,.{0 if per_second >= 10 else 1 if per_second >= 1 else 2}f} it/s"


def count(number: int | None) -> str:
    """Write a count short: `812`, `48.6k`, `1.2M`."""
    if number is None:
        return "–"
    for size, suffix in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            unit = 1000 if suffix == "k" else size
            return f"{number / unit:.1f}{suffix}"
    return f"{number:,}"


def moment(seconds: float, now: float | None = None) -> str:
    """Write a point in time: the hour if it is today's, else the day."""
    then, today = time.localtime(seconds), time.localtime(time.time() if now is None else now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b" if then[0] == today[0] else "%Y-%m-%d", then)
