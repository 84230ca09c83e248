"""What a run says: the lines of `events.jsonl` as a typed union.

Every line has `event` (which of the classes below it is), `time` (seconds since the epoch) and `step`. Requests go the same way
whatever they ask for: `started`, any number of `progress`, then one of `answered`, `failed` or `cancelled`, all with the `id` of
the request and its type in `request`.
"""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from torchtty.engine.contract.run.status import RunState

Scalar = bool | int | float | str | None

TILE_KEY, GAP_KEY = "torchtty-tile", "torchtty-gap"
"""Names in the PNG text of a grid under which it says the size of its pictures and of the gaps between them, in pixels."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True, ser_json_inf_nan="constants")


class _Event(_Part):
    time: float = 0.0
    step: int = 0


class StateChanged(_Event):
    """The run entered a state; `message` says why where that is not obvious."""

    event: Literal["state"] = "state"
    state: RunState
    message: str = ""


class Ready(_Event):
    """Model and data are built: what there is to know before the first step. Reference losses are in nats."""

    event: Literal["ready"] = "ready"
    parameters: int | None = None
    vocab_size: int | None = None
    tokens: dict[str, int] = {}  # split -> tokens
    characters: int | None = None  # that the tokens of all splits stand for
    references: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    device: str = ""

    @field_validator("references", mode="before")
    @classmethod
    def _numbers(cls, references: Any) -> Any:
        """Leave out what is no number: the other lines of a chart are worth having."""
        if not isinstance(references, dict):
            return references
        return {name: nats for name, nats in references.items() if type(nats) in (int, float)}


class Evaluated(_Event):
    """The model was evaluated; `best` says whether no step before had a lower value of the watched metric."""

    event: Literal["evaluation"] = "evaluation"
    metrics: dict[str, float] = {}
    best: bool = False


class Edited(_Event):
    """A live setting was changed."""

    event: Literal["edit"] = "edit"
    path: str
    value: Scalar = None
    old: Scalar = None


class CheckpointWritten(_Event):
    """A checkpoint was written; `path` is relative to the run."""

    event: Literal["checkpoint"] = "checkpoint"
    path: str
    best: bool = False
    seconds: float = 0.0


class BackendChosen(_Event):
    """How the steps from here on are computed, and why; `timings` are seconds a step of every way that was proved equal."""

    event: Literal["backend"] = "backend"
    backend: str
    reason: str = ""
    timings: dict[str, float] = {}


class ThreadsChosen(_Event):
    """With how many threads the steps are computed from the one on before which `since` steps were done, and why.

    It is part of the record, as sums in another order differ in their last bit. `timings` are seconds of a step's gradients by
    the number of threads.
    """

    event: Literal["threads"] = "threads"
    threads: int = Field(ge=1, le=4096)
    since: int = Field(0, ge=0)
    reason: str = ""
    timings: dict[str, float] = {}


class PrecisionChosen(_Event):
    """In which precision a run with `precision auto` computes from its first step on, and why; `timings` as in `ThreadsChosen`."""

    event: Literal["precision"] = "precision"
    precision: str
    reason: str = ""
    timings: dict[str, float] = {}


class Images(_Event):
    """A grid of pictures was written to `path`, relative to the run. `source` says what was drawn: a noise that stays the
    same (`fixed`), `fresh` noise, or `real` pictures.
    """

    event: Literal["images"] = "images"
    path: str = Field(pattern=r"^media/[^./\\\x00][^/\\\x00]*\.png$")
    title: str = ""
    source: str = "fixed"
    id: str = ""  # of the request that it answers


class Warned(_Event):
    """Something that a person should know and that does not end the run."""

    event: Literal["warning"] = "warning"
    message: str


class Summary(_Event):
    """What the run came to when it ended.

    Where a rule ended it before its last step, `ended_by` is the setting of that rule and `reason` says why in a sentence.
    """

    event: Literal["summary"] = "summary"
    seconds: float = 0.0
    steps_per_second: float | None = None
    metrics: dict[str, float] = {}
    reason: str = ""
    ended_by: str = ""


class Tested(_Event):
    """The test split was evaluated, and the validation split the same way, with the `best` weights or the `latest`: those of
    `weights_step`.
    """

    event: Literal["test"] = "test"
    metrics: dict[str, float] = {}
    weights: Literal["best", "latest"] = "best"
    weights_step: int = 0


class SampleStart(_Part):
    """What a sample is drawn with; `unknown` are symbols of the prompt that the vocabulary lacks."""

    prompt: str = ""
    count: int = 1
    settings: dict[str, Scalar] = {}
    unknown: tuple[str, ...] = ()
    automatic: bool = False


class SampleDrawn(_Part):
    """The texts of a sample, the prompt included; `known` says of items whether each stands in the training split."""

    prompt: str = ""
    texts: tuple[str, ...] = ()
    known: tuple[bool, ...] | None = None
    automatic: bool = False


class _RequestEvent(_Event):
    id: str = ""
    request: str = ""  # the type of the request, such as "sample"


class Started(_RequestEvent):
    """Work on a request has begun."""

    event: Literal["started"] = "started"
    sample: SampleStart | None = None


class Progress(_RequestEvent):
    """Work on a request goes on: text added to one of its samples, or `done` of `total` units of work."""

    event: Literal["progress"] = "progress"
    index: int = Field(0, ge=0, lt=1000)
    text: str = ""
    done: float | None = None
    total: float | None = None


class Answered(_RequestEvent):
    """A request was answered. A result too large for a line stands in a file, whose path in the run is `artifact`."""

    event: Literal["answered"] = "answered"
    sample: SampleDrawn | None = None
    result: dict[str, Any] | None = None
    artifact: str = ""
    seconds: float = 0.0


class Failed(_RequestEvent):
    """A request could not be answered."""

    event: Literal["failed"] = "failed"
    message: str = "It failed."


class Cancelled(_RequestEvent):
    """A request was cancelled; `sample` is what had been drawn of it."""

    event: Literal["cancelled"] = "cancelled"
    sample: SampleDrawn | None = None


RequestEvent = Started | Progress | Answered | Failed | Cancelled
Event = (
    StateChanged | Ready | Evaluated | Edited | CheckpointWritten | BackendChosen | ThreadsChosen | PrecisionChosen | Images
    | Warned | Summary | Started | Progress | Answered | Failed | Cancelled | Tested
)  # fmt: skip


@cache
def _adapter() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="event")])


def read_event(record: dict[str, Any]) -> Event | None:
    """Return the event of a line; None for a line that is none."""
    try:
        return _adapter().validate_python(_converted(record))
    except ValidationError:
        return None


def _converted(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as it is written now: runs made by the first version named the phases of each request by themselves."""
    kind = record.get("event")
    if kind == "evaluation" and "metrics" not in record:
        old = {"train_eval_loss": record.get("train"), "val_loss": record.get("val")}
        return record | {"metrics": {name: value for name, value in old.items() if value is not None}}
    if kind == "sample_start":
        return record | {"event": "started", "request": "sample", "sample": record}
    if kind == "sample_text":
        return record | {"event": "progress", "request": "sample"}
    if kind == "sample_end":
        phase = "cancelled" if record.get("cancelled") else "answered"
        return record | {"event": phase, "request": "sample", "sample": record}
    if kind in ("sample_failed", "export_failed"):
        return record | {"event": "failed", "request": str(kind).partition("_")[0]}
    if kind == "exported":
        return record | {"event": "answered", "request": "export", "result": record}
    return record
