"""The tour through the recipes in the order of the course: its stops, the numbers to beat, and how far a person has come."""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from torchtty.engine.contract.learn.example import read_asset
from torchtty.engine.contract.paths import state_folder
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import write_atomically
from torchtty.engine.contract.run.log import RunLog

_FILE = "tour.json"
MOST_RUNS = 20  # of a recipe that are looked at, the newest first


@dataclass(frozen=True)
class Beat:
    """The number to beat: a metric, at its best or at a step, against a number or against a reference line of the run itself.

    A `dataset` is named where the number holds for that one only. `margin` is added to the reference.
    """

    text: str
    metric: str
    number: float | None = None
    reference: str = ""
    margin: float = 0.0
    step: int | None = None
    dataset: str = ""
    more: bool = False  # the metric is to be above it

    def limit(self, references: dict[str, float]) -> float | None:
        """Return the number that a run with these reference lines has to beat; None if it has no such line."""
        if self.number is not None:
            return self.number
        return references[self.reference] + self.margin if self.reference in references else None


@dataclass(frozen=True)
class Stop:
    """A stop of the tour: two sentences, the recipe to run, one thing to try, the number to beat, and the lens that shows why."""

    key: str
    title: str
    about: str
    recipe: str
    attempt: str
    beat: Beat
    lens: str
    page: str = ""  # of Learn, that explains it


@dataclass(frozen=True)
class Attempt:
    """What a run has reached of a stop's number."""

    run: str
    value: float
    limit: float
    beaten: bool


@cache
def stops() -> tuple[Stop, ...]:
    """Return the stops in their order."""
    return tuple(Stop(**entry | {"beat": Beat(**entry["beat"])}) for entry in read_asset("tour")["stops"])


def attempt_of(stop: Stop, run: RunDirectory) -> Attempt | None:
    """Return what a run has reached of a stop's number; None where it measured no such thing, or on other data."""
    beat = stop.beat
    log = RunLog(run)
    log.read()
    dataset: Any = log.settings().get("data", {}).get("dataset")
    limit = beat.limit(log.facts.references)
    if limit is None or (beat.dataset and dataset != beat.dataset):
        return None
    values = [value for at, value in log.metrics.points(beat.metric) if beat.step is None or at == beat.step]
    if not values:
        return None
    value = max(values) if beat.more else min(values)
    return Attempt(run.name, value, limit, value > limit if beat.more else value < limit)


def best_attempt(stop: Stop, runs: Iterable[RunDirectory]) -> Attempt | None:
    """Return the best that runs of a stop's recipe have reached."""
    found = [attempt for run in list(runs)[:MOST_RUNS] if (attempt := attempt_of(stop, run)) is not None]
    if not found:
        return None
    return (max if stop.beat.more else min)(found, key=lambda attempt: attempt.value)


@dataclass(frozen=True)
class Progress:
    """The stops that were passed, and the one that was looked at last."""

    passed: frozenset[str] = frozenset()
    at: str = ""


def read_progress() -> Progress:
    """Return how far a person has come; a file that cannot be read is a new beginning."""
    try:
        found = json.loads((state_folder() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Progress()
    known = {stop.key for stop in stops()}
    passed = found.get("passed") if isinstance(found, dict) else None
    at = found.get("at") if isinstance(found, dict) else None
    kept = [key for key in passed if isinstance(key, str) and key in known] if isinstance(passed, list) else []
    return Progress(frozenset(kept), at if isinstance(at, str) and at in known else "")


def keep_progress(progress: Progress) -> None:
    """Store how far a person has come; a state folder that cannot be written to is ignored."""
    folder = state_folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        content = {"passed": [stop.key for stop in stops() if stop.key in progress.passed], "at": progress.at}
        write_atomically(folder / _FILE, json.dumps(content))
