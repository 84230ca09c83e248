"""What a paused run holds on a GPU, in the machine's memory meanwhile, so that another run can have the GPU's."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from torchtty.engine.devices import free_cached_memory
from torchtty.engine.training.neural import NeuralTask


class Parked:
    """The tensors of a task, moved off its device; each stays the object it was, so that whoever holds it need not know."""

    def __init__(self, task: object) -> None:
        if isinstance(task, NeuralTask) and task.device.type != "cpu":
            task.leave_backend()  # a captured step is bound to where its tensors lie
        self._tensors = [tensor for tensor in tensors_of(task) if tensor.device.type != "cpu"]
        self._device = self._tensors[0].device if self._tensors else torch.device("cpu")
        self._move(torch.device("cpu"))
        _forget_workspaces()

    def bring_back(self) -> None:
        """Move them back, to the bit. Raises `torch.OutOfMemoryError`, and then all are off the device still."""
        try:
            self._move(self._device)
        except torch.OutOfMemoryError:
            self._move(torch.device("cpu"))
            _forget_workspaces()
            raise

    def _move(self, device: torch.device) -> None:
        """Move memory by memory: what lies in one (views, the weights that cuDNN wants behind each other) does so afterwards."""
        moved: dict[int, torch.UntypedStorage] = {}
        for tensor in self._tensors:
            storage = tensor.untyped_storage()
            if storage.device == device:
                continue
            if storage._cdata not in moved:
                moved[storage._cdata] = torch.empty(
                    storage.nbytes(), dtype=torch.uint8, device=device
                ).untyped_storage()
                moved[storage._cdata].copy_(storage)
            place = tensor.storage_offset(), tensor.size(), tensor.stride()
            tensor.data = torch.empty(0, dtype=tensor.dtype, device=device).set_(moved[storage._cdata], *place)


def tensors_of(task: object) -> Iterator[Tensor]:
    """Yield every tensor that a task holds, each once: weights, gradients, what optimizers remember, data, batches."""
    seen: set[int] = set()
    open_ones: list[object] = [task]
    while open_ones:
        found = open_ones.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, Tensor):
            yield found
            if found._base is not None:
                open_ones.append(found._base)  # it keeps the memory of its view alive
            if found.is_leaf and found.grad is not None:
                open_ones.append(found.grad)
        else:
            open_ones += _parts(found)


def _parts(thing: Any) -> Iterable[object]:
    """Return what a thing is made of, as far as it can hold tensors of a task."""
    if isinstance(thing, nn.Module):
        return [*thing.parameters(), *thing.buffers()]
    if isinstance(thing, torch.optim.Optimizer):
        return [thing.state]
    if isinstance(thing, dict):
        return thing.values()
    if isinstance(thing, list | tuple | set | deque):
        return thing
    return vars(thing).values() if type(thing).__module__.startswith("torchtty.") and hasattr(thing, "__dict__") else ()


def _forget_workspaces() -> None:
    """Free what allocators and cuBLAS keep on the device."""
    with suppress(AttributeError):  # private to torch: without it some megabytes stay
        torch._C._cuda_clearCublasWorkspaces()
    free_cached_memory()
