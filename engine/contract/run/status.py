"""What a run is doing right now: `status.json`, and how a silent process is told from a living one."""

import os
import socket
import time
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

HEARTBEAT_INTERVAL = 1.0  # seconds between two heartbeats of a worker
NOBODY_MEANS_LOST = 180.0  # seconds that a new run may wait for its worker, which imports torch on a busy machine first
SILENT = (
    "Its process is alive, but its status has stood still for a while: the disk may be full, or the machine very busy."
)
SILENCE_MEANS_LOST = 15.0  # seconds without a heartbeat after which a process on another host counts as gone


class RunState(StrEnum):
    """The life of a run."""

    STARTING = "starting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"

    @property
    def is_live(self) -> bool:
        """Whether a process is expected to be working on the run."""
        return self in (RunState.STARTING, RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)


class Status(BaseModel):
    """The content of `status.json`. Times are seconds since the epoch unless said."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    format: int = 1
    state: RunState = RunState.STARTING
    step: int = 0
    max_steps: int = 0
    pid: int = 0
    process_started: float = 0.0  # tells the worker from a later process with the same number
    host: str = ""
    heartbeat: float = 0.0
    serving: bool = False  # training is over and the model is still in memory, ready for samples
    device: str = ""
    gpu: str = ""  # its UUID, where it is a CUDA GPU
    parameters: int | None = None
    memory: int | None = None  # the most bytes that its tensors have taken on its GPU so far
    seconds: float = 0.0  # time spent training; pauses, evaluations and samples left out
    steps_per_second: float | None = None
    metrics: dict[str, float] = {}  # the latest of those that the run's family sums a run up by
    best: float | None = None  # the lowest value of the family's watched metric, and the step that had it
    best_step: int | None = None
    waiting_for: str = ""  # the run that holds the device, while this one is queued
    place: int = 0  # its place in the queue then, 1 for the next to be served
    unreachable: bool = False  # it failed because something it needs cannot be fetched from here
    group: str = ""  # the group that it trains in, while it does
    diverged: bool = False  # it failed because its loss is no number any more
    message: str = ""  # why the run failed, or what else a person should know
    max_seconds: float | None = None  # of training, after which it ends
    ended_by: str = ""  # the setting whose rule ended a finished run before its last step
    test: dict[str, float] = {}  # the latest evaluation of the test split, and the step whose weights it is about
    test_step: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _converted(cls, content: Any) -> Any:
        """Take over the losses as the first version wrote them, a field each."""
        if isinstance(content, dict) and "metrics" not in content:
            old = {name: content.get(name) for name in ("train_loss", "val_loss", "loss_d", "loss_g")}
            known = {name: value for name, value in old.items() if value is not None}
            return content | {"metrics": known, "best": content.get("best", content.get("best_val_loss"))}
        return content

    @property
    def share_done(self) -> float:
        """How much of the training is done, by steps or by seconds: whichever is further."""
        steps = self.step / self.max_steps if self.max_steps else 0.0
        return min(1.0, max(0.0, steps, self.seconds / self.max_seconds if self.max_seconds else 0.0))

    @property
    def seconds_left(self) -> float | None:
        """How long the rest of the training takes at the present speed; None where there is none."""
        if not self.steps_per_second:
            return None
        left = max(0, self.max_steps - self.step) / self.steps_per_second
        return left if self.max_seconds is None else min(left, max(0.0, self.max_seconds - self.seconds))

    def observed(self, now: float | None = None) -> "Status":
        """Return the status as an observer sees it: a live run whose process is gone is lost, and nobody serves."""
        if not (self.state.is_live or self.serving):
            return self
        if self.process_is_alive(now):
            silence = (time.time() if now is None else now) - self.heartbeat
            if self.state in (RunState.RUNNING, RunState.PAUSED) and silence > SILENCE_MEANS_LOST and not self.message:
                return self.model_copy(update={"message": SILENT})
            return self
        if not self.state.is_live:
            return self.model_copy(update={"serving": False})
        message = self.message or "The process is gone without a word: killed, out of memory, or the machine went down."
        return self.model_copy(update={"state": RunState.LOST, "serving": False, "message": message})

    def process_is_alive(self, now: float | None = None) -> bool:
        """Whether the worker's process exists: looked up on this host, judged by its heartbeat on another."""
        silence = (time.time() if now is None else now) - self.heartbeat
        if not self.pid:
            return silence < NOBODY_MEANS_LOST
        if self.host != socket.gethostname():
            return silence < SILENCE_MEANS_LOST
        return process_matches(self.pid, self.process_started)

    def signal(self, number: int) -> bool:
        """Send a signal to the worker of a live run; return whether it is on this host and could be reached."""
        here = self.state.is_live and self.host == socket.gethostname()
        if not here or not process_matches(self.pid, self.process_started):
            return False
        try:
            os.kill(self.pid, number)
        except OSError:
            return False
        return True


def process_matches(pid: int, started: float) -> bool:
    """Whether the process `pid` runs and is the one that started at `started`, not a later one with its number."""
    import psutil

    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, OverflowError):  # gone, or a number that no process has
        return False
