"""The tour through the recipes in the order of the course: its stops, the numbers to beat, and how far a person has come."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

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

    `text` says all of it. `numbers` are by dataset, where one holds for its own alone. `margin` is added to the reference.
    """

    text: str
    metric: str
    number: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    reference: str = ""
    margin: float = 0.0
    step: int | None = None
    more: bool = False  # the metric is to be above it

    def limit(self, dataset: str, references: Mapping[str, float]) -> float | None:
        """Return the number that a run on a dataset, with these reference lines, has to beat; None if none holds for it."""
        if self.reference:
            return references[self.reference] + self.margin if self.reference in references else None
        return self.numbers.get(dataset, self.number)


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
    """What a run has reached of a stop's number: no `value` yet, or no `limit` where none holds for the data it reads."""

    run: str
    dataset: str
    value: float | None
    limit: float | None
    beaten: bool = False


@cache
def stops() -> tuple[Stop, ...]:
    """Return the stops in their order."""
    return tuple(Stop(**entry | {"beat": Beat(**entry["beat"])}) for entry in read_asset("tour")["stops"])


def attempt_of(stop: Stop, run: RunDirectory) -> Attempt:
    """Return what a run has reached of a stop's number."""
    beat = stop.beat
    log = RunLog(run)
    log.read()
    dataset = str(log.settings().get("data", {}).get("dataset", ""))
    limit = beat.limit(dataset, log.facts.references)
    values = [value for at, value in log.metrics.points(beat.metric) if beat.step is None or at == beat.step]
    value = (max if beat.more else min)(values, default=None)
    beaten = value is not None and limit is not None and (value > limit if beat.more else value < limit)
    return Attempt(run.name, dataset, value, limit, beaten)


def best_attempt(stop: Stop, runs: Sequence[RunDirectory]) -> Attempt | None:
    """Return the best of what runs of a stop's recipe, the newest first, have reached; the newest's if none can be compared.

    Where runs on several datasets have numbers of their own, the best is the one that is furthest past its own.
    """
    found = [attempt_of(stop, run) for run in runs[:MOST_RUNS]]
    sign = 1 if stop.beat.more else -1
    margins = {
        attempt: sign * (attempt.value - attempt.limit)
        for attempt in found
        if attempt.value is not None and attempt.limit is not None
    }
    return max(margins, key=margins.__getitem__) if margins else found[0] if found else None


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
