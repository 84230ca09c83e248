"""The NVIDIA GPUs of this machine as their driver tells of them. Asking opens no GPU, so it costs nobody memory.

A GPU is named by its UUID, which every process agrees on: its number depends on what `CUDA_VISIBLE_DEVICES` lets through and
on the order, and of a divided GPU (MIG) each instance has a UUID of its own. The engine has torch count GPUs by their place on
the bus, as the driver does, so that `cuda:1` is the one that `nvidia-smi` lists as 1.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

BY_BUS = "PCI_BUS_ID"


@dataclass(frozen=True)
class Gpu:
    """A GPU, or an instance of a divided one, with the number that torch knows it by."""

    index: int
    uuid: str
    name: str

    @property
    def device(self) -> str:
        return f"cuda:{self.index}"


@dataclass(frozen=True)
class Load:
    """What a GPU is doing: memory in bytes, use in per cent, temperature in °C, power in watts; None where it tells nothing."""

    memory_total: int
    memory_free: int
    use: float | None = None
    temperature: int | None = None
    watts: float | None = None

    @property
    def memory_used(self) -> int:
        return self.memory_total - self.memory_free


@dataclass(frozen=True)
class GpuProcess:
    """A process that has memory on a GPU, in bytes where the driver tells it, and whose it is."""

    pid: int
    memory: int | None
    user: str
    name: str


def visible_gpus() -> list[Gpu]:
    """List the GPUs that torch sees here, in its order; none where no driver answers."""
    by_uuid = {uuid: name for uuid, name, _ in _all()}
    uuids, mask = list(by_uuid), os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = uuids if mask is None else list(_let_through(mask, uuids))
    return [Gpu(index, uuid, by_uuid[uuid]) for index, uuid in enumerate(seen)]


def _let_through(mask: str, uuids: list[str]) -> Iterator[str]:
    """Yield what a mask of numbers or beginnings of UUIDs lets through; as for CUDA, what it does not know ends it."""
    for item in map(str.strip, mask.split(",")):
        found = [uuid for uuid in uuids if item and uuid.startswith(item)]
        if item.isdecimal() and int(item) < len(uuids):
            found = [uuids[int(item)]]
        if len(found) != 1:
            return
        yield found[0]


def load_of(uuid: str) -> Load | None:
    """Return what a GPU is doing, or None where the driver does not answer."""
    nvml = _nvml()
    if nvml is None or (handle := _handle(uuid)) is None:
        return None
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None
    found: dict[str, Any] = {}
    with suppress(nvml.NVMLError):  # an instance of a divided GPU does not tell its use
        found["use"] = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    with suppress(nvml.NVMLError):
        found["temperature"] = int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    with suppress(nvml.NVMLError):
        found["watts"] = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
    return Load(int(memory.total), int(memory.free), **found)


def roomiest(gpus: list[Gpu]) -> list[Gpu]:
    """Sort GPUs by free memory, the one with the most first."""
    free = {gpu.uuid: load.memory_free if (load := load_of(gpu.uuid)) else 0 for gpu in gpus}
    return sorted(gpus, key=lambda gpu: -free[gpu.uuid])


def processes_on(uuid: str) -> list[GpuProcess]:
    """List the processes that have memory on a GPU, as far as this user may know of them, the largest first."""
    nvml = _nvml()
    if nvml is None or (handle := _handle(uuid)) is None:
        return []
    try:
        found = nvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
    except nvml.NVMLError:
        return []
    listed = [_process(each.pid, each.usedGpuMemory) for each in found]
    return sorted(listed, key=lambda process: -(process.memory or 0))


def _process(pid: int, memory: int | None) -> GpuProcess:
    import psutil

    user = name = ""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        user, name = process.username(), process.name()
    return GpuProcess(pid, memory, user, name)


def user_name(number: int) -> str:
    """Return the name of the user with a number, or one made of the number."""
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return f"user {number}"


# -- the driver's library, which is asked by handles ------------------------------------------------------------------


@cache
def _nvml() -> Any:
    """Return the driver's library, or None without it."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the library raises its own errors, and OSError where the driver is absent
        return None
    return pynvml


def _all() -> list[tuple[str, str, Any]]:
    """List (UUID, name, handle) by place on the bus, a divided GPU as its instances."""
    nvml, found = _nvml(), []
    if nvml is None:
        return []
    with suppress(nvml.NVMLError):
        for index in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            name = nvml.nvmlDeviceGetName(handle)
            for each in _instances(handle) or [handle]:
                found.append((nvml.nvmlDeviceGetUUID(each), name, each))
    return found


def _instances(handle: Any) -> list[Any]:
    nvml, found = _nvml(), []
    with suppress(nvml.NVMLError):  # most kinds cannot be divided
        if nvml.nvmlDeviceGetMigMode(handle)[0]:
            for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                with suppress(nvml.NVMLError):
                    found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
    return found


def _handle(uuid: str) -> Any:
    return next((handle for each, _, handle in _all() if each == uuid), None)
