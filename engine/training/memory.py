"""The memory that a training step needs: measured before the run by a step that computes nothing, and read off afterwards."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from torchtty.engine.training.step import EagerStep
from torchtty.engine.training.task import Task


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make, as long as they live, and the most that there were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._note(value.untyped_storage(), counted=not func.is_view)  # whose memory was there before
        return result

    def _note(self, storage: torch.UntypedStorage, *, counted: bool) -> None:
        key, size = storage._cdata, storage.nbytes() if counted else 0
        if key not in self._known:
            self._known.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def gradient_memory(task: Task) -> int:
    """Return the most bytes that a step of a task holds at once beside weights and optimizer, or 0 where it has no gradient.

    That is activations, logits, and gradients as they come. The step is done on tensors that have a shape and no numbers, so it
    takes no memory itself, and little time. The task is used up by it.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # late: only who estimates needs it

    step: Any = getattr(task, "step", None)
    if not isinstance(step, EagerStep):
        return 0
    batch = task.next_batch()  # type: ignore[attr-defined]
    live = _LiveBytes()
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        shapes = tuple(fake.from_tensor(part.clone()) for part in batch)
        with live:
            for descent in step.descents:
                step.gradients(descent, shapes)
    return live.most


def most_memory() -> int | None:
    """Return the most bytes that the tensors of this process have taken on its GPU so far; None where it uses none."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None
