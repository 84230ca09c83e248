"""What the machine is doing: processor, memory and, where there is one, the NVIDIA GPU of the run on the screen."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torchtty.engine.contract.gpus import Load

INTERVAL = 2.0  # seconds between two samples
GIB = 1024**3


class Watched(NamedTuple):
    """The GPU of a run: its number there, such as `cuda:1`, and its UUID, by which it is found here."""

    device: str
    uuid: str


@dataclass(frozen=True)
class Reading:
    """One sample. Memory in bytes, use in per cent; `gpu` is what the device called `device` is doing."""

    cpu: float
    memory_used: int
    memory_total: int
    device: str = ""
    gpu: "Load | None" = None

    def text(self, room: int | None = None) -> str:
        """Write the reading on one line: `cuda:1 41 % 3.1/80 GB 62 °C 214 W  cpu 12 %  mem 5.2/23 GB`.

        With `room` for so many cells only, the figures that matter least are left out.
        """
        cpu, memory = f"cpu {self.cpu:.0f} %", f"mem {_of(self.memory_used, self.memory_total)}"
        if self.gpu is None:
            lines = [f"{cpu}  {memory}", cpu]
        else:
            used = _of(self.gpu.memory_used, self.gpu.memory_total)
            use, heat, power = (
                "" if figure is None else f"{figure:.0f} {unit}"
                for figure, unit in ((self.gpu.use, "%"), (self.gpu.temperature, "°C"), (self.gpu.watts, "W"))
            )
            gpus = [
                " ".join(filter(None, figures))
                for figures in ((self.device, use, used, heat, power), (self.device, use, used, heat), (use, used))
            ]
            lines = [f"{gpus[0]}  {cpu}  {memory}", f"{gpus[0]}  {cpu}", *gpus, f"{use or used}"]
        return next((line for line in lines if room is None or len(line) <= room), "")


def _of(used: int, total: int) -> str:
    return f"{used / GIB:.1f}/{total / GIB:.0f} GB"


class Gauges(threading.Thread):
    """Samples the machine every two seconds and delivers each reading, until stopped.

    Of several GPUs the one of `watched` is read, else the one with most free memory, which the next run would get.
    """

    def __init__(self, deliver: Callable[[Reading], object]) -> None:
        super().__init__(name="gauges", daemon=True)
        self.watched: Watched | None = None
        self._deliver = deliver
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        import psutil

        psutil.cpu_percent()  # the first call only sets the mark that the next one measures from
        while not self._stopped.wait(INTERVAL):
            memory = psutil.virtual_memory()
            reading = Reading(psutil.cpu_percent(), memory.total - memory.available, memory.total)
            self._deliver(with_gpu(reading, self.watched))


def with_gpu(reading: Reading, watched: Watched | None) -> Reading:
    """Add what the watched GPU is doing to a reading, or the roomiest one; nothing without a GPU or its driver."""
    from torchtty.engine.contract.gpus import load_of, roomiest, visible_gpus

    if watched is not None and (load := load_of(watched.uuid)) is not None:
        return replace(reading, device=watched.device, gpu=load)
    for gpu in roomiest(visible_gpus()):
        return replace(reading, device=gpu.device, gpu=load_of(gpu.uuid))
    return reading
