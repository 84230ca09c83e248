"""How a sweep chooses its runs: every combination, some drawn at random, those that a search asks for, or rounds of halving."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.values import MOST, Value
from torchtty.engine.contract.experiments.variation import Variation

DRAWN = 20  # runs of a plan that draws them, where nobody says how many
TRIES = 50  # draws for each run that is new and possible


class Kind(StrEnum):
    """The plans there are."""

    GRID = "grid"  # every combination of the listed values
    RANDOM = "random"  # drawn from the lists and ranges
    HALVING = "halving"  # a grid or drawn runs, of which the better part goes on in each round
    TPE = "optuna"  # Optuna's tree-structured Parzen estimator, which also ends runs that lie behind
    QMC = "optuna-qmc"  # quasi-random points, evener than random ones
    CMAES = "optuna-cmaes"  # an evolution strategy for numbers
    GP = "optuna-gp"  # a Gaussian process

    @property
    def searches(self) -> bool:
        """Whether Optuna chooses the runs one after the other."""
        return self.value.startswith("optuna")


@dataclass(frozen=True)
class Plan:
    """How the runs of a sweep are chosen. `runs` is how many are drawn; `seed` fixes the draws.

    Halving trains all runs for `first` of their steps, keeps 1 in `keep` of them for `keep` times as many, and so on.
    """

    kind: Kind = Kind.GRID
    runs: int | None = None
    seed: int = 0
    keep: int = 3
    first: float = 1 / 9

    def __post_init__(self) -> None:
        if self.runs is not None and not 1 <= self.runs <= MOST:
            raise UserError(f"A sweep has from 1 to {MOST} runs, and {self.runs:,} are asked for.")

    def drawn(self) -> int:
        """How many runs are drawn."""
        return DRAWN if self.runs is None else self.runs

    def count(self, variation: Variation) -> int:
        """Return how many runs there are at most."""
        listed = variation.combinations if not variation.spans else MOST
        if self.kind is Kind.GRID or (self.kind is Kind.HALVING and self.runs is None and not variation.spans):
            return listed
        return self.drawn() if self.kind.searches else min(self.drawn(), listed)

    def settings(self, variation: Variation) -> list[dict[str, Value]]:
        """Return the varied settings of the runs that are known from the start: those of a search are not.

        Raises `UserError` where there are too many, or a grid has a range with no number of values.
        """
        if self.kind.searches:
            return []
        if self.kind is Kind.GRID or (self.kind is Kind.HALVING and self.runs is None and not variation.spans):
            if variation.spans:
                path, span = next(iter(variation.spans.items()))
                raise UserError(
                    f"{path} is a range, {span}: a grid needs to know how many numbers of it, such as '{span} "
                    f"{'' if span.log else 'lin '}5'; --plan random --runs N draws them."
                )
            return variation.settings()
        return list(self._draws(variation))

    def _draws(self, variation: Variation) -> Iterator[dict[str, Value]]:
        """Draw combinations, none twice; as many as there are where fewer are left than asked for."""
        if not variation.spans and variation.combinations <= self.drawn():
            yield from variation.settings()
            return
        generator, seen = random.Random(self.seed), list[dict[str, Value]]()
        for _ in range(TRIES * self.drawn()):
            if len(seen) == self.drawn():
                return
            found: dict[str, Value] = {}
            for path in variation.paths:
                if path in variation.spans:
                    found[path] = variation.spans[path].draw(generator)
                else:
                    found[path] = generator.choice(variation.values[path])
            if found not in seen:
                seen.append(found)
                yield found

    def as_json(self) -> dict[str, Any]:
        """Return it as `group.json` holds it."""
        return asdict(self)

    @classmethod
    def of(cls, found: object) -> "Plan":
        """Read what `group.json` holds; a group that says nothing is a grid."""
        if not isinstance(found, Mapping):
            return cls()
        try:
            return cls(
                Kind(found.get("kind", "grid")),
                found.get("runs"),
                int(found.get("seed", 0)),
                int(found.get("keep", 3)),
                float(found.get("first", 1 / 9)),
            )
        except (TypeError, ValueError):
            return cls()


def rungs(plan: Plan, runs: int, max_steps: int) -> list[tuple[int, int]]:
    """Return the rounds of successive halving as (how many runs, the step that they train to); the last is `max_steps`.

    Source: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization".
    """
    if plan.kind is not Kind.HALVING:
        return [(runs, max_steps)]
    found, left, step = [], runs, max(1, round(max_steps * plan.first))
    while step < max_steps and left > 1:
        found.append((left, step))
        left, step = max(1, left // plan.keep), step * plan.keep
    return [*found, (left, max_steps)]
