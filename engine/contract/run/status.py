"""What a run is doing right now: `status.json`, and how a silent process is told from a living one."""

import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

HEARTBEAT_INTERVAL = 1.0  # seconds between two heartbeats of a worker
NOBODY_MEANS_LOST = 180.0  # seconds that a new run may wait for its worker, which imports torch on a busy machine first
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

    model_config = ConfigDict(extra="ignore")

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
    parameters: int | None = None
    seconds: float = 0.0  # time spent training, pauses left out
    steps_per_second: float | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    best_val_loss: float | None = None
    best_step: int | None = None
    loss_d: float | None = None  # of a discriminator and a generator, which have no loss on held-out data
    loss_g: float | None = None
    waiting_for: str = ""  # the run that holds the device, while this one is queued
    unreachable: bool = False  # it failed because something it needs cannot be fetched from here
    message: str = ""  # why the run failed, or what else a person should know

    def observed(self, now: float | None = None) -> "Status":
        """Return the status as an observer sees it: a live run whose process is gone is lost, and nobody serves."""
        if not (self.state.is_live or self.serving) or self.process_is_alive(now):
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


def process_matches(pid: int, started: float) -> bool:
    """Whether the process `pid` runs and is the one that started at `started`, not a later one with its number."""
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@dataclass(frozen=True)
class Metric:
    """A column of `metrics.jsonl`."""

    name: str
    title: str
    unit: str = ""
    averaged: bool = False  # over the steps since the last logged one, as losses are without saying


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("train_loss", "train", "nats"),
        Metric("val_loss", "val", "nats"),
        Metric("whole_loss", "whole text", "nats"),
        Metric("train_eval_loss", "train, evaluated", "nats"),
        Metric("objective", "what training lowers"),
        Metric("smoothed_sum", "smoothed, summed over a window", "nats"),
        Metric("loss_d", "discriminator"),
        Metric("loss_g", "generator"),
        Metric("d_real", "D(x), real", averaged=True),
        Metric("d_fake", "D(G(z)), drawn", averaged=True),
        Metric("d_fake_after", "D(G(z)) after D's step", averaged=True),
        Metric("learning_rate", "learning rate"),
        Metric("grad_norm", "gradient norm"),
        Metric("steps_per_second", "speed", "steps/s"),
        Metric("tokens", "tokens seen"),
    )
}


def plain(status: Status) -> dict[str, Any]:
    """Return the status as JSON values."""
    return status.model_dump(mode="json")
