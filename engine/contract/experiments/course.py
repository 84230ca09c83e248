"""The course of a sweep: which of its runs train next, how far, and which are ended early."""

import math
from collections.abc import Sequence
from typing import Protocol

from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.members import Member
from torchtty.engine.contract.experiments.objective import evaluations
from torchtty.engine.contract.experiments.plan import Kind, rungs
from torchtty.engine.contract.run.status import RunState


class Course(Protocol):
    """What the coordinator asks of a plan."""

    def next(self) -> tuple[list[Member], int | None]:
        """Return members to train that were not returned before, and the step to stop at; none while there is none."""

    def look(self) -> list[Member]:
        """Take note of how the runs fare; return which of them are to end now."""


class Straight:
    """All runs are known, and each trains to its end: a grid, or drawn runs."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._left = [member for member in members if not member.is_over]

    def next(self) -> tuple[list[Member], int | None]:
        """Return all of them at once: the coordinator makes batches of them."""
        left, self._left = self._left, []
        return left, None

    def look(self) -> list[Member]:
        """None ends early."""
        return []


class Halving:
    """Rounds: all runs train for some steps, and the better part of them for some more, until the last have come to their ends.

    Where it stands follows from the runs' own curves, so that it can be gone on with.
    """

    def __init__(self, group: RunGroup, members: Sequence[Member]) -> None:
        self._group, self._members = group, list(members)
        self._given: list[Member] = []  # in the present round
        ended = {planned.name for planned in group.planned() if planned.ended}
        self._left = [member for member in members if member.run.name not in ended]
        self._rounds = [
            (count, self._aligned(step)) for count, step in rungs(group.plan(), len(members), members[0].max_steps)
        ]

    def _aligned(self, step: int) -> int:
        """Return the step of the first evaluation that is not before a step."""
        training = self._members[0].tree["training"]
        every = int(training.get("eval_interval") or 1)
        return min(-(-step // every) * every, self._members[0].max_steps)

    def next(self) -> tuple[list[Member], int | None]:
        """Return the members of the present round; the next one begins once all have come to the end of it."""
        while self._rounds:
            count, step = self._rounds[0]
            if not self._given and len(self._left) > count:
                self._keep(count)
            due = [member for member in self._left if not self._has_come_to(member, step)]
            if new := [member for member in due if member not in self._given]:
                self._given.extend(new)
                return new, step if len(self._rounds) > 1 else None
            if due:
                return [], None
            self._rounds.pop(0)
            self._given = []
        return [], None

    def _has_come_to(self, member: Member, step: int) -> bool:
        """Whether a member has done the steps of a round, or will not: it is over, or somebody stopped it by itself."""
        stopped = member in self._given and member.status.state is RunState.STOPPED
        return member.is_over or member.status.step >= step or stopped

    def _keep(self, count: int) -> None:
        """End all but the `count` best."""
        ranked = sorted(self._left, key=self._value)
        self._left, dropped = ranked[:count], ranked[count:]
        self._group.mark({member.run.name: "halved" for member in dropped if not member.is_over})

    @staticmethod
    def _value(member: Member) -> float:
        found = evaluations(member.run, member.family)
        if member.status.state is RunState.FAILED or not found or math.isnan(found[-1][1]):
            return math.inf
        return found[-1][1]

    def look(self) -> list[Member]:
        """None ends within a round."""
        return []


def course_of(group: RunGroup, members: list[Member]) -> Course:
    """Return the course of a group's plan; raise `UserError` where a search lacks its package."""
    kind = group.plan().kind
    if kind.searches:
        from torchtty.engine.contract.experiments.search import Search

        return Search(group, members)
    return Halving(group, members) if kind is Kind.HALVING else Straight(members)
