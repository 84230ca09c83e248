"""The kinds of lines in `events.jsonl`. Every line has `event`, `time` (seconds since the epoch) and `step`.

| event         | further fields |
|---------------|----------------|
| state         | `state`, `message` |
| ready         | `parameters`, `vocab_size`, `tokens` {split: count}, `references` {name: nats}, `notes` [text], `device` |
| evaluation    | `train`, `val` (nats; absent where there is no such split), `best` |
| edit          | `path`, `value`, `old` |
| checkpoint    | `path`, `best`, `seconds` |
| sample_start  | `id`, `prompt`, `count`, `settings`, `unknown` (symbols left out of the prompt) |
| sample_text   | `id`, `index`, `text` (what was added since the last line; the first brings the prompt) |
| sample_end    | `id`, `prompt`, `texts`, `known` (items: whether each stands in the training split), `cancelled`, `automatic` |
| sample_failed | `id`, `message` |
| images        | `path` (`media/….png`), `title`, `source` (`fixed` noise, `real` or `fresh` noise), `id` (of a sample) |
| exported      | `id`, `path`, `files` [name] |
| export_failed | `id`, `message` |
| warning       | `message` |
| summary       | `seconds`, `steps_per_second`, `metrics` {name: value}, `message` |
"""

import time
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """The `event` field."""

    STATE = "state"
    READY = "ready"
    EVALUATION = "evaluation"
    EDIT = "edit"
    CHECKPOINT = "checkpoint"
    SAMPLE_START = "sample_start"
    SAMPLE_TEXT = "sample_text"
    SAMPLE_END = "sample_end"
    SAMPLE_FAILED = "sample_failed"
    IMAGES = "images"
    EXPORTED = "exported"
    EXPORT_FAILED = "export_failed"
    WARNING = "warning"
    SUMMARY = "summary"


def event(kind: EventKind, step: int, **fields: Any) -> dict[str, Any]:
    """Build an event record."""
    return {"event": kind.value, "time": round(time.time(), 3), "step": step} | fields
