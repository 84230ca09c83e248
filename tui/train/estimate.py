"""What a configuration amounts to, on one line."""

from collections.abc import Mapping
from typing import Any


def estimate_line(answer: Mapping[str, Any], max_steps: int | None) -> str:
    """Write an answer of the warm worker: `48,637 params · 1 MB · ≈ 12 s`."""
    parts = []
    if parameters := answer.get("parameters"):
        parts.append(f"{count(parameters)} params")
    elif tokens := answer.get("tokens"):  # an n-gram has no parameters before it has counted
        parts.append(f"{tokens['train']:,} tokens to count")
    if memory := answer.get("memory"):
        parts.append(size(memory))
    if (step := answer.get("seconds_per_step")) is not None and max_steps:
        parts.append(f"≈ {duration(step * max_steps)}")
    return " · ".join(parts)


def count(number: int) -> str:
    """Write a number of weights, from a million on to three digits: `48,637`, `6.34 M`, `124 M`."""
    if number < 1_000_000:
        return f"{number:,}"
    return f"{number / 1e6:.{2 if number < 10e6 else 1 if number < 100e6 else 0}f} M"


def size(size_in_bytes: float) -> str:
    """Write a number of bytes: `1 MB`, `350 MB`, `1.2 GB`."""
    megabytes = size_in_bytes / 1e6
    if megabytes < 1000:
        return f"{max(1, round(megabytes))} MB"
    return f"{megabytes / 1000:.1f} GB"


def duration(seconds: float) -> str:
    """Write a length of time roughly, as an estimate deserves: `12 s`, `3 min`, `2.5 h`, `4 days`."""
    if seconds < 1:
        return "1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"
