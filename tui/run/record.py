"""What a run's events amount to: its samples, its references, its edits and warnings."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from torchtty.engine.contract.run.events import EventKind
from torchtty.tui.images.history import Grid

KEPT_SAMPLES = 500
KEPT_WARNINGS = 50


@dataclass(frozen=True)
class SampleRecord:
    """One answer of the model, complete or still growing; its texts are as the model wrote them, unsafe to show as they are."""

    key: int  # counts the run's samples; a later one has a larger key
    id: str
    step: int
    prompt: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    known: tuple[bool, ...] = ()  # for items: whether each stands in the training split
    automatic: bool = False
    cancelled: bool = False
    failed: str = ""
    done: bool = False


@dataclass(frozen=True)
class Edit:
    """A setting changed while the run trained."""

    step: int
    path: str
    old: Any
    value: Any


@dataclass(frozen=True)
class Facts:
    """What a run has said about itself, apart from its samples."""

    parameters: int | None = None
    vocab_size: int | None = None
    device: str = ""
    references: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
    warnings: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()


class EventReader:
    """Assembles events into facts and samples, line by line. A line that makes no sense is passed over."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.samples: dict[int, SampleRecord] = {}
        self._latest: dict[str, int] = {}  # the key of the latest sample with an id
        self._next_key = 0

    def take(self, events: Iterable[dict[str, Any]]) -> set[int]:
        """Read further events; return the keys of the samples they changed."""
        changed: set[int] = set()
        growing: dict[int, list[tuple[int, str]]] = {}
        for record in events:
            kind = record.get("event")
            if kind == EventKind.SAMPLE_TEXT:
                key = self._latest.get(str(record.get("id")))
                index, text = record.get("index", 0), record.get("text")
                if key is not None and type(index) is int and 0 <= index < 1000 and isinstance(text, str):
                    growing.setdefault(key, []).append((index, text))
                    changed.add(key)
                continue
            for key, pieces in growing.items():  # what follows may end a sample: settle its text first
                self._grow(key, pieces)
            growing.clear()
            if kind in (EventKind.SAMPLE_START, EventKind.SAMPLE_END, EventKind.SAMPLE_FAILED):
                changed.add(self._sample(str(kind), record))
            else:
                self._fact(str(kind), record)
        for key, pieces in growing.items():
            self._grow(key, pieces)
        while len(self.samples) > KEPT_SAMPLES:
            del self.samples[min(self.samples)]
        return changed & self.samples.keys()

    def _grow(self, key: int, pieces: list[tuple[int, str]]) -> None:
        if key not in self.samples or self.samples[key].done:
            return
        parts: dict[int, list[str]] = {}
        for index, text in pieces:
            parts.setdefault(index, []).append(text)
        texts = list(self.samples[key].texts)
        texts.extend([""] * (max(parts) + 1 - len(texts)))
        for index, added in parts.items():
            texts[index] += "".join(added)
        self.samples[key] = replace(self.samples[key], texts=tuple(texts))

    def _sample(self, kind: str, record: dict[str, Any]) -> int:
        id = str(record.get("id", ""))
        key = self._latest.get(id)
        if kind == EventKind.SAMPLE_START or key is None or key not in self.samples or self.samples[key].done:
            key = self._latest[id] = self._next_key
            self._next_key += 1
            self.samples[key] = SampleRecord(key, id, _whole(record.get("step")) or 0)
        before = self.samples[key]
        changes: dict[str, Any] = {}
        if isinstance(record.get("prompt"), str):
            changes["prompt"] = record["prompt"]
        if kind == EventKind.SAMPLE_START:
            settings = record.get("settings")
            changes["settings"] = settings if isinstance(settings, dict) else {}
            changes["unknown"] = _texts(record.get("unknown"))
            changes["automatic"] = record.get("automatic") is True
        elif kind == EventKind.SAMPLE_END:
            known = record.get("known")
            changes |= {
                "texts": _texts(record.get("texts")) or before.texts,
                "known": tuple(item is True for item in known) if isinstance(known, list) else (),
                "cancelled": record.get("cancelled") is True,
                "automatic": record.get("automatic") is True,
                "done": True,
            }
        else:
            changes |= {"failed": str(record.get("message") or "The sample failed."), "done": True}
        self.samples[key] = replace(before, **changes)
        return key

    def _fact(self, kind: str, record: dict[str, Any]) -> None:
        facts = self.facts
        if kind == EventKind.READY:
            references = record.get("references")
            self.facts = replace(
                facts,
                parameters=_whole(record.get("parameters")),
                vocab_size=_whole(record.get("vocab_size")),
                device=str(record.get("device") or ""),
                references={
                    str(name): float(nats)
                    for name, nats in (references.items() if isinstance(references, dict) else ())
                    if type(nats) in (int, float)
                },
                notes=_texts(record.get("notes")),
            )
        elif kind == EventKind.EDIT and isinstance(record.get("path"), str):
            edit = Edit(_whole(record.get("step")) or 0, record["path"], record.get("old"), record.get("value"))
            self.facts = replace(facts, edits=(*facts.edits, edit))
        elif kind == EventKind.IMAGES and (grid := Grid.of_event(record)):
            self.facts = replace(facts, grids=(*facts.grids, grid))
        elif kind == EventKind.WARNING:
            warnings = (*facts.warnings, str(record.get("message", "")))
            self.facts = replace(facts, warnings=warnings[-KEPT_WARNINGS:])


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _whole(value: object) -> int | None:
    return value if type(value) is int else None
