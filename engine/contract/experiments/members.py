"""The runs of a sweep in training: which of them train as one batched model, and how one that was cut short goes on."""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.experiments.variation import common
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.families import family_of
from torchtty.engine.contract.settings.family import Family, Tree

AT_ONCE = 64  # members of one batched model
ATTEMPTS = 3  # how often a run whose worker vanishes is tried


@dataclass
class Member:
    """A run of a sweep, as the coordinator knows it."""

    run: RunDirectory
    tree: Tree
    status: Status
    attempts: int = 0  # how often it was handed to a worker
    alone: bool = False  # whether it is no longer trained in a batch: one with it was lost

    @classmethod
    def of(cls, run: RunDirectory) -> "Member":
        """Read a run; raise `UserError` where its configuration cannot be read."""
        return cls(run, run.configuration().tree(), run.status())

    @property
    def family(self) -> Family:
        return family_of(self.tree["model"]["kind"])

    @property
    def max_steps(self) -> int:
        """The steps of the whole run: a model that counts has one."""
        return int(self.tree["training"].get("max_steps", 1))

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be done for it: it has finished, or has shown that it cannot."""
        return self.status.state in (RunState.FINISHED, RunState.FAILED)

    def look(self) -> Status:
        """Read its status anew."""
        self.status = self.run.status()
        return self.status


@dataclass
class Job:
    """What a worker is given at once: one member, or several that train as a batch. `until` is the step to stop at."""

    members: list[Member]
    mode: Mode
    until: int | None = None
    batch: RunDirectory | None = None

    @property
    def folders(self) -> list[RunDirectory]:
        """Where requests to all of its members go."""
        return [self.batch] if self.batch else [member.run for member in self.members]


def jobs_for(members: Sequence[Member], until: int | None = None, hands: int = 1) -> list[Job]:
    """Return what is to be done to bring members to their ends, or to a step: batches of those that may train as one model.

    Those that are in one batch are at the same step, and differ in numbers that change no shape. Batches are cut until each of
    `hands` workers has one.
    """
    batches: dict[str, list[Member]] = {}
    for number, member in enumerate(members):
        step = member.run.checkpoints()[-1:]
        can = not member.alone and member.family.trains_by_steps and not step
        batches.setdefault(common(member.tree) if can else f"{number}", []).append(member)
    jobs = []
    for together, sizes in zip(batches.values(), cut([len(each) for each in batches.values()], hands), strict=True):
        left = iter(together)
        for size in sizes:
            some = list(islice(left, size))
            mode = Mode.RESUME if some[0].run.checkpoints() else Mode.TRAIN
            jobs.append(Job(some, mode, until))
    return jobs


def cut(sizes: Sequence[int], hands: int) -> list[list[int]]:
    """Cut batches of so many members into even pieces, at most `AT_ONCE` large, until there is one for each of `hands`.

    A core that trains its share of the members by itself is quicker than two that wait for each other at every kernel: five
    models of each family on either of two cores took 0.6 to 0.8 of the time that ten at once took on both.
    """
    pieces = [-(-size // AT_ONCE) for size in sizes]
    while sizes and sum(pieces) < hands:
        each, number = max(
            (size / count, number) for number, (size, count) in enumerate(zip(sizes, pieces, strict=True))
        )
        if each <= 1:
            break
        pieces[number] += 1
    return [
        [size * (number + 1) // count - size * number // count for number in range(count)]
        for size, count in zip(sizes, pieces, strict=True)
    ]


def make_ready(member: Member, mode: Mode) -> None:
    """Prepare a run for its worker: what was asked of an earlier one is forgotten, and so is what a beginning had left behind.

    Raises OSError.
    """
    run = member.run
    for request in run.inbox.glob("*.json"):
        with suppress(OSError):
            request.unlink()
    if mode is Mode.RESUME:
        return
    for path in (run.metrics_path, run.events_path):
        path.unlink(missing_ok=True)
    for folder in (run.steps, run.media):
        for entry in list(folder.iterdir()) if folder.is_dir() else []:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    run.write_status(Status(state=RunState.STARTING, heartbeat=time.time()))
