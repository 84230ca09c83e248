"""From a step's metrics to lines in the run directory, without waiting for the device, and the time spent training."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.settings.family import Family
from torchtty.engine.training.run_writer import RunWriter

FETCH_INTERVAL = 0.1  # seconds between two transfers of metrics from the device
SPEED_INTERVAL = 0.2  # seconds that a speed is measured over, at least


class Diverged(Exception):
    """The loss is no longer a finite number."""


class MetricLog:
    """Collects what steps return, averages the losses between two logged steps, and writes rows stamped by its clock.

    The clock counts seconds of training: what is done aside does not count.
    """

    def __init__(self, writer: RunWriter, family: Family, tokens_per_step: int) -> None:
        self.writer, self.family, self.tokens_per_step = writer, family, tokens_per_step
        self.step = 0  # the last one collected
        self._logged_at: int | None = None  # the step of the latest row of training
        self.losses: dict[str, float] = {}  # the latest of each name
        self.row: dict[str, float] = {}  # the latest point of the curve that was written
        self._counted = (0, 0)  # a step, and the tokens seen up to it
        self._window: list[dict[str, Tensor | float]] = []  # steps since the last logged one
        self._restored = False  # whether the window came from a checkpoint
        self._unfetched: list[tuple[dict[str, float | int], dict[str, Tensor | float]]] = []
        self._fetched = 0.0
        self._speed: tuple[float, int] | None = None  # time and step that the next speed is measured from
        self._summed_up = {name for group in family.headline for name in group}
        self._seconds = 0.0  # spent training up to `_clock`
        self._clock = 0.0  # when it was started; 0 while it stands

    # -- the clock ------------------------------------------------------------------------------------------------

    def start_clock(self) -> None:
        self._clock = time.perf_counter()
        self.restart_speed()

    def stop_clock(self) -> None:
        self._seconds = self.seconds
        self._clock = 0.0

    @property
    def seconds(self) -> float:
        """How long training has taken so far."""
        running = time.perf_counter() - self._clock if self._clock else 0.0
        return round(self._seconds + running, 4)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do something that is not training: the clock stands meanwhile, and goes on if it went."""
        went = self._clock > 0
        self.stop_clock()
        yield
        if went:
            self.start_clock()

    def restart_speed(self) -> None:
        """Measure the speed anew from the next row on: what came before was not all training."""
        self._speed = None

    # -- steps ----------------------------------------------------------------------------------------------------

    def collect(self, step: int, metrics: dict[str, Tensor | float], interval: int) -> None:
        """Take the metrics of a step, or (n,) of the n steps up to it; log a row every `interval` steps. Raises `Diverged`."""
        self.step = step
        if self._restored:  # steps that a checkpoint brought back are in the machine's memory, whatever the device
            self._restored = False
            here = next((value.device for value in metrics.values() if isinstance(value, Tensor)), torch.device("cpu"))
            self._window = _moved(self._window, here)
        self._window.append(metrics)
        if step % interval == 0 or step == 1:
            self._log_window()
            if step != 1 or interval == 1:  # the first point is also part of the first average
                self._window.clear()
        now = time.perf_counter()
        if self._unfetched and (now - self._fetched >= FETCH_INTERVAL or step == 1):
            self._fetched = now
            self.fetch()
            self.writer.flush_if_due()

    def log_rest(self) -> None:
        """Log the steps since the last logged one; they stay part of their average should the run go on."""
        if self._window and self.step > 1 and self._logged_at != self.step:
            self._log_window()

    def _log_window(self) -> None:
        logged = dict(self._window[-1])
        for name, value in logged.items():
            if isinstance(value, Tensor) and self.family.metric(name).averaged:
                values = [found.flatten() for entry in self._window if isinstance(found := entry.get(name), Tensor)]
                logged[name] = torch.cat(values).mean()
            elif isinstance(value, Tensor) and value.dim():
                logged[name] = value[-1]
        self._unfetched.append((self._stamp(), logged))
        self._logged_at = self.step

    def _stamp(self) -> dict[str, float | int]:
        return {"step": self.step, "time": self.seconds, "tokens": self.tokens}

    @property
    def tokens(self) -> int:
        """How many tokens have been learnt from, by a fork's parent too, which may have taken others a step."""
        step, tokens = self._counted
        return tokens + (self.step - step) * self.tokens_per_step

    def fetch(self) -> None:
        """Bring the waiting rows over in one transfer and write them; raise `Diverged` if a loss is no number any more."""
        waiting, self._unfetched = self._unfetched, []
        if not waiting:
            return
        tensors = [value.float() for _, logged in waiting for value in logged.values() if isinstance(value, Tensor)]
        numbers = iter(torch.stack(tensors).tolist() if tensors else [])
        for columns, logged in waiting:
            row = {name: next(numbers) if isinstance(value, Tensor) else float(value) for name, value in logged.items()}
            speed = self._measured_speed(columns)
            rounded = self.row = {name: seven_digits(value) for name, value in row.items()}
            self.writer.metrics(**columns, **rounded, **({"steps_per_second": speed} if speed else {}))
            self.losses |= {name: value for name, value in rounded.items() if self.family.metric(name).loss}
            if not all(math.isfinite(value) for name, value in row.items() if self.family.metric(name).loss):
                self.writer.flush()
                raise Diverged(_diverged(int(columns["step"]), self.writer.run))
        self.note()

    def _measured_speed(self, columns: dict[str, float | int]) -> float | None:
        """Return the steps a second since the last row that had one."""
        at, step = float(columns["time"]), int(columns["step"])
        if self._speed is None:
            self._speed = (at, step)
            return None
        if at - self._speed[0] < SPEED_INTERVAL:
            return None
        speed = round((step - self._speed[1]) / (at - self._speed[0]), 2)
        self._speed = (at, step)
        self.writer.note(steps_per_second=speed)
        return speed

    # -- evaluations ----------------------------------------------------------------------------------------------

    def evaluated(self, losses: dict[str, float]) -> dict[str, float]:
        """Write the losses of an evaluation; return them as written."""
        rounded = {name: seven_digits(value) for name, value in losses.items()}
        self.losses |= rounded
        self.writer.metrics(**self._stamp(), **rounded)
        return rounded

    def check(self, losses: dict[str, float]) -> None:
        """Raise `Diverged` if an evaluation after the first step found a loss that is no number."""
        if self.step and any(math.isnan(value) for value in losses.values()):
            raise Diverged(_diverged(self.step, self.writer.run))

    # -- the status and the checkpoint ----------------------------------------------------------------------------

    def note(self) -> None:
        """Put step, time and losses into the status."""
        self.writer.note(
            step=self.step,
            seconds=round(self.seconds, 3),
            metrics=self.writer.status.metrics
            | {name: self.losses[name] for name in self._summed_up & self.losses.keys()},
        )

    def state(self) -> dict[str, Any]:
        """Return what an exact continuation needs, of types `weights_only` loads."""
        window = [
            {name: value.detach().cpu() if isinstance(value, Tensor) else value for name, value in entry.items()}
            for entry in self._window
        ]
        counted = {"step": self.step, "seconds": self.seconds, "tokens": self.tokens}
        return counted | {"losses": self.losses, "window": window, "logged_at": self._logged_at}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.step, self._seconds = state["step"], state["seconds"]
        self._counted = (self.step, state.get("tokens", self.step * self.tokens_per_step))
        self.losses, self._window = state["losses"], state["window"]
        self._restored = True
        self._logged_at = state.get("logged_at")


def _moved(window: list[dict[str, Tensor | float]], device: torch.device) -> list[dict[str, Tensor | float]]:
    """Return steps with their tensors on a device."""
    return [{name: v.to(device) if isinstance(v, Tensor) else v for name, v in entry.items()} for entry in window]


def seven_digits(value: float) -> float:
    """Return a number with the seven digits that float32 has: as it is written, and as it decides."""
    return float(f"{value:.7g}")


def _diverged(step: int, run: RunDirectory) -> str:
    kept = run.checkpoints()
    saved = f"The last good checkpoint is that of step {kept[-1]:,}." if kept else "There was no checkpoint yet."
    return (
        f"The loss stopped being a finite number at step {step:,}: training has diverged. {saved} "
        "A lower learning_rate or a tighter grad_clip usually helps."
    )
