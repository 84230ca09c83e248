"""What a run has written so far, read as it grows: losses, samples, warnings and its summary."""

from dataclasses import dataclass
from typing import Any

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import EventKind
from torchtty.engine.contract.run.jsonl import JsonLinesTail


@dataclass(frozen=True)
class SampleText:
    """A text that the model wrote; `known` says for items whether it stands in the training split."""

    text: str
    known: bool | None


@dataclass(frozen=True)
class SampleSet:
    """The texts drawn at one step."""

    step: int
    prompt: str
    texts: tuple[SampleText, ...]


class History:
    """Follows a run's metrics and events; `look()` takes in what is new."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._metrics = JsonLinesTail(run.metrics_path)
        self._events = JsonLinesTail(run.events_path)
        self._clear_metrics()
        self._clear_events()

    def _clear_metrics(self) -> None:
        self.train: list[tuple[float, float]] = []
        self.validation: list[tuple[float, float]] = []

    def _clear_events(self) -> None:
        self.samples: SampleSet | None = None
        self.ready: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.edits: list[dict[str, Any]] = []
        self.checkpoint: int | None = None

    def look(self) -> list[dict[str, Any]]:
        """Read what was appended and return the new events."""
        records = self._metrics.read()
        if self._metrics.restarted:
            self._clear_metrics()
        for record in records:
            self._take_metrics(record)
        events = self._events.read()
        if self._events.restarted:
            self._clear_events()
        for event in events:
            self._take_event(event)
        return events

    def _take_metrics(self, record: dict[str, Any]) -> None:
        step = record.get("step")
        if not isinstance(step, int):
            return
        for name, points in (("train_loss", self.train), ("val_loss", self.validation)):
            value = record.get(name)
            if isinstance(value, int | float):
                # A resumed run starts again from its checkpoint: what came after that never was.
                while points and points[-1][0] >= step:
                    points.pop()
                points.append((step, float(value)))

    def _take_event(self, event: dict[str, Any]) -> None:
        match event.get("event"):
            case EventKind.SAMPLE_END if not event.get("cancelled"):
                self.samples = sample_set(event) or self.samples
            case EventKind.READY:
                self.ready = event
            case EventKind.SUMMARY:
                self.summary = event
            case EventKind.EDIT:
                self.edits.append(event)
            case EventKind.CHECKPOINT:
                self.checkpoint = event.get("step")


def sample_set(event: dict[str, Any]) -> SampleSet | None:
    """Read a `sample_end` event; None if it holds no text."""
    texts = [text for text in event.get("texts") or [] if isinstance(text, str)]
    known = event.get("known") or []
    marks = [known[place] if place < len(known) else None for place in range(len(texts))]
    found = tuple(SampleText(text, mark) for text, mark in zip(texts, marks, strict=True))
    return SampleSet(int(event.get("step") or 0), str(event.get("prompt") or ""), found) if found else None


def numbers(run: RunDirectory, history: History) -> dict[str, Any]:
    """Return what scripts want to know of a run, as JSON values. Losses are in nats, times in seconds."""
    status = run.status()
    return {
        "run": run.name,
        "path": str(run.path),
        "state": status.state.value,
        "message": status.message,
        "step": status.step,
        "max_steps": status.max_steps,
        "seconds": status.seconds,
        "steps_per_second": status.steps_per_second,
        "device": status.device,
        "parameters": status.parameters,
        "train_loss": status.train_loss,
        "val_loss": status.val_loss,
        "best_val_loss": status.best_val_loss,
        "best_step": status.best_step,
        "loss_d": status.loss_d,
        "loss_g": status.loss_g,
        "references": history.ready.get("references", {}),
        "metrics": history.summary.get("metrics", {}),
        "samples": [{"text": sample.text, "known": sample.known} for sample in _texts(history)],
    }


def _texts(history: History) -> tuple[SampleText, ...]:
    return history.samples.texts if history.samples else ()
