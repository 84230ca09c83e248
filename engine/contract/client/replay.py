"""Replaying a run: what its record says is to be done again, the run that does it, and how the curves of the two compare."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory, create, find_free_name
from torchtty.engine.contract.run.events import Event, Ready, Scalar, StateChanged
from torchtty.engine.contract.run.files import JsonLinesTail, open_regular, write_atomically
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.run.timed_choices import TimedChoices, choices_in
from torchtty.engine.contract.settings.configuration import with_value
from torchtty.engine.contract.settings.data import DATASET
from torchtty.engine.contract.settings.family import Tree
from torchtty.engine.contract.settings.training import OF_THE_MACHINE

OF_THE_CLOCK = ("time", "steps_per_second")
"""Columns of a row that say how long something took, and are others each time."""
LEFT_TO_THE_RECORD = {"max_seconds": None, "patience": None, "target_loss": None, "log": "none"}
"""Settings of training that a replay has at these values, where they exist: the record says where the run ended, and nobody else
is to be told of a replay."""
BLOCK = 1024 * 1024  # bytes of weights compared at once


class ReplayedEdit(BaseModel):
    """An edit to make once `step` steps are done."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    step: int
    path: str
    value: Scalar = None


class Replay(BaseModel):
    """What a run replays: it stands in its `meta.json` under `replay`."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    run: str
    to: int  # the step after which it stops
    edits: tuple[ReplayedEdit, ...] = ()
    ends: tuple[int, ...] = ()  # steps after which it was finished, until it was given more
    data_sha256: str = ""
    choices: TimedChoices = TimedChoices()  # by timing, which the replay follows


def replay_in(meta: dict[str, Any]) -> Replay | None:
    """Return what a run replays according to its `meta.json`; None for one that trains for itself. Raises `UserError`."""
    if meta.get("replay") is None:
        return None
    try:
        return Replay.model_validate(meta["replay"])
    except ValidationError:
        raise UserError("What this run is to replay cannot be read from its meta.json.") from None


# The plan.


@dataclass(frozen=True)
class Plan:
    """How a run is replayed; `limit` says why no further than `replay.to`, where the run itself went further."""

    run: RunDirectory
    settings: Tree
    replay: Replay
    limit: str = ""


def plan(run: RunDirectory, to: int | None = None) -> Plan:
    """Read a run's record and return how to replay it, up to a step if one is given; raise `UserError` if it cannot be."""
    log = RunLog(run)
    status = run.status()
    events = log.read().events
    snapshot = RunSnapshot.from_log(log, status)
    if refusal := snapshot.refusal(Action.REPLAY):
        raise UserError(refusal)
    meta = run.meta()
    _check_origin(run, meta)
    done = max([*run.checkpoints(), *(int(row["step"]) for row in _rows(run))], default=0)
    if not done:
        raise UserError(f"{run.name} has logged no step, so there is nothing to replay.")
    if to is not None and not 1 <= to <= done:
        raise UserError(f"{run.name} has done {done:,} steps: it can be replayed up to a step from 1 to {done:,}.")
    settings = run.configuration().tree()
    left_out = {f"training.{name}": value for name, value in LEFT_TO_THE_RECORD.items() if name in settings["training"]}
    moved = {edit.path: edit.value for edit in log.facts.edits if edit.path == DATASET}  # where the data lie now
    for path, value in (left_out | moved).items():
        settings = with_value(settings, path, value)
    devices = _devices(events)
    device = devices[0][1] if devices else str(meta.get("device") or "")
    if device and "device" in settings["training"]:
        settings = with_value(settings, "training.device", device)
    end, limit = _honest_end(log, devices, done)
    goes_to = min(end, to or done)
    edits = tuple(
        ReplayedEdit(step=edit.step, path=edit.path, value=edit.value)
        for edit in log.facts.edits
        if edit.path not in (*OF_THE_MACHINE, *left_out) and edit.step <= goes_to
    )
    replay = Replay(
        run=run.name,
        to=goes_to,
        edits=edits,
        ends=tuple(step for step in _ends(events) if step <= goes_to),
        data_sha256=str(meta.get("data_sha256") or ""),
        choices=choices_in(events, goes_to),
    )
    return Plan(run, settings, replay, limit if goes_to == end < done else "")


def _check_origin(run: RunDirectory, meta: dict[str, Any]) -> None:
    """Raise `UserError` for a run whose record does not begin with random weights, or not with one text."""
    if isinstance(parent := meta.get("parent"), dict):
        origin = str(parent.get("run") or "another run")
        raise UserError(
            f"{run.name} is a fork of {origin} and began with weights that were trained there, which its own record does "
            f"not tell. 'torchtty replay {origin}' replays the run it comes from."
        )
    if meta.get("data_sha256_before"):
        raise UserError(
            f"The data of {run.name} were changed while it trained, and those that it began with are gone: "
            "its curve cannot be reproduced."
        )


def _devices(events: Iterable[Event]) -> list[tuple[int, str]]:
    """Return on what a run trained, as (first step, device): what was undone when it went back to a checkpoint is left out."""
    found: list[tuple[int, str]] = []
    for event in events:
        if isinstance(event, Ready) and event.device:
            found = [(step, device) for step, device in found if step < event.step]
            found.append((event.step, event.device))
    return found


def _ends(events: Iterable[Event]) -> list[int]:
    """Return the steps after which a run was finished, but for those that were undone when it went back to a checkpoint."""
    found: set[int] = set()
    for event in events:
        if isinstance(event, StateChanged) and event.state is RunState.FINISHED:
            found.add(event.step)
        elif isinstance(event, Ready):
            found = {step for step in found if step <= event.step}
    return sorted(found)


def _honest_end(log: RunLog, devices: list[tuple[int, str]], done: int) -> tuple[int, str]:
    """Return the last step that one process on one device can come to as the run did, and what was different from there on."""
    ends = [(done, "")]
    for step, device in devices:
        if device.partition(":")[0] != devices[0][1].partition(":")[0]:
            ends.append((step, f"it trained on {device} from there on, which rounds and draws otherwise"))
    for edit in log.facts.edits:
        if edit.path == "training.precision" and edit.value != edit.old:
            ends.append((edit.step, f"it trained in {edit.value} from there on"))
    return min(ends, key=lambda end: end[0])


def create_replay(plan: Plan) -> RunDirectory:
    """Make the run that replays another, in the runs folder and called after it; raise `UserError`."""
    from torchtty.engine.contract.settings.configuration import parse

    made = create(parse(plan.settings), name=find_free_name(f"{plan.run.name[:70]}-replay"))
    try:
        meta = made.meta() | {"replay": plan.replay.model_dump(mode="json")}
        write_atomically(made.meta_path, json.dumps(meta, indent=1))
    except OSError as error:
        raise UserError(f"{made.meta_path} cannot be written: {error.strerror or error}.") from None
    return made


# The comparison.


@dataclass(frozen=True)
class Difference:
    """The first value in which a replay is not what the run was; None where one of the two has no such value."""

    step: int
    column: str
    run: float | None
    replay: float | None

    def __str__(self) -> str:
        if self.run is None or self.replay is None:
            which, other = ("replay", "run") if self.run is None else ("run", "replay")
            value = self.replay if self.run is None else self.run
            return f"at step {self.step:,} the {which} has a {self.column} of {value!r}, and the {other} has none"
        apart = abs(self.run - self.replay)
        return f"{self.column} at step {self.step:,} was {self.run!r} and is {self.replay!r}, {apart:.2g} apart"


@dataclass(frozen=True)
class Comparison:
    """How far a run and its replay are the same: `rows` of metrics, and the weights of the `checkpoints` that both have."""

    to: int
    rows: int
    difference: Difference | None
    checkpoints: tuple[int, ...] = ()
    other_weights: tuple[int, ...] = ()  # steps of checkpoints that differ
    reasons: tuple[str, ...] = ()  # what was not the same from the start, and may be why

    @property
    def equal(self) -> bool:
        return self.difference is None and not self.other_weights

    def __str__(self) -> str:
        rows = f"{self.rows:,} row{'s' * (self.rows != 1)} up to step {self.to:,}"
        if self.difference is not None:
            text = f"the replay differs after {self.rows:,} equal row{'s' * (self.rows != 1)}: {self.difference}"
        elif self.other_weights:
            text = f"{rows}, all equal to the bit, but not the weights of {_steps(self.other_weights)}"
        elif self.checkpoints:
            text = f"{rows} and the weights of {_steps(self.checkpoints)}, all equal to the bit"
        else:
            text = f"{rows}, all equal to the bit; the two have no checkpoint in common"
        return ". ".join([text, *(() if self.equal else self.reasons)]) + "."


def _steps(steps: tuple[int, ...]) -> str:
    *first, last = (f"{step:,}" for step in steps)
    return f"steps {', '.join(first)} and {last}" if first else f"step {last}"


def outcome(planned: Plan, again: RunDirectory) -> Comparison:
    """Compare a run with its replay that is over, as far as it came; raise `UserError` if it came to nothing."""
    status, to = again.status(), planned.replay.to
    if status.state is RunState.LOST or (status.state is RunState.FAILED and not any(_rows(again))):
        raise UserError(f"{planned.run.name} could not be replayed: {status.message}")
    if status.state is RunState.STOPPED:
        to = min(to, status.step)
    compared = compare(planned.run, again, to)
    if status.state is RunState.FAILED:
        return replace(compared, reasons=(status.message.rstrip("."), *compared.reasons))
    return compared


def compare(run: RunDirectory, replay: RunDirectory, to: int) -> Comparison:
    """Compare a run with its replay up to a step: every row of metrics as it was written, and the bytes of the weights."""
    status, rows = run.status(), 0
    difference = None
    for first, second in zip_longest(_rows(run, to), _rows(replay, to)):
        if first is None and int(second["step"]) == to and status.state in (RunState.LOST, RunState.FAILED):
            break  # it was killed before it wrote this
        if (difference := _difference(first or {}, second or {})) is not None:
            break
        rows += 1
    both = [step for step in run.checkpoints() if step <= to and step in replay.checkpoints()]
    same = {step: _same_weights(run.checkpoint_path(step), replay.checkpoint_path(step)) for step in both}
    return Comparison(
        to,
        rows,
        difference,
        tuple(step for step, equal in same.items() if equal),
        tuple(step for step, equal in same.items() if equal is False),
        tuple(_reasons(run.meta(), replay.meta())),
    )


def _rows(run: RunDirectory, to: int | None = None) -> Iterator[dict[str, Any]]:
    for row in JsonLinesTail(run.metrics_path).read(limit=2**40):
        if isinstance(row.get("step"), int) and (to is None or row["step"] <= to):
            yield row


def _difference(first: dict[str, Any], second: dict[str, Any]) -> Difference | None:
    """Return the first difference between two rows, of which one may be missing."""
    step = min(int(row["step"]) for row in (first, second) if row)
    ours, theirs = (row if row.get("step") == step else {} for row in (first, second))
    columns = dict.fromkeys([*ours, *theirs])
    for column in sorted(columns, key=lambda column: "loss" not in column):  # a missing row is best named by its loss
        one, other = ours.get(column), theirs.get(column)
        if column not in OF_THE_CLOCK and column != "step" and not _same(one, other):
            return Difference(step, column, one, other)
    return None


def _same(one: Any, other: Any) -> bool:
    both_numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return one == other or (both_numbers and math.isnan(one) and math.isnan(other))


def _same_weights(one: Path, other: Path) -> bool | None:
    """Whether two checkpoints hold the same weights; None if one of them cannot be read."""
    try:
        with open_regular(one / "model.safetensors") as first, open_regular(other / "model.safetensors") as second:
            while (block := first.read(BLOCK)) == second.read(BLOCK):
                if not block:
                    return True
    except OSError:
        return None
    return False


def _reasons(was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    if was.get("torch") != now.get("torch"):
        yield f"It was trained with torch {was.get('torch')}, and this is {now.get('torch')}"
    if was.get("host") != now.get("host"):
        yield f"It was trained on {was.get('host')}, whose processor may add in another order"
    if str(now.get("device") or "cpu") != "cpu":
        yield f"On {now['device']} sums are added in an order that is not always the same"
