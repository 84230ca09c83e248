"""The floating-point operations of a training step, counted on its matrix products."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from torchtty.engine.training.step import EagerStep
from torchtty.engine.training.task import Task


def flops_per_step(task: Task) -> int:
    """Return the floating-point operations of the matrix products of a step, forwards and backwards; 0 where it has none.

    A product of (m, k) and (k, n) is 2·m·k·n, a multiplication and an addition each, as torch's `FlopCounterMode` counts; for a
    network of nothing but dense layers that is about the 6·N·D of Kaplan et al. (2020, section 2.1) with N weights and D tokens.
    What is done a number at a time (activations, softmax, the optimizer) and what is looked up in a table are not counted.
    Attention and recurrences are taken apart into their products, so that the count is that of the formula on every device,
    whatever kernel computes it. The step is done on tensors that have a shape and no numbers; the task is used up by it.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # late: only who estimates needs it

    step: Any = getattr(task, "step", None)
    if not isinstance(step, EagerStep):
        return 0
    batch = task.next_batch()  # type: ignore[attr-defined]
    counter = FlopCounterMode(display=False)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        shapes = tuple(fake.from_tensor(part.clone()) for part in batch)
        with _taken_apart(), counter:
            for descent in step.descents:
                step.gradients(descent, shapes)
    return int(counter.get_total_flops())


@contextmanager
def _taken_apart() -> Iterator[None]:
    """Compute attention and recurrences as products of matrices, not by kernels of their own, which are not all counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a switch that is set along with oneDNN's is for other devices
        with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False):
            yield
