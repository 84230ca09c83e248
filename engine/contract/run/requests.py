"""What a worker can be told: one JSON file a command, renamed into the run's `inbox/`, deleted when done."""

import itertools
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from torchtty.engine.contract.run.files import write_atomically


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Pause(_Command):
    """Stop between two steps and wait; the device is free for another run meanwhile."""

    type: Literal["pause"] = "pause"


class Resume(_Command):
    """Go on after a pause."""

    type: Literal["resume"] = "resume"


class Stop(_Command):
    """Write a checkpoint and end the run as stopped."""

    type: Literal["stop"] = "stop"


class Checkpoint(_Command):
    """Write a checkpoint now."""

    type: Literal["checkpoint"] = "checkpoint"


class Edit(_Command):
    """Change a live setting, such as `optimizer.learning_rate`."""

    type: Literal["edit"] = "edit"
    path: str
    value: bool | int | float | str | None


class Sample(_Command):
    """Draw text from the model; None takes the run's own sampling setting."""

    type: Literal["sample"] = "sample"
    id: str = ""
    prompt: str | None = None
    count: int | None = Field(None, ge=1, le=64)
    max_tokens: int | None = Field(None, ge=1, le=100_000)
    temperature: float | None = Field(None, ge=0, le=10)
    top_k: int | None = Field(None, ge=0)  # 0 lifts the run's own limit
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=0)


class CancelSample(_Command):
    """Break off the sample that is being drawn."""

    type: Literal["cancel_sample"] = "cancel_sample"


class Export(_Command):
    """Write the model into a new folder that other programs read; `path` is absolute."""

    type: Literal["export"] = "export"
    id: str = ""
    path: str


class Release(_Command):
    """Let the model go: ends a worker that only serves samples."""

    type: Literal["release"] = "release"


Command = Annotated[
    Pause | Resume | Stop | Checkpoint | Edit | Sample | CancelSample | Export | Release, Field(discriminator="type")
]
_ORDER = itertools.count()


@cache
def _adapter() -> TypeAdapter[Command]:
    return TypeAdapter(Command)  # built when the first command is read: the app only writes them


def drop(inbox: Path, command: Command) -> Path:
    """Put a command into an inbox, behind those that are there already."""
    name = f"{time.time_ns():020d}-{os.getpid()}-{next(_ORDER)}.json"
    path = inbox / name
    write_atomically(path, command.model_dump_json())
    return path


def collect(inbox: Path) -> Iterator[Command | str]:
    """Take the commands out of an inbox, oldest first; one that cannot be understood comes as a message that says why."""
    try:
        names = sorted(
            entry.name for entry in os.scandir(inbox) if entry.name.endswith(".json") and entry.name[0] != "."
        )
    except FileNotFoundError:
        return
    for name in names:
        path = inbox / name
        try:
            data: Any = path.read_bytes()
            path.unlink()
        except OSError:
            continue
        try:
            yield _adapter().validate_json(data)
        except ValidationError as error:
            yield f"The command in {name} was not understood: {error.errors(include_url=False)[0]['msg']}."
