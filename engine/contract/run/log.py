"""The run log: everything that a run has written, read as it grows and reduced to what it amounts to.

It is the one reader of `metrics.jsonl` and `events.jsonl`: the app, the command line, experiments and the bench all ask it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import (
    Answered,
    BackendChosen,
    Cancelled,
    CheckpointWritten,
    Edited,
    Event,
    Failed,
    Images,
    PrecisionChosen,
    Progress,
    Ready,
    RequestEvent,
    Scalar,
    Started,
    Summary,
    Tested,
    ThreadsChosen,
    Warned,
    read_event,
)
from torchtty.engine.contract.run.files import JsonLinesTail, open_regular, read_json
from torchtty.engine.contract.run.metrics import MetricColumns
from torchtty.engine.contract.settings.configuration import with_value
from torchtty.engine.contract.settings.family import Tree

CHUNK = 256 * 1024  # bytes parsed at once: 3 ms without a pause for other threads
STORED_SAMPLES = 500
STORED_WARNINGS = 50
LARGEST_RESULT = 256 * 1024 * 1024  # bytes of a result that stands in a file of its own
QUIET = (
    "edit",
    "checkpoint",
    "pause",
    "continue",
    "stop",
    "test",
)  # requests whose failure is a warning: nobody waits for an answer


@dataclass(frozen=True)
class SampleRecord:
    """A sample, complete or still growing; its texts are as the model wrote them, unsafe to show as they are."""

    key: int  # counts the run's samples; a later one has a larger key
    id: str
    step: int
    prompt: str = ""
    settings: dict[str, Scalar] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    known: tuple[bool, ...] = ()  # for items: whether each stands in the training split
    automatic: bool = False
    cancelled: bool = False
    failed: str = ""
    done: bool = False


@dataclass(frozen=True)
class Facts:
    """What a run has said about itself, apart from its samples."""

    ready: Ready | None = None
    edits: tuple[Edited, ...] = ()
    warnings: tuple[str, ...] = ()
    images: tuple[Images, ...] = ()
    checkpoint: int | None = None  # the step of the latest
    backend: BackendChosen | None = None
    threads: ThreadsChosen | None = None  # the latest choice
    precision: PrecisionChosen | None = None
    summary: Summary | None = None
    test: Tested | None = None  # the latest evaluation of the test split

    @property
    def references(self) -> dict[str, float]:
        """Losses to compare with, in nats, by their names."""
        return self.ready.references if self.ready else {}

    @property
    def characters_per_token(self) -> float | None:
        """How many characters a token of the text stands for on average; None if that is not known."""
        ready = self.ready
        tokens = sum(ready.tokens.values()) if ready else 0
        return ready.characters / tokens if ready and ready.characters and tokens else None

    @property
    def tokens_an_epoch(self) -> int | None:
        """How many tokens the training split has; None if that is not known."""
        return self.ready.tokens.get("train") or None if self.ready else None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.ready.notes if self.ready else ()


@dataclass
class Changes:
    """What one look at a run has brought."""

    events: list[Event] = field(default_factory=list)
    samples: set[int] = field(default_factory=set)  # keys of those that are new or have grown
    facts: bool = False
    metrics: bool = False
    metrics_restarted: bool = False  # the file was replaced: what was taken from it is void
    events_restarted: bool = False


class RunLog:
    """Follows a run's files; `read` takes in what was appended since the last time, without metrics if none are wanted."""

    def __init__(self, run: RunDirectory, *, with_metrics: bool = True) -> None:
        self.run, self._with_metrics = run, with_metrics
        self.metrics = MetricColumns()
        self._metrics_tail = JsonLinesTail(run.metrics_path)
        self._events_tail = JsonLinesTail(run.events_path)
        self._start: Tree | None = None
        self._clear()

    def _clear(self) -> None:
        self.facts = Facts()
        self.samples: dict[int, SampleRecord] = {}
        self._latest: dict[str, int] = {}  # the key of the latest sample with an id
        self._next_key = 0

    def read(self) -> Changes:
        """Read all that is new, metrics first: a step's metrics are there before an event that speaks of it."""
        changes = Changes()
        while self._with_metrics and (rows := self._read_metrics(changes)):
            changes.metrics |= self.metrics.take(rows)
        while (records := self._events_tail.read(CHUNK)) or self._events_tail.restarted:
            if self._events_tail.restarted:
                self._clear()
                changes.events_restarted = changes.facts = True
                changes.samples.clear()
            self._take(records, changes)
        changes.samples &= self.samples.keys()
        return changes

    def _read_metrics(self, changes: Changes) -> list[dict[str, Any]]:
        rows = self._metrics_tail.read(CHUNK)
        if self._metrics_tail.restarted:
            self.metrics.clear()
            changes.metrics = changes.metrics_restarted = True
        return rows

    def settings(self, step: int | None = None) -> Tree:
        """Return the settings in force at a step, or now: those of the start with the live edits applied. Raises `UserError`."""
        if self._start is None:
            self._start = self.run.configuration().tree()
        tree = self._start
        for edit in self.facts.edits:
            if step is None or edit.step <= step:
                tree = with_value(tree, edit.path, edit.value)
        return tree

    @property
    def latest_sample(self) -> SampleRecord | None:
        """The newest sample that is whole and holds text."""
        whole = (sample for sample in self.samples.values() if sample.texts and sample.done and not sample.cancelled)
        return max(whole, key=lambda sample: sample.key, default=None)

    # -- reducing -------------------------------------------------------------------------------------------------

    def _take(self, records: Iterable[dict[str, Any]], changes: Changes) -> None:
        growing: dict[int, list[Progress]] = {}
        facts = self.facts
        for record in records:
            event = read_event(record)
            if event is None:
                continue
            changes.events.append(event)
            if isinstance(event, Progress):
                if event.text and (key := self._latest.get(event.id)) is not None:
                    growing.setdefault(key, []).append(event)
                continue
            if growing:  # what follows may end a sample: settle its text first
                self._grow(growing, changes)
            self._reduce(event, changes)
        self._grow(growing, changes)
        changes.facts |= self.facts is not facts
        while len(self.samples) > STORED_SAMPLES:
            del self.samples[min(self.samples)]

    def _grow(self, growing: dict[int, list[Progress]], changes: Changes) -> None:
        for key, pieces in growing.items():
            changes.samples.add(key)
            if key not in self.samples or self.samples[key].done:
                continue
            parts: dict[int, list[str]] = {}
            for piece in pieces:
                parts.setdefault(piece.index, []).append(piece.text)
            texts = list(self.samples[key].texts)
            texts.extend([""] * (max(parts) + 1 - len(texts)))
            for index, added in parts.items():
                texts[index] += "".join(added)
            self.samples[key] = replace(self.samples[key], texts=tuple(texts))
        growing.clear()

    def _reduce(self, event: Event, changes: Changes) -> None:
        facts = self.facts
        match event:
            case Started() | Answered() | Cancelled() | Failed() if event.request == "sample":
                changes.samples.add(self._sample(event))
            case Failed() if event.request in QUIET:
                self._warn(event.message)
            case Ready():
                self.facts = replace(facts, ready=event, edits=_in_force_from(event.step, facts.edits))
            case Edited():
                self.facts = replace(facts, edits=(*facts.edits, event))
            case Images():
                self.facts = replace(facts, images=(*facts.images, event))
            case Warned():
                self._warn(event.message)
            case BackendChosen():
                self.facts = replace(facts, backend=event)
            case ThreadsChosen():
                self.facts = replace(facts, threads=event)
            case PrecisionChosen():
                self.facts = replace(facts, precision=event)
            case CheckpointWritten():
                self.facts = replace(facts, checkpoint=event.step)
            case Summary():
                self.facts = replace(facts, summary=event)
            case Tested():
                self.facts = replace(facts, test=event)

    def _warn(self, message: str) -> None:
        self.facts = replace(self.facts, warnings=(*self.facts.warnings, message)[-STORED_WARNINGS:])

    def _sample(self, event: Started | Answered | Cancelled | Failed) -> int:
        key = self._latest.get(event.id)
        if isinstance(event, Started) or key is None or key not in self.samples or self.samples[key].done:
            key = self._latest[event.id] = self._next_key
            self._next_key += 1
            self.samples[key] = SampleRecord(key, event.id, event.step)
        before = self.samples[key]
        changed: dict[str, Any] = {"done": not isinstance(event, Started)}
        match event:
            case Started(sample=start) if start is not None:
                changed |= {
                    "prompt": start.prompt,
                    "settings": start.settings,
                    "unknown": start.unknown,
                    "automatic": start.automatic,
                }
            case Answered(sample=drawn) | Cancelled(sample=drawn) if drawn is not None:
                changed |= {
                    "prompt": drawn.prompt,
                    "texts": drawn.texts or before.texts,
                    "known": drawn.known or (),
                    "automatic": drawn.automatic,
                    "cancelled": isinstance(event, Cancelled),
                }
            case Cancelled():
                changed["cancelled"] = True
            case Failed():
                changed["failed"] = event.message
        self.samples[key] = replace(before, **changed)
        return key


def _in_force_from(step: int, edits: tuple[Edited, ...]) -> tuple[Edited, ...]:
    """Return edits as they count for a run that goes on from a step: one that was made later, and whose steps a kill has
    undone, holds from there on.
    """
    if all(edit.step <= step for edit in edits):
        return edits
    return tuple(edit if edit.step <= step else edit.model_copy(update={"step": step}) for edit in edits)


def edits_of(run: RunDirectory) -> tuple[Edited, ...]:
    """Return a run's live edits, reading its events only if there were any."""
    try:
        with open_regular(run.events_path) as events:
            edited = b'"edit"' in events.read()
    except OSError:
        edited = False
    if not edited:
        return ()
    log = RunLog(run, with_metrics=False)
    log.read()
    return log.facts.edits


def settings_in_force(run: RunDirectory, step: int | None = None) -> Tree:
    """Return a run's settings with its live edits applied: all of them, or those up to a step. Raises `UserError`."""
    tree = run.configuration().tree()
    for edit in edits_of(run):
        if step is None or edit.step <= step:
            tree = with_value(tree, edit.path, edit.value)
    return tree


def result_of(run: RunDirectory, answer: Answered) -> dict[str, Any] | None:
    """Return the result of an answer, read from its artifact where it was too large for a line; None if it is gone."""
    if not answer.artifact:
        return answer.result
    path = run.path / answer.artifact
    if not path.resolve().is_relative_to(run.path.resolve()):
        return None
    try:
        found = read_json(path, LARGEST_RESULT)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_about(event: Event, id: str) -> TypeGuard[RequestEvent]:
    """Whether an event tells what becomes of the request with that id."""
    return isinstance(event, RequestEvent) and event.id == id
