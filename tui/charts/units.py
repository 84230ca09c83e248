"""What losses can be read in: nats, bits per character, perplexity."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, isfinite, log

from torchtty.tui.charts.decimation import LARGEST


@dataclass(frozen=True)
class Unit:
    """A unit of the y axis: values times `scale`, and that as the exponent of e where it is `exponential`."""

    name: str = ""
    scale: float = 1.0
    exponential: bool = False

    def of(self, value: float) -> float:
        """Convert a value as it was logged; what overflows is as large as can be drawn, NaN stays."""
        if not self.exponential:
            return value * self.scale
        exponent = value * self.scale
        return min(exp(exponent), LARGEST) if exponent < log(LARGEST) else LARGEST if isfinite(exponent) else exponent

    @property
    def is_as_logged(self) -> bool:
        """Whether nothing is converted."""
        return self.scale == 1.0 and not self.exponential


AS_LOGGED = Unit()
NATS = "nats"


def loss_units(characters_per_token: float | None = None) -> tuple[Unit, ...]:
    """Return what a loss in nats a token can be read in, nats first.

    Bits per character are nats / (ln 2 · characters a token), which makes tokenizers comparable; without that number there are
    none. Perplexity is exp(nats): among how many equally likely tokens the model chooses (Jelinek et al. 1977).
    """
    bits: tuple[Unit, ...] = ()
    if characters_per_token:
        bits = (Unit("bits/char", 1 / (log(2) * characters_per_token)),)
    return (Unit(NATS), *bits, Unit("perplexity", exponential=True))


def next_unit(unit: Unit, offered: tuple[Unit, ...]) -> Unit:
    """Return the unit after one among those that are offered."""
    names = [one.name for one in offered]
    at = names.index(unit.name) if unit.name in names else 0
    return offered[(at + 1) % len(offered)] if offered else unit


def named(name: str, offered: tuple[Unit, ...]) -> Unit:
    """Return the unit of a name, or the first that is offered."""
    found: Mapping[str, Unit] = {one.name: one for one in offered}
    return found.get(name, offered[0] if offered else AS_LOGGED)
