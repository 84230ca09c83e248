"""Tokens as they are shown in figures and tables."""

from typing import Any

from torchtty.engine.contract.printable import printable_line


def symbol(token: str) -> str:
    """Return a token on one line with its spaces to be seen: `␣the`, `⏎`."""
    return printable_line(token).replace(" ", "␣")


def probability(value: float) -> str:
    """Write a probability in a few characters: `0.74`, `0.003`, `2e-5`."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.1g}" if 0 < value < 1e-3 else f"{value:.2g}"


def about_text(result: dict[str, Any]) -> tuple[str, ...]:
    """Say what of a person's text was not read, for a heading."""
    parts = []
    if result.get("unknown"):
        parts.append(f" · not in the vocabulary: {printable_line(', '.join(result['unknown'][:8]))}")
    if result.get("left_out"):
        parts.append(f" · {result['left_out']:,} more tokens do not fit")
    return tuple(parts)
