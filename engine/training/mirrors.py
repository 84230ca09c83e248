"""Mirroring a run's metrics to TensorBoard, trackio or wandb while it trains.

A thread of its own does it: training never waits for a mirror, and one that fails is given up with a single warning.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from torchtty.engine.contract.exports.event_file import EventFile
from torchtty.engine.contract.exports.metrics import FIRST
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.settings.family import Configuration
from torchtty.engine.contract.settings.mirrors import mirror_of
from torchtty.engine.training.run_writer import RunWriter

PROJECT = "torchtty"  # under which trackio and wandb list the runs
WAITING = 10_000  # rows that may wait for a slow mirror; what comes beyond is left out
PATIENCE = 30.0  # seconds that a mirror has to write out what waits when training is over

Row = Mapping[str, float | int]


class Sink(Protocol):
    """Where metrics go. Every method may raise whatever the library does."""

    def log(self, step: int, seconds: float, values: Row) -> None:
        """Take the metrics of a step, `seconds` of training after its beginning."""

    def close(self) -> None:
        """Write out what waits."""


class TensorBoardSink:
    """An event file in the run's own folder: `tensorboard --logdir` on the runs folder shows all runs."""

    def __init__(self, run: RunDirectory, configuration: Configuration) -> None:  # noqa: ARG002 - as the other sinks
        self._events = EventFile(run.path / "tensorboard")

    def log(self, step: int, seconds: float, values: Row) -> None:  # noqa: ARG002 - it shows the wall time
        self._events.scalars(step, time.time(), values)
        self._events.flush()

    def close(self) -> None:
        self._events.close()


class TrackioSink:
    """trackio's own database, on this machine unless its variables name a server."""

    def __init__(self, run: RunDirectory, configuration: Configuration) -> None:
        import trackio

        self._run = trackio.init(
            project=PROJECT,
            name=run.name,
            config=_flat(configuration),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, seconds: float, values: Row) -> None:
        self._run.log({**values, "seconds": seconds}, step=step)

    def close(self) -> None:
        self._run.finish()


class WandbSink:
    """wandb: online where a key is known here, else offline into the run's folder, from where `wandb sync` sends it."""

    def __init__(self, run: RunDirectory, configuration: Configuration) -> None:
        import wandb

        offline = not wandb.api.api_key and "WANDB_MODE" not in os.environ
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            dir=str(run.path),
            config=_flat(configuration),
            mode="offline" if offline else None,
            settings=wandb.Settings(console="off", silent=True),
        )

    def log(self, step: int, seconds: float, values: Row) -> None:
        self._run.log({**values, "seconds": seconds}, step=step)

    def close(self) -> None:
        self._run.finish()


SINKS: dict[str, Callable[[RunDirectory, Configuration], Sink]] = {
    "tensorboard": TensorBoardSink,
    "trackio": TrackioSink,
    "wandb": WandbSink,
}


class Mirror:
    """Hands rows of metrics to a sink from a thread; `warn` is called once, from that thread, if it fails."""

    def __init__(self, name: str, open_sink: Callable[[], Sink], warn: Callable[[str], None]) -> None:
        self._name, self._open, self._warn = name, open_sink, warn
        self._rows: queue.Queue[Row | None] = queue.Queue(WAITING)
        self._failed = False
        self._lost = 0
        # A daemon: a library that hangs must not keep the worker alive.
        self._thread = threading.Thread(target=self._work, name=f"mirror to {name}", daemon=True)
        self._thread.start()

    def take(self, row: Row) -> None:
        """Mirror a row of `metrics.jsonl`; never waits and never raises."""
        if self._failed:
            return
        try:
            self._rows.put_nowait(dict(row))
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Let the sink write what waits, for a while."""
        try:
            self._rows.put(None, timeout=PATIENCE)
        except queue.Full:
            self._give_up("it does not keep up")
            return
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._give_up(f"it has not written everything within {PATIENCE:.0f} s")
        elif self._lost and not self._failed:
            self._warn(
                f"{self._name} did not keep up: {self._lost:,} rows of metrics are not in it. The run has them all."
            )

    def _work(self) -> None:
        try:
            sink = self._open()
            while (row := self._rows.get()) is not None:
                values = {name: value for name, value in row.items() if name not in FIRST}
                sink.log(int(row["step"]), float(row["time"]), values)
            sink.close()
        except BaseException as error:  # a library may end in SystemExit
            self._give_up(str(error).strip().partition("\n")[0] or type(error).__name__)

    def _give_up(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            self._warn(
                f"Nothing more is mirrored to {self._name}: {reason.rstrip('.')}. Training goes on, and the run has it all."
            )


@contextmanager
def mirrored(writer: RunWriter, configuration: Configuration) -> Iterator[None]:
    """Have every row of a run's metrics go where its settings say, too, and write out what waits at the end."""
    name = mirror_of(configuration)
    if not name:
        yield
        return
    mirror = Mirror(name, partial(SINKS[name], writer.run, configuration), writer.warn)
    writer.mirror = mirror.take
    try:
        yield
    finally:
        writer.mirror = None
        mirror.close()


def _flat(configuration: Configuration) -> dict[str, Any]:
    return {
        f"{section}.{name}": value for section, fields in configuration.tree().items() for name, value in fields.items()
    }
