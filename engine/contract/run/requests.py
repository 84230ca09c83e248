"""What can be asked of a worker: one JSON file a request, renamed into the run's `inbox/`, deleted when it is read.

Every request has an id. What becomes of it is told by the run's events, the same way for all: see `events.py`.
"""

import itertools
import os
import stat
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from torchtty.engine.contract.run.files import SMALL, read_small, write_atomically


def new_id() -> str:
    """Return an id that no other request has."""
    return uuid.uuid4().hex[:12]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, strict=True)

    id: str = Field(default_factory=new_id)


class Pause(_Request):
    """Halt between two steps; the device is free for another run meanwhile."""

    type: Literal["pause"] = "pause"


class Continue(_Request):
    """Continue after a pause."""

    type: Literal["continue"] = "continue"


class Stop(_Request):
    """Write a checkpoint and end the run as stopped."""

    type: Literal["stop"] = "stop"


class Checkpoint(_Request):
    """Write a checkpoint now."""

    type: Literal["checkpoint"] = "checkpoint"


class Edit(_Request):
    """Change a live setting, such as `optimizer.learning_rate`."""

    type: Literal["edit"] = "edit"
    path: str
    value: bool | int | float | str | None


class Sample(_Request):
    """Draw text or pictures from the model; None takes the run's own sampling setting."""

    type: Literal["sample"] = "sample"
    prompt: str | None = None
    count: int | None = Field(None, ge=1, le=64)
    max_tokens: int | None = Field(None, ge=1, le=100_000)
    temperature: float | None = Field(None, ge=0, le=10)
    top_k: int | None = Field(None, ge=0)  # 0 lifts the run's own limit
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=0)


class Export(_Request):
    """Write the model into a new folder that other programs read; `path` is absolute."""

    type: Literal["export"] = "export"
    path: str


class Lens(_Request):
    """Look into the model: compute the lens called `name`.

    `options` are those of the lens's declaration; what is left out takes its default. One that is `live` is asked again and
    again: nothing is reported on the way, and its result replaces the one before in the same file.
    """

    type: Literal["lens"] = "lens"
    name: str
    options: dict[str, bool | int | float | str] = {}
    live: bool = False


class Cancel(_Request):
    """Break off the request with the id `request`, or whichever is being worked on."""

    type: Literal["cancel"] = "cancel"
    request: str = ""


class Release(_Request):
    """Let the model go: ends a worker whose run is over."""

    type: Literal["release"] = "release"


class Advance(_Request):
    """Go ahead of the other runs of this user that wait for the same device."""

    type: Literal["advance"] = "advance"


class Test(_Request):
    """Evaluate the test split with the best weights."""

    type: Literal["test"] = "test"


Request = Pause | Continue | Stop | Checkpoint | Edit | Sample | Export | Lens | Cancel | Release | Advance | Test
_ORDER = itertools.count()


@cache
def _adapter() -> TypeAdapter[Request]:
    return TypeAdapter(Annotated[Request, Field(discriminator="type")])  # built late: the app only writes requests


def drop(inbox: Path, request: Request) -> Path:
    """Put a request into an inbox, behind those that are there already."""
    name = f"{time.time_ns():020d}-{os.getpid()}-{next(_ORDER)}.json"
    path = inbox / name
    write_atomically(path, request.model_dump_json())
    return path


def collect(inbox: Path) -> Iterator[Request | str]:
    """Take the requests out of an inbox, oldest first; one that cannot be understood comes as a message that says why.

    The owner's requests are obeyed, and root's; another user's, who could write here by the mode of an older run, are removed.
    Raises OSError where the inbox cannot be read.
    """
    try:
        names = sorted(
            entry.name for entry in os.scandir(inbox) if entry.name.endswith(".json") and entry.name[0] != "."
        )
        owners = {0, os.geteuid(), os.stat(inbox).st_uid}
    except FileNotFoundError:
        return
    for name in names:
        path = inbox / name
        try:
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size > SMALL:
                path.unlink()
                yield f"The request in {name} was removed: it is no small file."
                continue
            if found.st_uid not in owners:
                path.unlink()
                yield f"The request in {name} was removed: it came from another user (number {found.st_uid})."
                continue
            data = read_small(path)
            path.unlink()
        except OSError:
            continue  # taken back, or for a moment not readable: the next look tells
        try:
            yield _adapter().validate_json(data)
        except ValidationError as error:
            yield f"The request in {name} was not understood: {error.errors(include_url=False)[0]['msg']}."
