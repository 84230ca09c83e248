"""The lineage of runs: which run and step a fork began from, its curves before that, and runs ordered as a tree."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from torchtty.engine.contract.run.directory import RunDirectory, list_runs
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.metrics import MetricColumns
from torchtty.engine.contract.run.timed_choices import TimedChoices
from torchtty.engine.contract.settings.fields import show

CHUNK = 256 * 1024  # bytes parsed at once
OF_THE_MEASURE = (
    *("model.", "data.", "tokenizer."),
    *("training.seed", "training.eval_batches", "training.batch_size"),
)
"""How settings begin that decide what a loss is measured on."""
MOST_ANCESTORS = 100  # that are followed: a chain that people make is shorter

Run = TypeVar("Run")


@dataclass(frozen=True)
class Parent:
    """The checkpoint that a run began from, as its `meta.json` has it.

    `created` is when the parent was made, by which it is found although it was renamed, and told from a later one of its name.
    `changed` are the settings that the fork changed: {path: (the parent's at that step, the fork's)}.
    """

    run: str
    step: int
    created: float | None = None
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    data_sha256: str = ""
    choices: TimedChoices = field(
        default_factory=TimedChoices
    )  # what the parent had chosen by timing, and the fork follows

    @property
    def title(self) -> str:
        return f"fork of {self.run} at step {self.step:,}"

    @property
    def is_comparable(self) -> bool:
        """Whether the losses before the fork and those after it measure the same, so that the lower one is the better."""
        return not any(path.startswith(OF_THE_MEASURE) for path in self.changed)

    def changes(self) -> str:
        """Say what the fork changed: `learning_rate 0.1 → 0.01, batch_size 32 → 64`; empty if nothing."""
        return ", ".join(
            f"{path.rpartition('.')[2] if not path.endswith('.kind') else path.partition('.')[0]} {show(old)} → {show(new)}"
            for path, (old, new) in self.changed.items()
            if old is not None or new is not None
        )


def parent_of(meta: Mapping[str, Any]) -> Parent | None:
    """Return the parent that a run's provenance names; None for a run that began by itself, and for what is no parent."""
    found = meta.get("parent")
    if not isinstance(found, dict):
        return None
    run, step, created, changed = (found.get(name) for name in ("run", "step", "created", "changed"))
    if not isinstance(run, str) or type(step) is not int or step < 0:
        return None
    pairs = changed.items() if isinstance(changed, dict) else ()
    return Parent(
        run,
        step,
        created if isinstance(created, float) else None,
        {path: (pair[0], pair[1]) for path, pair in pairs if isinstance(pair, list) and len(pair) == 2},
        str(found.get("data_sha256") or ""),
        _choices(found.get("choices")),
    )


def _choices(found: object) -> TimedChoices:
    try:
        return TimedChoices.model_validate(found or {})
    except ValidationError:
        return TimedChoices()


def created(meta: Mapping[str, Any]) -> float | None:
    """Return when a run was made, in seconds since the epoch."""
    moment = meta.get("created")
    return float(moment) if isinstance(moment, int | float) else None


def find_parent(run: RunDirectory, parent: Parent) -> RunDirectory | None:
    """Return the parent's directory beside a run's; None if it was deleted, or lies elsewhere."""
    if parent.created is None:
        return None
    usual = run.path.parent / parent.run
    beside = [RunDirectory(usual)] if usual.parent == run.path.parent else []
    for candidate in (*beside, *list_runs(run.path.parent)):
        if candidate != run and created(candidate.meta()) == parent.created:
            return candidate
    return None


def curves_before(run: RunDirectory) -> MetricColumns:
    """Return the curves that a fork's own go on from: those of its ancestors that are there, each up to where the next began."""
    pieces: list[tuple[RunDirectory, int]] = []
    at: RunDirectory | None = run
    while at is not None and len(pieces) < MOST_ANCESTORS:
        parent = parent_of(at.meta())
        at = find_parent(at, parent) if parent is not None else None
        if at is not None and parent is not None:
            last = min(parent.step, pieces[-1][1]) if pieces else parent.step
            pieces.append((at, last))
    columns = MetricColumns()
    for ancestor, last in reversed(pieces):
        tail = JsonLinesTail(ancestor.metrics_path)
        while rows := tail.read(CHUNK):
            columns.take(row for row in rows if type(row.get("step")) is int and row["step"] <= last)
    return columns


def as_tree(
    runs: Sequence[Run], created: Callable[[Run], float | None], parent: Callable[[Run], Parent | None]
) -> list[tuple[Run, int]]:
    """Order runs so that forks stand below their parents, each with its depth: 0 for one without a parent among them.

    A family stands where the first of it stood, and forks of one parent keep their order.
    """
    by_creation = {moment: number for number, run in enumerate(runs) if (moment := created(run)) is not None}
    children: dict[int | None, list[int]] = {}
    above: dict[int, int | None] = {}
    for number, run in enumerate(runs):
        origin = parent(run)
        found = by_creation.get(origin.created) if origin is not None and origin.created is not None else None
        above[number] = None if found == number else found
        children.setdefault(above[number], []).append(number)
    ordered: dict[int, int] = {}
    for number in range(len(runs)):
        _add(_root(number, above), 0, children, ordered)
    return [(runs[number], depth) for number, depth in ordered.items()]


def _root(number: int, above: Mapping[int, int | None]) -> int:
    """Return the ancestor that has no parent; of runs that name each other as parents, which is damage, the last one passed."""
    passed = {number}
    while (parent := above[number]) is not None and parent not in passed:
        passed.add(parent)
        number = parent
    return number


def _add(number: int, depth: int, children: Mapping[int | None, Iterable[int]], ordered: dict[int, int]) -> None:
    waiting = [(number, depth)]
    while waiting:
        number, depth = waiting.pop()
        if number not in ordered:
            ordered[number] = depth
            waiting += [(child, depth + 1) for child in reversed(list(children.get(number, ())))]
