"""Which setting is better, and which field mattered: the settings of a group ranked, and the variance that each field explains."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torchtty.engine.contract.experiments.results import LAST, At, Member, Results, label, short_name
from torchtty.engine.contract.experiments.statistics import Difference, Spread, difference, in_a_sentence
from torchtty.engine.contract.experiments.tables import written
from torchtty.engine.contract.experiments.variation import SEED
from torchtty.engine.contract.settings.fields import show

GROUPS = 4  # into which the many values of a number are put
FEWEST = 3  # runs with a value, below which nothing is said of a field


@dataclass(frozen=True)
class Ranked:
    """A setting, what its seeds come to, and its runs."""

    setting: tuple[tuple[str, Any], ...]
    spread: Spread
    members: tuple[Member, ...]

    @property
    def name(self) -> str:
        return label(self.setting)


def ranked(results: Results, metric: str, at: At = LAST) -> list[Ranked]:
    """Return the settings, the one with the lowest mean first; those without a value stand at the end."""
    groups: dict[tuple[tuple[str, Any], ...], list[Member]] = {}
    for member in results.members:
        groups.setdefault(member.setting, []).append(member)
    found = [Ranked(setting, results.spread(runs, metric, at), tuple(runs)) for setting, runs in groups.items()]
    return sorted(found, key=lambda entry: (not entry.spread.n, entry.spread.mean if entry.spread.n else 0.0))


def best_against_next(settings: Sequence[Ranked]) -> tuple[Ranked, Ranked, Difference] | None:
    """Return the best two settings and what lies between them; None where fewer than two have a value."""
    there = [entry for entry in settings if entry.spread.n]
    if len(there) < 2:
        return None
    return there[0], there[1], difference(there[0].spread.values, there[1].spread.values)


def verdict(results: Results, metric: str, at: At = LAST) -> str:
    """Say which setting is best, and whether by more than the seeds scatter; nothing where there is one setting only.

    With three settings or more the best was picked for being so: the sentence says among how many.
    """
    settings = ranked(results, metric, at)
    found = best_against_next(settings)
    if found is None:
        return ""
    best, second, gap = found
    more = results.status.state.is_live and all(_goes_on(entry) for entry in (best, second))
    said = in_a_sentence(best.name, second.name, gap, written, more_to_come=more)
    count = sum(bool(entry.spread.n) for entry in settings)
    return said if count < 3 else f"The lowest of {count} settings and the next: {said}"


def _goes_on(setting: Ranked) -> bool:
    """Whether a setting has seeds enough for a comparison, with those that are still to have a result."""
    waiting = sum(member.status.state.is_live for member in setting.members)
    return setting.spread.n > 1 or (waiting > 0 and len(setting.members) > 1)


def losses_of_runs(results: Results) -> str:
    """Say how many runs diverged, failed or were deleted; nothing where none did."""
    diverged = sum(member.has_diverged for member in results.members)
    failed = sum(member.has_failed and member.exists for member in results.members)
    deleted = sum(not member.exists for member in results.members)
    counts = (("diverged", diverged), ("failed", failed), ("deleted", deleted))
    parts = [f"{number} {word}" for word, number in counts if number]
    return f"Of {len(results.members)} runs {', '.join(parts)}: counted, and in no mean." if parts else ""


@dataclass(frozen=True)
class Mattered:
    """How much of the variance of the result a setting explains, from 0 to 1, and how much would be expected by chance.

    `groups` are (value in words, mean, runs) in the order of the values.
    """

    path: str
    share: float
    by_chance: float
    groups: tuple[tuple[str, float, int], ...]

    @property
    def name(self) -> str:
        return short_name(self.path)


def which_mattered(results: Results, metric: str, at: At = LAST) -> list[Mattered]:
    """Return the varied settings but for the seed, the one that explains most first.

    The share is eta squared (Fisher 1925): the runs are put into groups by their value of the setting, and the squares of the
    groups' means around the mean of all, each as often as it has runs, are divided by those of the single runs. k groups of n runs
    explain (k - 1) / (n - 1) by chance alone. A number with more different values than half of the runs is cut into 4 groups of
    equal size by rank. In a full grid the shares add up to 1 at most; what is missing are the seeds, and settings that work
    together. Runs without a value are left out.
    """
    found = []
    for path in results.fields:
        pairs = [
            (member.settings[path], value)
            for member in results.members
            if path in member.settings and (value := member.value(metric, at)) is not None
        ]
        groups = _groups(pairs) if path != SEED and len(pairs) >= FEWEST else {}
        if len(groups) > 1:
            found.append(_mattered(path, groups))
    return sorted(found, key=lambda entry: -entry.share)


def _mattered(path: str, groups: dict[str, list[float]]) -> Mattered:
    values = [value for group in groups.values() for value in group]
    middle = fmean(values)
    whole = sum((value - middle) ** 2 for value in values)
    between = sum(len(group) * (fmean(group) - middle) ** 2 for group in groups.values())
    means = tuple((name, fmean(group), len(group)) for name, group in groups.items())
    by_chance = (len(groups) - 1) / (len(values) - 1)
    return Mattered(path, between / whole if whole else 0.0, by_chance, means)


def _groups(pairs: Sequence[tuple[Any, float]]) -> dict[str, list[float]]:
    """Put results into groups by the value of a setting, named by it, or by the range of values in a group."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value, _ in pairs)
    different = len({show(value) for value, _ in pairs})
    ordered = sorted(pairs, key=lambda pair: pair[0]) if numbers else list(pairs)
    groups: dict[str, list[float]] = {}
    if numbers and different > len(pairs) / 2 and different > GROUPS:
        for number in range(GROUPS):
            part = ordered[number * len(ordered) // GROUPS : (number + 1) * len(ordered) // GROUPS]
            groups[f"{show(part[0][0])} to {show(part[-1][0])}"] = [result for _, result in part]
        return groups
    for value, result in ordered:
        groups.setdefault(show(value), []).append(result)
    return groups
