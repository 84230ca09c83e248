"""A race: models of one corpus that are given the same budget, and are compared in bits per character."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite, log
from typing import Any

from torchtty.engine.contract.errors import UserError

BITS = "bits_per_character"
LOSS = "val_loss"  # nats a token of text that no model has learnt from


class BudgetKind(StrEnum):
    """What a budget counts."""

    SECONDS = "seconds"
    STEPS = "steps"
    FLOPS = "FLOPs"


@dataclass(frozen=True)
class Budget:
    """What each run of a race is given. Raises `UserError` for one of nothing."""

    kind: BudgetKind
    amount: float

    def __post_init__(self) -> None:
        least = 1 if self.kind is BudgetKind.STEPS else 0
        if not isfinite(self.amount) or self.amount <= 0 or self.amount < least:
            raise UserError(f"A budget is a number of {self.kind} above 0, not {self.amount:g}.")

    def __str__(self) -> str:
        if self.kind is BudgetKind.FLOPS:
            return f"{self.amount:.3g} FLOPs".replace("e+", "e")
        unit = self.kind.removesuffix("s") if self.amount == 1 else self.kind
        return f"{self.amount:,g} {unit}"


@dataclass(frozen=True)
class Race:
    """What a group's file says of a race. `flops` are those of a step of each model; 0 where it multiplies no matrices."""

    corpus: str
    budget: Budget
    flops: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as `group.json` holds it."""
        return {
            "corpus": self.corpus,
            "budget": self.budget.kind.value,
            "amount": self.budget.amount,
            "flops": dict(self.flops),
        }

    @classmethod
    def of(cls, found: object) -> "Race | None":
        """Read what `group.json` holds; None where that is no race."""
        if not isinstance(found, Mapping):
            return None
        try:
            budget = Budget(BudgetKind(found["budget"]), float(found["amount"]))
            return cls(str(found["corpus"]), budget, {str(run): float(n) for run, n in found["flops"].items()})
        except (AttributeError, KeyError, TypeError, ValueError, UserError):
            return None


def bits_per_character(nats: float, characters_per_token: float) -> float:
    """Return what a loss in nats a token is in bits per character: nats / (ln 2 · characters a token).

    That measure is the same for tokens of any length; the characters are those of the whole text, one a terminator.
    """
    return nats / (log(2) * characters_per_token)
