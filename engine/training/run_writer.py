"""The worker's side of a run directory: appending metrics and events, and keeping the status fresh."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Event, StateChanged, Warned
from torchtty.engine.contract.run.files import JsonLinesTail, ends_torn, json_line, write_atomically
from torchtty.engine.contract.run.status import HEARTBEAT_INTERVAL, RunState, Status

FLUSH_INTERVAL = 0.1  # seconds that a line may wait in memory


class Appender:
    """Appends JSON lines, each whole and once: what the disk refuses is cut off again, kept, and tried with the next line."""

    LIMIT = 8 * 1024 * 1024  # bytes kept while the disk refuses

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None  # why the latest line is not in the file, if it is not
        self.lost = 0  # lines beyond the limit
        self._waiting = bytearray()
        self._may_be_torn = True  # a killed writer may have left half a line, which ours must not be glued to

    def append(self, record: dict[str, Any]) -> None:
        self._waiting += json_line(record)
        if len(self._waiting) > self.LIMIT:
            end = self._waiting.index(b"\n", self.LIMIT // 2) + 1
            self.lost += self._waiting.count(b"\n", 0, end)
            del self._waiting[:end]

    def flush(self, *, durable: bool = False) -> None:
        """Write the lines that wait; `durable` also waits for the disk."""
        if not self._waiting and not durable:
            return
        try:
            with open(self.path, "ab", buffering=0, opener=_without_waiting) as file:
                self._write(file, durable)
        except OSError as error:
            self.error = error
            return
        self._may_be_torn, self.error = False, None
        self._waiting.clear()

    def _write(self, file: FileIO, durable: bool) -> None:
        size = os.fstat(file.fileno()).st_size
        data = (b"\n" if self._may_be_torn and ends_torn(self.path) else b"") + self._waiting
        try:
            while data:
                data = data[file.write(data) :]
            if durable:
                os.fsync(file.fileno())
        except OSError:
            self._may_be_torn = True
            with suppress(OSError):
                os.ftruncate(file.fileno(), size)
            raise


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a FIFO that nobody reads is an OSError, and so is a link."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW, 0o666)


class RunWriter:
    """Everything that a worker writes about its run. Thread-safe where the heartbeat needs it."""

    def __init__(self, run: RunDirectory, status: Status) -> None:
        self.run = run
        self.status = status
        self.mirror: Callable[[dict[str, float | int]], None] | None = None  # takes every row of metrics as well
        self._metrics = Appender(run.metrics_path)
        self._events = Appender(run.events_path)
        self._lock = threading.Lock()
        self._status_error: OSError | None = None
        self._refusal = ""  # what was reported of a disk that refuses, until it takes all again
        self._flushed = 0.0
        self._stopped = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin the heartbeat; find out whether the run's files can be written, see `disk_error`."""
        self.publish()
        self.flush(durable=True)
        self._heart.start()

    def close(self) -> None:
        """Write what is left and end the heartbeat."""
        self._stopped.set()
        self._heart.join(5)
        self.flush()
        self.publish()

    def metrics(self, **columns: float | int) -> None:
        with self._lock:
            self._metrics.append(columns)
        if self.mirror is not None:
            self.mirror(columns)

    def event(self, event: Event) -> None:
        """Append an event, stamped with the time and the step, and write it out at once."""
        stamped = {"event": event.event, "time": round(time.time(), 3), "step": self.status.step}
        with self._lock:
            self._events.append(stamped | event.model_dump(mode="json", exclude_unset=True, exclude={"time", "step"}))
            self._events.flush()
        self._report_disk()

    def warn(self, message: str) -> None:
        self.event(Warned(message=message))

    def change(self, **fields: Any) -> None:
        """Change the status and publish it."""
        with self._lock:
            self.status = self.status.model_copy(update=fields)
        self.publish()

    def state(self, state: RunState, message: str = "") -> None:
        """Enter a state, reported in both the events and the status."""
        self.flush()
        self.event(StateChanged(state=state, message=message))
        self.change(state=state, message=message or self._refusal)

    def note(self, **fields: Any) -> None:
        """Change the status; the next heartbeat publishes it."""
        with self._lock:
            self.status = self.status.model_copy(update=fields)

    def flush_if_due(self) -> None:
        now = time.monotonic()
        if now - self._flushed >= FLUSH_INTERVAL:
            self._flushed = now
            with self._lock:
                self._metrics.flush()
            self._report_disk()

    def flush(self, *, durable: bool = False) -> None:
        """Write the lines that wait; `durable` also waits for the disk."""
        with self._lock:
            self._metrics.flush(durable=durable)
            self._events.flush(durable=durable)
        self._report_disk()

    def publish(self) -> None:
        """Write `status.json`. A disk that refuses is no reason to end training: the next heartbeat tries again."""
        with self._lock:
            self.status = self.status.model_copy(update={"heartbeat": time.time()})
            try:
                self.run.write_status(self.status)
                self._status_error = None
            except OSError as error:
                self._status_error = error
        self._report_disk()

    @property
    def disk_error(self) -> OSError | None:
        """Why something of the run is not on the disk, if it is not."""
        return self._metrics.error or self._events.error or self._status_error

    def _report_disk(self) -> None:
        """Report once that the disk refuses, in the worker's log too, and once that it takes all again."""
        with self._lock:
            error = self.disk_error
            before = self._refusal
            if (error is None) == (not before):
                return
            self._refusal = _refusal(error) if error else ""
        if error is not None:
            with suppress(OSError):
                print(self._refusal, file=sys.stderr, flush=True)
            self.warn(self._refusal)  # it waits with the other lines
            if not self.status.message:
                self.change(message=self._refusal)
            return
        lost = self._metrics.lost + self._events.lost
        missing = f"{lost:,} lines of metrics or events are missing." if lost else "Nothing is missing."
        self.warn(f"The run's files can be written again. {missing}")
        if self.status.message == before:
            self.change(message="")

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_INTERVAL):
            self.publish()
            if self._refusal:
                self.flush()


def _refusal(error: OSError) -> str:
    return (
        f"The run's files cannot be written: {error.strerror or error}. Training goes on; make room or restore the "
        "permission, and what waits is written."
    )


def new_status(max_steps: int) -> Status:
    """Return the status of a worker that begins now, in this process."""
    import psutil

    return Status(
        state=RunState.STARTING,
        max_steps=max_steps,
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        host=socket.gethostname(),
        heartbeat=time.time(),
    )


def cut_metrics_after(run: RunDirectory, step: int) -> None:
    """Drop the metrics behind `step`, which a continued run writes anew. The file is replaced, not edited."""
    records = JsonLinesTail(run.metrics_path).read(limit=2**40)
    kept = [record for record in records if isinstance(record.get("step"), int) and record["step"] <= step]
    if len(kept) != len(records) or ends_torn(run.metrics_path):
        write_atomically(run.metrics_path, b"".join(json_line(record) for record in kept))
