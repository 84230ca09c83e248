"""The process that sees a sweep through: `python -m torchtty.engine.contract.experiments.coordinator GROUP [--workers N]`.

It hands runs to workers, as many as cores, GPUs and memory allow, and has no torch itself. It is a session of its own. Whatever
becomes of it, the runs' own folders say how far each has come: another coordinator goes on from there.
"""

import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname
from typing import Any

import psutil
from filelock import FileLock, Timeout

from torchtty.engine.contract.client.workers import Mode, Part, WarmWorker
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.experiments.cluster import AT_ONCE, Jobs, JobWorker
from torchtty.engine.contract.experiments.course import Course, course_of
from torchtty.engine.contract.experiments.group import RunGroup
from torchtty.engine.contract.experiments.members import ATTEMPTS, Job, Member, jobs_for, make_ready
from torchtty.engine.contract.experiments.outlook import cores, side_by_side
from torchtty.engine.contract.run import requests
from torchtty.engine.contract.run.access import PRIVATE
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.requests import Stop
from torchtty.engine.contract.run.status import RunState, Status

LOOK = 0.05  # seconds between two looks at the workers
NOTE = 0.5  # seconds between two notes of how far the sweep is
REFRESH = (
    8.0  # seconds between two heartbeats of the runs that wait: less than after which another host counts them as lost
)
ROOM = 700 * 2**20  # bytes of memory that must be free for one more worker: torch itself takes about half of it
VANISHED = "Its worker vanished {} times: killed, out of memory, or a fault of torch. See worker.log."
UNWRITABLE = "Its folders cannot be written: {}. 'torchtty sweep --resume {}' goes on once that is mended."
ASIDE = "Waits for its turn in the sweep."
SILENCE = 10.0  # seconds without an answer of the scheduler after which a sweep that stops does not wait for one
UNANSWERED = (
    "Slurm does not answer, so that jobs may still wait there which were to be taken back: {}. 'scancel' does it once Slurm "
    "answers. 'torchtty sweep --resume {}' does it too, and goes on."
)


@dataclass
class Hand:
    """A worker of the sweep, and what it is at."""

    worker: (
        WarmWorker | JobWorker | None
    )  # none: one of an earlier coordinator, which has not come to the end of its part
    job: Job | None = None
    reply: Path = field(default_factory=Path)

    @property
    def is_alive(self) -> bool:
        if self.worker is not None:
            return self.worker.is_alive
        assert self.job is not None
        return any(member.look().state.is_live for member in self.job.members)

    @property
    def is_done(self) -> bool:
        return self.worker is not None and self.reply.is_file()


class Coordinator:
    """One process's work on a sweep."""

    def __init__(self, group: RunGroup, workers: int | None = None) -> None:
        self.group, self._race = group, group.race()
        self._jobs: Jobs | None = None  # where they train on a cluster
        self._limit = 1 if self._race else workers  # seconds mean the same only where nothing trains beside
        self._hands: list[Hand] = []
        self._pending: deque[Job] = deque()
        self._stopping = False
        self._trouble = ""  # what keeps it from handing runs to workers
        self._left: list[str] = []  # jobs of which the scheduler did not say whether they are taken back
        self._noted = self._refreshed = 0.0
        self._status = Status(state=RunState.RUNNING, pid=os.getpid(), host=gethostname())
        self._speed: deque[tuple[float, int]] = deque(maxlen=20)

    def work(self) -> int:
        """See the sweep through; return the process's exit code. Raises `UserError` where another coordinator has it."""
        lock = FileLock(self.group.path / ".worker.lock")
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            raise UserError(f"{self.group.name} has a coordinator already.") from None
        self._status.process_started = psutil.Process().create_time()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # losing the terminal is no reason to stop
        self._began = time.monotonic()
        try:
            self._members = [Member.of(run) for run in self.group.runs()]
            for member in self._members:
                member.alone = self._race is not None
            self._note(force=True)
            if (cluster := self.group.cluster()) is not None:
                self._jobs = Jobs(cluster, self.group.path / "jobs")
                self._jobs.forget_waiting()
            self._course: Course = course_of(self.group, self._members)
            self._adopt()
            self._wait_in_line()
            self._see_through()
        except UserError as error:
            self._cancel_waiting()
            self._end(RunState.FAILED, str(error))
            print(error, file=sys.stderr, flush=True)
            return 1
        finally:
            for hand in self._hands:
                if hand.worker is not None:
                    hand.worker.no_more_parts()
            lock.release()
        return 0

    # -- the course -------------------------------------------------------------------------------------------------

    def _see_through(self) -> None:
        while True:
            self._obey()
            for hand in self._hands:
                self._look_at(hand)
            self._hands = [
                hand for hand in self._hands if hand.job is not None or (hand.worker and hand.worker.is_alive)
            ]
            if self._stopping:
                self._leave_unanswered()
                if not any(hand.job for hand in self._hands):
                    break
            else:
                self._fill()
                if not self._pending and not any(hand.job for hand in self._hands):
                    break
            self._note()
            time.sleep(LOOK)
        state = RunState.FAILED if self._trouble else RunState.STOPPED if self._stopping else RunState.FINISHED
        self._end(state, self._trouble or self._unanswered())

    def _fill(self) -> None:
        """Give every free worker something to do, and start workers while there is room."""
        for member in self._course.look():
            with suppress(UserError):
                member.run.send(Stop())
        free = self._slots() - sum(hand.job is not None for hand in self._hands)
        while free > len(self._pending):
            members, until = self._course.next()
            if not members:
                break
            self._members.extend(member for member in members if member not in self._members)
            self._pending.extend(jobs_for(members, until, min(free - len(self._pending), self._workers_at_most())))
        while self._pending and free > 0:
            hand = next((hand for hand in self._hands if hand.job is None and hand.worker), None)
            if hand is None:
                if self._hands and not self._has_room():
                    return
                hand = Hand(self._new_worker())
                self._hands.append(hand)
            self._give(hand, self._pending.popleft())
            free -= 1

    def _new_worker(self) -> WarmWorker | JobWorker:
        return WarmWorker(self._variables()) if self._jobs is None else JobWorker(self._jobs, self.group.name)

    def _give(self, hand: Hand, job: Job) -> None:
        assert hand.worker is not None
        try:
            for member in job.members:
                make_ready(member, job.mode)
                member.attempts += 1
            if len(job.members) > 1:
                job.batch = self._new_batch()
            hand.job, hand.reply = job, hand.worker.folder.with_name(f"{hand.worker.folder.name}-{time.time_ns()}.json")
            part = Part(str(self.group.path), job.until, str(hand.reply))
            hand.worker.hand_over_part([member.run for member in job.members], job.mode, part, job.batch)
        except UserError as error:
            if self._jobs is not None:  # what the scheduler refuses once, it refuses again
                raise
            print(f"{self.group.name}: {error}", file=sys.stderr, flush=True)
            hand.job = job  # the worker is found dead
        except OSError as error:  # a full disk, or folders that somebody took away: the next runs would fare no better
            hand.job = None
            self._trouble = UNWRITABLE.format(error.strerror or error, self.group.name)
            print(self._trouble, file=sys.stderr, flush=True)
            self._stop()

    def _new_batch(self) -> RunDirectory:
        folder = self.group.path / "batches"
        folder.mkdir(exist_ok=True)
        batch = RunDirectory(folder / str(1 + len(os.listdir(folder))))
        batch.path.mkdir()
        batch.inbox.mkdir()
        batch.inbox.chmod(PRIVATE)
        batch.write_status(Status(state=RunState.STARTING, heartbeat=time.time()))
        return batch

    def _look_at(self, hand: Hand) -> None:
        """See whether a worker has done what it was given, or is gone."""
        job = hand.job
        if job is None or (not hand.is_done and hand.is_alive):
            return
        with suppress(OSError):
            hand.reply.unlink()
        hand.job = None
        again = [member for member in job.members if self._is_tried_again(member, batched=len(job.members) > 1)]
        if not self._stopping:
            self._pending.extend(jobs_for(again, job.until))

    def _is_tried_again(self, member: Member, *, batched: bool) -> bool:
        """Decide what comes of a member whose worker is done with it, or gone."""
        status = member.look()
        if status.state.is_live or status.state is RunState.LOST:  # the worker was killed, or could not even begin
            if member.attempts >= ATTEMPTS:
                self._fail(member, VANISHED.format(member.attempts))
                return False
            member.alone = member.alone or (batched and member.attempts > 1)
            return True
        if status.state is RunState.FAILED and not status.diverged and batched:
            member.alone = True  # by itself it may have the memory that many at once had not
            return True
        return False

    def _fail(self, member: Member, message: str) -> None:
        status = member.run.written_status()
        with suppress(OSError):
            member.run.write_status(status.model_copy(update={"state": RunState.FAILED, "message": message}))
        member.look()

    def _adopt(self) -> None:
        """Leave what workers of an earlier coordinator are still at to them, and wait for its end."""
        for member in self._members:
            status = member.status
            if _is_at_work(status):
                self._hands.append(Hand(None, Job([member], Mode.RESUME)))

    # -- room -------------------------------------------------------------------------------------------------------

    def _slots(self) -> int:
        """Return how many parts may be at work at once: one a GPU, or one a core."""
        if self._limit is not None:
            return self._limit
        if self._jobs is not None:
            return AT_ONCE
        wanted = {str(member.tree["training"].get("device", "auto")) for member in self._members}
        return side_by_side(wanted)

    def _variables(self) -> dict[str, str]:
        """Return the variables of workers that train side by side: each has its share of the cores."""
        at_once = min(self._slots(), len(self._pending) + sum(hand.job is not None for hand in self._hands))
        if os.environ.get("TORCHTTY_THREADS") or at_once < 2:
            return {}
        return {"TORCHTTY_THREADS": str(max(1, cores() // at_once))}

    def _has_room(self) -> bool:
        return self._jobs is not None or int(psutil.virtual_memory().available) > ROOM

    def _workers_at_most(self) -> int:
        """Return how many workers there is memory for; on a cluster a batch is one job, which has the cores that were asked for."""
        return 1 if self._jobs is not None else len(self._hands) + int(psutil.virtual_memory().available) // ROOM

    # -- what is asked ----------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        with suppress(OSError):
            for request in requests.collect(self.group.directory.inbox):
                if isinstance(request, Stop):
                    self._stop()

    def _on_signal(self, *_: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        """Have every run that trains stop with a checkpoint; the others do not begin."""
        self._stopping = True
        self._pending.clear()
        for hand in self._hands:
            for run in (
                [hand.job.batch]
                if hand.job and hand.job.batch
                else [m.run for m in hand.job.members]
                if hand.job
                else []
            ):
                with suppress(UserError):
                    run.send(Stop())
        self._cancel_waiting()  # last: a scheduler may take its time

    def _cancel_waiting(self) -> None:
        """Take back the jobs that no node has begun; those that run see the request to stop in their runs' inboxes."""
        if self._jobs is not None:
            workers = [hand.worker for hand in self._hands if isinstance(hand.worker, JobWorker)]
            self._jobs.cancel_waiting([number for worker in workers if (number := worker.taken_back())])

    def _leave_unanswered(self) -> None:
        """Wait no longer for jobs of which a scheduler that is silent does not say whether they are taken back."""
        if self._jobs is None or self._jobs.silent_for < SILENCE:
            return
        for hand in self._hands:
            if isinstance(hand.worker, JobWorker) and hand.job and not any(_is_elsewhere(m) for m in hand.job.members):
                self._left.append(str(hand.worker.taken_back()))
                hand.job = None

    def _unanswered(self) -> str:
        return UNANSWERED.format(", ".join(self._left), self.group.name) if self._left else ""

    # -- what is told -----------------------------------------------------------------------------------------------

    def _wait_in_line(self) -> None:
        """Say of runs that have not begun that they wait, so that nobody takes them for lost."""
        for member in self._members:
            if member.run.checkpoints() or member.is_over or _is_at_work(member.status):
                continue
            waits = {"state": RunState.QUEUED, "message": ASIDE, "group": self.group.name}
            process = self._status.model_dump(include={"pid", "process_started", "host"})
            with suppress(OSError):
                fresh = Status(heartbeat=time.time(), max_steps=member.max_steps, **waits, **process)
                member.run.write_status(fresh)
                member.status = fresh

    def _note(self, *, force: bool = False) -> None:
        """Note now and then how far the sweep is: steps of all runs together, and their speed."""
        now = time.monotonic()
        if now - self._noted < NOTE and not force:
            return
        self._noted = now
        for hand in self._hands:
            for member in hand.job.members if hand.job else []:
                member.look()
        step = sum(min(member.status.step, member.max_steps) for member in self._members)
        total = sum(member.max_steps if not member.is_over else member.status.step for member in self._members)
        self._speed.append((now, step))
        (before, first), seconds = self._speed[0], now - self._began
        speed = (step - first) / (now - before) if now > before and step > first else None
        limits = [member.tree["training"].get("max_seconds") for member in self._members] if self._race else []
        if any(limits):  # what is spent of a budget is the seconds of training of all, whatever else took time
            seconds = sum(member.status.seconds for member in self._members)
        self._status = self._status.model_copy(
            update={
                "max_seconds": sum(filter(None, limits)) or None,
                "step": step,
                "max_steps": total,
                "seconds": seconds,
                "steps_per_second": speed,
                "heartbeat": time.time(),
            }
        )
        with suppress(OSError):
            self.group.directory.write_status(self._status)
        if now - self._refreshed > REFRESH:
            self._refreshed = now
            for member in self._members:
                if member.status.pid == os.getpid() and member.look().state is RunState.QUEUED:
                    with suppress(OSError):
                        member.run.write_status(member.status.model_copy(update={"heartbeat": time.time()}))

    def _end(self, state: RunState, message: str = "") -> None:
        for member in getattr(self, "_members", []):
            if member.run.written_status().pid == os.getpid():  # it still waits
                with suppress(OSError):
                    member.run.write_status(Status(state=RunState.STOPPED, message="The sweep ended before it began."))
            member.look()
        members = getattr(self, "_members", [])
        diverged = sum(member.status.diverged for member in members)
        failed = sum(member.status.state is RunState.FAILED for member in members) - diverged
        counted = [f"{failed} failed"] * bool(failed) + [f"{diverged} diverged"] * bool(diverged)
        if counted and not message:
            message = f"Of {len(members)} runs {' and '.join(counted)}."
        if members and failed == len(members):
            state = RunState.FAILED
        self._note(force=True)
        self._status = self._status.model_copy(update={"state": state, "message": message})
        with suppress(OSError):
            self.group.directory.write_status(self._status)


def _is_elsewhere(member: Member) -> bool:
    """Whether a node trains a run, rather than that it waits in this process's name or is over."""
    status = member.look()
    return status.state.is_live and status.pid != os.getpid()


def _is_at_work(status: Status) -> bool:
    """Whether a worker has a run."""
    return status.state.is_live and bool(status.pid) and status.process_is_alive()


def main(arguments: list[str]) -> int:
    """Coordinate the sweep whose folder is named; return the exit code."""
    workers = int(arguments[2]) if arguments[1:2] == ["--workers"] else None
    try:
        return Coordinator(RunGroup(Path(arguments[0])), workers).work()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
