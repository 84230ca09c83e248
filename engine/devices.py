"""Choosing the device and the precision."""

import ctypes
import gc
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import torch

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.gpus import BY_BUS, load_of, processes_on, roomiest, visible_gpus


def choose_device(wish: str) -> torch.device:
    """Return the device called `wish`, without opening it.

    `auto` takes the CUDA GPU with most free memory, then an Apple one, then the CPU. Raises `UserError` if it is not there.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            gpus = [gpu for gpu in roomiest(visible_gpus()) if gpu.index < torch.cuda.device_count()]
            return torch.device("cuda", gpus[0].index if gpus else 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wish)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise UserError(f"training.device {wish}: there is no CUDA GPU here. Use auto or cpu.")
        device = torch.device("cuda", device.index or 0)
        if device.index >= count:
            raise UserError(f"training.device {wish}: this machine has GPUs 0 to {count - 1}.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("training.device mps: there is no Apple GPU here. Use auto or cpu.")
    return device


def gpu_uuid(device: torch.device) -> str:
    """Return the UUID of a CUDA GPU, "" of any other device.

    It is the driver's, so that nothing is opened for it, unless CUDA counts GPUs in another order or no driver answers.
    """
    if device.type != "cuda":
        return ""
    if os.environ.get("CUDA_DEVICE_ORDER") == BY_BUS:
        for gpu in visible_gpus():
            if gpu.index == device.index:
                return gpu.uuid
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def open_device(device: torch.device) -> None:
    """Make a GPU the current one, so that nothing that is done without naming a device opens another."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that the hardware lacks: without instructions for bfloat16 a CPU is some twenty times slower."""
    if precision == "float16" and device.type != "cuda":
        raise UserError(
            f"training.precision float16 is for GPUs of NVIDIA, and this is a {device.type}. Use float32 or auto."
        )
    if precision != "bfloat16" or has_bfloat16(device):
        return
    if device.type == "cuda":
        raise UserError(
            f"training.precision bfloat16: {torch.cuda.get_device_name(device)} does not have it. Use float32."
        )
    if device.type == "cpu":
        raise UserError(
            "training.precision bfloat16: this CPU lacks its instructions and would be slower. Use float32."
        )


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; of GPUs this very one is asked about, where torch asks the current one."""
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type != "cpu" or _cpu_has_bfloat16()


def allow_tf32(device: torch.device) -> None:
    """Let float32 matrix products on a GPU use TF32 where it has it: ten bits of mantissa in the factors, float32 sums."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def describe_devices() -> list[dict[str, Any]]:
    """List the devices that training could use, as far as can be known without opening one."""
    found: list[dict[str, Any]] = [
        {"device": "cpu", "name": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}
    ]
    if torch.cuda.is_available():
        known = {gpu.index: gpu for gpu in visible_gpus()}
        for index in range(torch.cuda.device_count()):
            about: dict[str, Any] = {"device": f"cuda:{index}", "name": "CUDA GPU"}
            if (gpu := known.get(index)) is not None:
                about |= {"name": gpu.name, "uuid": gpu.uuid}
                if (load := load_of(gpu.uuid)) is not None:
                    about |= {"memory": load.memory_total, "free": load.memory_free}
            found.append(about)
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU"})
    return found


def finest_float(device: torch.device) -> torch.dtype:
    """Return float64, or float32 on Apple's GPUs, which have nothing finer."""
    return torch.float32 if device.type == "mps" else torch.float64


def restored_generator(state: torch.Tensor, device: torch.device) -> tuple[torch.Generator, bool]:
    """Return a generator that continues from a state, of the CPU or of `device`, whichever the state is of.

    The second value is whether it draws the very numbers that would have come: a generator of a device that is missing is
    replaced by one of the CPU, seeded the same way each time.
    """
    for place in dict.fromkeys((torch.device("cpu"), device)):
        generator = torch.Generator(place)
        try:
            generator.set_state(state)
        except RuntimeError:  # it is the state of another kind of generator
            continue
        return generator, True
    return torch.Generator().manual_seed(zlib.crc32(state.numpy().tobytes())), False


def gpu_random_state(device: torch.device) -> torch.Tensor | None:
    """Return the state of torch's global generator on a GPU, of any make; None on the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def set_gpu_random_state(device: torch.device, state: torch.Tensor) -> None:
    """Continue torch's global generator on a GPU from a state of its own kind."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    elif device.type == "mps":
        torch.mps.set_rng_state(state)


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor of the machine's memory on a device; a GPU copies it when it comes to it, and is not waited for."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def keep_freed_memory() -> None:
    """Keep what a training step has freed for the next one, until `free_cached_memory`.

    glibc else returns it to the system, which hands it out again page by page, each filled with zeros: a percent and more of a
    step that needs tens of megabytes. Tensors above 32 MiB still come from the system, as glibc has it at most.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def free_cached_memory() -> None:
    """Hand back what allocators keep for the next tensors, so that other processes can have it."""
    gc.collect()
    with suppress(OSError, AttributeError):  # in glibc only, which else keeps half of what a training step has needed
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LACKS_MEMORY = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
FREE_THEN = re.compile(
    r"total capacity of ([\d.]+ \w+) of which ([\d.]+ \w+) is free.*Of the allocated memory ([\d.]+ \w+) is allocated by PyTorch",
    re.DOTALL,
)
ASKED_FOR = re.compile(r"(?:[Tt]ried to allocate|for) ([\d.]+ [KMGT]?i?B|\d+ bytes)")


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error is one of memory: torch's CPU allocator and CUDA's libraries raise a plain `RuntimeError` for it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in LACKS_MEMORY)


def lack_of_memory(error: BaseException) -> str:
    """Say where memory ran out, how much was asked for, how much was free, and who holds the rest."""
    asked = ASKED_FOR.search(str(error))
    wanted = f"{_readable(asked[1])} were asked for" if asked else "more was asked for than there is"
    on_gpu = isinstance(error, torch.OutOfMemoryError) or "CU" in str(error)
    if not on_gpu or not torch.cuda.is_initialized():
        return f"The machine's memory is full: {wanted}, {_gigabytes(psutil.virtual_memory().available)} were free."
    device = torch.device("cuda", torch.cuda.current_device())
    if then := FREE_THEN.search(str(error)):  # when it was raised: since then some has become free
        total, free, kept = map(_readable, then.groups())
    else:
        free, total = map(_gigabytes, torch.cuda.mem_get_info(device))
        kept = _gigabytes(torch.cuda.memory_reserved(device))
    sentence = f"{device} is full: {wanted}, {free} of {total} were free."
    holders = [f"this run held {kept}"] if kept != "0 MB" else []
    for process in processes_on(gpu_uuid(device)):
        if process.pid != os.getpid():
            who = ", ".join(filter(None, (process.user, f"process {process.pid}")))
            size = _gigabytes(process.memory) if process.memory else "some"
            holders.append(f"{process.name or 'a program'} ({who}) {size}")
    return sentence + (f" Of the rest {', '.join(holders[:4])}." if holders else "")


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"


def _readable(size: str) -> str:
    """Write a size that torch names, such as `764.00 MiB` or `123456 bytes`, as other sizes are."""
    number, unit = size.split()
    power = {"bytes": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}.get(unit)
    return size if power is None else _gigabytes(int(float(number) * 2**power))


class LackOfMemoryError(UserError):
    """Memory ran out. Until whoever handles it is done, the error keeps alive what had been allocated: only then is it free."""


@contextmanager
def out_of_memory_means(advice: str) -> Iterator[None]:
    """Turn a lack of memory into an error that ends with this sentence and says where it lacks."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise LackOfMemoryError(f"{advice} {lack_of_memory(error)}") from None


def random_state_kept() -> AbstractContextManager[None]:
    """Leave torch's global generators, that of the GPU in use included, as they are when this begins."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    return torch.random.fork_rng(devices=devices)
