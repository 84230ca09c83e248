"""What the machine is doing: processor, memory and, where there is one, the NVIDIA GPU."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

INTERVAL = 2.0  # seconds between two samples
GIB = 1024**3


@dataclass(frozen=True)
class Reading:
    """One sample. Memory in bytes, use in per cent."""

    cpu: float
    memory_used: int
    memory_total: int
    gpu: float | None = None
    gpu_memory_used: int = 0
    gpu_memory_total: int = 0

    def text(self, *, short: bool = False) -> str:
        """Write the reading on one line: `cuda:0 41 % 3.1/80 GB  cpu 12 %  5.2/23 GB`."""
        parts = []
        if self.gpu is not None:
            parts.append(f"cuda:0 {self.gpu:.0f} % {_of(self.gpu_memory_used, self.gpu_memory_total)}")
        if self.gpu is None or not short:
            parts.append(f"cpu {self.cpu:.0f} %")
            parts.append(f"mem {_of(self.memory_used, self.memory_total)}")
        return "  ".join(parts)


def _of(used: int, total: int) -> str:
    return f"{used / GIB:.1f}/{total / GIB:.0f} GB"


class Gauges(threading.Thread):
    """Samples the machine every two seconds and delivers each reading, until stopped."""

    def __init__(self, deliver: Callable[[Reading], object]) -> None:
        super().__init__(name="gauges", daemon=True)
        self._deliver = deliver
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        import psutil

        psutil.cpu_percent()  # the first call only sets the mark that the next one measures from
        gpu = _first_gpu()
        while not self._stopped.wait(INTERVAL):
            memory = psutil.virtual_memory()
            reading = Reading(psutil.cpu_percent(), memory.total - memory.available, memory.total)
            if gpu is not None:
                reading = gpu(reading)
            self._deliver(reading)


def _first_gpu() -> Callable[[Reading], Reading] | None:
    """Return a function that adds the first GPU's figures to a reading; None without a GPU or its driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    except Exception:  # the library raises its own errors, and OSError where the driver is absent
        return None

    def add(reading: Reading) -> Reading:
        with suppress(pynvml.NVMLError):
            use, memory = pynvml.nvmlDeviceGetUtilizationRates(handle), pynvml.nvmlDeviceGetMemoryInfo(handle)
            figures = {"gpu_memory_used": int(memory.used), "gpu_memory_total": int(memory.total)}
            return replace(reading, gpu=float(use.gpu), **figures)
        return reading

    return add
