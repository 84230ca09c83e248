"""Axes: nice numbers, ticks and labels, linear and logarithmic."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, log10

Label = Callable[[float, float], str]
"""Turns a tick's position and the distance to the next tick into its text."""


@dataclass(frozen=True)
class Axis:
    """A range of numbers and how it lies on the screen; a logarithmic one has low > 0."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high
        assert self.low > 0 or not self.log

    def fraction(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one; beyond both for values outside."""
        if self.log:
            return log10(value / self.low) / log10(self.high / self.low) if value > 0 else -1.0
        return (value - self.low) / (self.high - self.low)

    def value(self, fraction: float) -> float:
        """Return the value that lies at a fraction."""
        if self.log:
            return self.low * (self.high / self.low) ** fraction
        return self.low + (self.high - self.low) * fraction

    def edges(self, columns: int) -> list[float]:
        """Return the borders of equal columns, `columns` + 1 of them, the ends exact."""
        inner = (self.value(i / columns) for i in range(1, columns))
        return [self.low, *inner, self.high]


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    position: float
    label: str


def nice_step(span: float, most: int) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that divides a span into at most `most` parts."""
    assert span > 0
    rough = span / max(1, most)
    power = 10.0 ** floor(log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * (1 - 1e-9))


SECOND_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def seconds_step(span: float, most: int) -> float:
    """Return the distance between ticks of a time axis: whole parts of minutes, hours and days."""
    rough = span / max(1, most)
    if rough <= 1:
        return nice_step(span, most)
    return float(next((step for step in SECOND_STEPS if step >= rough), None) or 86400 * ceil(rough / 86400))


def ticks(axis: Axis, most: int, label: Label, step_of: Callable[[float, int], float] = nice_step) -> tuple[Tick, ...]:
    """Return at most about `most` + 1 ticks at nice positions within the axis."""
    if axis.log:
        return tuple(Tick(position, label(position, position)) for position in _log_positions(axis, most))
    step = step_of(axis.high - axis.low, most)
    slack = 1e-6
    first, last = ceil(axis.low / step - slack), floor(axis.high / step + slack)
    return tuple(Tick(i * step, label(i * step, step)) for i in range(first, last + 1))


def _log_positions(axis: Axis, most: int) -> list[float]:
    low, high = floor(log10(axis.low) - 1e-9), ceil(log10(axis.high) + 1e-9)
    decades = list(range(low, high + 1))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        positions = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [p for p in positions if axis.low * (1 - 1e-9) <= p <= axis.high * (1 + 1e-9)]
        if len(inside) <= most + 1:
            break
    if len(inside) > most + 1:
        stride = ceil(len(inside) / (most + 1))
        inside = inside[::stride]
    if len(inside) >= 2:
        return inside
    # Less than a decade: nice linear positions are the readable choice.
    step = nice_step(axis.high - axis.low, max(1, most))
    return [i * step for i in range(ceil(axis.low / step), floor(axis.high / step) + 1)]


def decimal_label(value: float, step: float) -> str:
    """Write a number with the decimals that tell it from the next tick: 1.5, 0.25, 3e-4, 12k."""
    if abs(value) < step * 1e-6:
        return "0"
    if abs(value) >= 10_000:
        return count_label(value, step)
    if max(abs(value), step) < 1e-2:
        return _scientific(value)
    decimals = max(0, -floor(log10(step) + 1e-9))
    return f"{value:.{decimals}f}"


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def count_label(value: float, step: float) -> str:
    """Write a count with k, M, G or T: 500, 1.5k, 10M."""
    for power, suffix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            scaled = value / 10**power
            decimals = max(0, min(3, -floor(log10(step / 10**power) + 1e-9)))
            text = f"{scaled:.{decimals}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + suffix
    if value == int(value):
        return str(int(value))
    return f"{value:.{max(0, -floor(log10(step) + 1e-9))}f}"


def seconds_label(value: float, step: float) -> str:
    """Write a time since the start: 45s, 1m30, 2h, 1h15, 3d."""
    whole = round(value)
    if whole == 0:
        return "0"
    if step < 1 or value < 1:
        return f"{value:.{max(0, -floor(log10(min(step, value)) + 1e-9))}f}s"
    for size, unit, small, width in ((86400, "d", 3600, 1), (3600, "h", 60, 2), (60, "m", 1, 2)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size}{unit}" + (f"{rest:0{width}d}" if rest else "")
    return f"{whole}s"


def value_text(value: float) -> str:
    """Write a current value in about seven characters: 1.842, 27.31, 0.0421, 3.00e-4, 1.25M."""
    if value != value:
        return "–"
    size = abs(value)
    if size >= 1e15:
        return f"{value:.0e}"
    if size >= 100_000:
        return count_label(value, 10 ** (floor(log10(size)) - 2))
    if 0 < size < 1e-2:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.{4 if 0 < size < 0.1 else 3 if size < 10 else 2 if size < 100 else 1 if size < 10_000 else 0}f}"
