"""A measured figure beside its bar."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """What a figure must not exceed, or with `least` not fall below."""

    limit: float
    least: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was measured under which name, in which unit, and how far the repetitions lie apart."""

    name: str  # of the measurement that `--only` takes
    what: str
    value: float
    unit: str
    bar: Bar | None = None  # None: no bar of its own, said because it explains another
    spread: tuple[float, float] | None = None  # the lowest and the highest of the repetitions
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        return None if self.bar is None else self.bar.met_by(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"met": self.met}


@dataclass(frozen=True)
class Failure:
    """A measurement that could not be made, and why."""

    name: str
    reason: str


def span(values: list[float]) -> tuple[float, float]:
    """Return the lowest and the highest."""
    return min(values), max(values)
