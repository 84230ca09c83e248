"""How many threads compute a step: timed on the run's own steps, and recorded, as sums in another order differ in a bit."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from statistics import median

import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.printable import shortened
from torchtty.engine.contract.run.events import ThreadsChosen
from torchtty.engine.training.trial import rounded, timed_in_turn

WORTH_SHARING = 5e7
"""Floating-point operations a step below which one thread is never slower: waking the others takes as long as the work."""
CORES = torch.get_num_threads()
QUICKER = 0.93  # of the time of the number in force: another one must need less
SLOWED = 1.3  # times a step's usual duration, above which something else seems to want the cores
FIRST_PAUSE, LAST_PAUSE = (
    1.0,
    60.0,
)  # seconds until the next trial: doubled while nothing changes, as a first one may mislead
FIRST_SHARE, LAST_SHARE = 1 / 30, 1 / 100  # of the time that trials may take
STEPS_TO_JUDGE = 8  # over which a step's duration is averaged


def wanted_threads() -> int:
    """Return the number that TORCHTTY_THREADS fixes, 0 where it fixes none. Raises `UserError` if it is no number."""
    text = os.environ.get("TORCHTTY_THREADS") or "0"
    if not text.isdecimal():
        raise UserError(f"TORCHTTY_THREADS is '{shortened(text)}', and takes a number of threads, such as 2.")
    return int(text)


def candidates(operations: float, cores: int) -> tuple[int, ...]:
    """Return the numbers of threads worth timing for a step of so many floating-point operations, ascending."""
    if operations < WORTH_SHARING:
        return (1,)
    powers = [1 << power for power in range(cores.bit_length())]
    return tuple(sorted({count for count in (*powers, cores) if count <= cores}))


class ThreadChooser:
    """Keeps torch at the number of threads that computes a run's steps quickest, and follows the record where there is one.

    A trial computes gradients and leaves everything as it was, so that only a change of the number touches a curve.
    """

    def __init__(self, operations: float, device: torch.device, fixed: int | None = None) -> None:
        """Begin with a guess, and keep to a `fixed` number, by default that of TORCHTTY_THREADS.

        On a device other than the CPU the threads have little to do, and are not timed.
        """
        self._fixed = wanted_threads() if fixed is None else fixed
        self._candidates = (self._fixed,) if self._fixed else candidates(operations, CORES)
        if device.type != "cpu" and not self._fixed:
            self._candidates = self._candidates[:1]
        self._record: deque[tuple[int, int]] = deque()  # what is followed: from which step on how many threads
        self._own = False  # whether that is the run's own record
        self._until = 0  # the step up to which it is followed
        self._known = False  # whether the number in force stands in the run's record
        self._pause = FIRST_PAUSE / 2  # seconds between the latest trial and the next
        self._next_trial = 0.0
        self._soonest = 0.0  # when something that slows the steps down may bring a trial about
        self._usual: float | None = None  # seconds of a step since the latest trial
        self._recent: deque[float] = deque(maxlen=STEPS_TO_JUDGE)
        self._use(self._candidates[-1])

    @property
    def can_change(self) -> bool:
        """Whether steps are to be timed with `took`."""
        return len(self._candidates) > 1

    def share_of(self, processes: int) -> int:
        """Return the number for each of several processes: that of TORCHTTY_THREADS, or a share of the cores."""
        return self._fixed or max(1, self._candidates[-1] // processes)

    def in_force(self) -> None:
        """Have torch use the number in force, whatever it was told meanwhile."""
        torch.set_num_threads(self.count)

    def follow(self, record: Iterable[tuple[int, int]], step: int, until: int, *, own: bool) -> None:
        """Follow a record (from which step on how many threads) from a step on, and up to another.

        What is followed of a record that is not the run's own is to be recorded again.
        """
        self._record = deque(sorted((since, count) for since, count in record if 1 <= count <= CORES))
        self._until, self._own = until, own
        if self._fixed and step >= until:
            self._record.clear()
        for since, count in self._record:
            if since <= step:  # at once, for an evaluation may come before the first step
                self._use(count)
        if own and self._record and self._record[0][0] <= step:
            self._known = True
            while self._record and self._record[0][0] <= step:
                self._record.popleft()

    def _follow(self, step: int) -> ThreadsChosen | None:
        while self._record and self._record[0][0] <= step:
            self._use(self._record.popleft()[1])
        self._known = True
        return None if self._own else ThreadsChosen(threads=self.count, since=step, reason="as recorded")

    def is_due(self, step: int) -> bool:
        """Whether `choose` is to be called before a step (0 is the first)."""
        if self._record and self._record[0][0] <= step:
            return True
        if self._known and step < self._until:
            return False
        if not self._known or self.count not in self._candidates:
            return True
        if not self.can_change:
            return False
        now = time.monotonic()
        slowed = (
            len(self._recent) == STEPS_TO_JUDGE
            and self._usual is not None
            and median(self._recent) > SLOWED * self._usual
        )
        return now >= self._next_trial or (slowed and now >= self._soonest)

    def choose(self, step: int, rehearse: Callable[[], object]) -> ThreadsChosen | None:
        """Choose the number for the steps from this one on; return what is to be recorded, if anything.

        `rehearse` computes the step's gradients and leaves everything as it was.
        """
        if self._record and self._record[0][0] <= step:
            return self._follow(step)
        before, known, self._known = self.count, self._known, True
        if not self.can_change:
            self._use(self._candidates[0])
            if known and self.count == before:
                return None
            why = "a step is too small to share, or there is one core"
            if self._fixed:
                why = "fixed by TORCHTTY_THREADS" if wanted_threads() else "its share of the cores"
            return ThreadsChosen(threads=self.count, since=step, reason=why)
        began = time.monotonic()
        seconds: dict[int, float] = {}
        if known and before in self._candidates:
            seconds = timed_in_turn(self._around(), torch.set_num_threads, rehearse, in_force=before)
        if not seconds or min(seconds.values()) < QUICKER * seconds[before]:  # at first, and to make sure
            seconds = timed_in_turn(self._around(), torch.set_num_threads, rehearse)
        quickest = min(seconds, key=lambda count: seconds[count])
        if not known or before not in seconds or seconds[quickest] < QUICKER * seconds[before]:
            self._use(quickest)
        else:
            self._use(before)
        self._plan_next(time.monotonic() - began, changed=self.count != before)
        self._usual = None
        self._recent.clear()
        if known and self.count == before:
            return None
        timings = rounded({str(count): each for count, each in seconds.items()})
        why = f"the quickest of {', '.join(timings)}" if not known else f"quicker than {before} by now"
        return ThreadsChosen(threads=self.count, since=step, reason=why, timings=timings)

    def _plan_next(self, cost: float, *, changed: bool) -> None:
        """Say when the next trial is due, after one that took so many seconds."""
        longest = max(LAST_PAUSE, cost / LAST_SHARE)
        self._pause = FIRST_PAUSE if changed else min(2 * self._pause, longest)
        self._pause = max(self._pause, cost / FIRST_SHARE)
        now = time.monotonic()
        self._next_trial, self._soonest = now + self._pause, now + max(FIRST_PAUSE, cost / FIRST_SHARE)

    def took(self, seconds: float) -> None:
        """Note how long a step took."""
        self._recent.append(seconds)
        if self._usual is None and len(self._recent) == STEPS_TO_JUDGE:
            self._usual = median(self._recent)

    def _around(self) -> Sequence[int]:
        """Return what to time: everything at first, later the number in force and its neighbours."""
        if self._next_trial == 0.0 or self.count not in self._candidates:
            return self._candidates
        at = self._candidates.index(self.count)
        return self._candidates[max(0, at - 1) : at + 2]

    def _use(self, count: int) -> None:
        self.count = count
        torch.set_num_threads(count)  # whatever it was: a trial may have left another number
