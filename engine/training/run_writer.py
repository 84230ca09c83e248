"""The worker's side of a run directory: appending metrics and events, and keeping the status fresh."""

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.events import Event, StateChanged, Warned
from torchtty.engine.contract.run.files import JsonLinesTail, ends_torn, json_line, write_atomically
from torchtty.engine.contract.run.status import HEARTBEAT_INTERVAL, RunState, Status

FLUSH_INTERVAL = 0.1  # seconds that a line may wait in memory


class Appender:
    """Appends JSON lines. What the disk refuses is kept, up to a limit, and tried again with the next line."""

    LIMIT = 8 * 1024 * 1024  # bytes kept while the disk refuses

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None
        self._waiting = bytearray()
        self._first = True

    def append(self, record: dict[str, Any]) -> None:
        self._waiting += json_line(record)
        if len(self._waiting) > self.LIMIT:
            del self._waiting[: self._waiting.index(b"\n", self.LIMIT // 2) + 1]

    def flush(self, *, durable: bool = False) -> None:
        """Write the lines that wait; `durable` also waits for the disk."""
        if not self._waiting and not durable:
            return
        try:
            with self.path.open("ab") as file:
                if self._first and ends_torn(self.path):  # a killed writer left half a line: do not glue ours to it
                    file.write(b"\n")
                file.write(self._waiting)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            self.error = error
            return
        self._first, self.error = False, None
        self._waiting.clear()


class RunWriter:
    """Everything that a worker writes about its run. Thread-safe where the heartbeat needs it."""

    def __init__(self, run: RunDirectory, status: Status) -> None:
        self.run = run
        self.status = status
        self._metrics = Appender(run.metrics_path)
        self._events = Appender(run.events_path)
        self._lock = threading.Lock()
        self._flushed = 0.0
        self._stopped = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin the heartbeat."""
        self.publish()
        self._heart.start()

    def close(self) -> None:
        """Write what is left and end the heartbeat."""
        self._stopped.set()
        self._heart.join(5)
        self.flush()
        self.publish()

    def metrics(self, **columns: float | int) -> None:
        self._metrics.append(columns)

    def event(self, event: Event) -> None:
        """Append an event, stamped with the time and the step, and write it out at once."""
        stamped = {"event": event.event, "time": round(time.time(), 3), "step": self.status.step}
        with self._lock:
            self._events.append(stamped | event.model_dump(mode="json", exclude_unset=True, exclude={"time", "step"}))
            self._events.flush()

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
        self.change(state=state, message=message)

    def note(self, **fields: Any) -> None:
        """Change the status; the next heartbeat publishes it."""
        with self._lock:
            self.status = self.status.model_copy(update=fields)

    def flush_if_due(self) -> None:
        now = time.monotonic()
        if now - self._flushed >= FLUSH_INTERVAL:
            self._flushed = now
            self._metrics.flush()

    def flush(self, *, durable: bool = False) -> None:
        """Write the lines that wait; `durable` also waits for the disk."""
        self._metrics.flush(durable=durable)
        with self._lock:
            self._events.flush(durable=durable)

    @property
    def disk_error(self) -> OSError | None:
        """Why the last write of a line failed, if it did."""
        return self._metrics.error or self._events.error

    def publish(self) -> None:
        """Write `status.json`. A disk that refuses is no reason to end training: the next heartbeat tries again."""
        with self._lock:
            self.status = self.status.model_copy(update={"heartbeat": time.time()})
            try:
                self.run.write_status(self.status)
            except OSError as error:
                self._events.error = error

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_INTERVAL):
            self.publish()


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
