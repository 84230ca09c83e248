"""Paying the first-time costs of torch before anyone waits for them."""

import atexit
import gc
import os
import platform
import time
from importlib import import_module
from typing import Any

import torch

from torchtty.engine.devices import choose_device, describe_devices, keep_freed_memory


def warm_up() -> dict[str, Any]:
    """Run one tiny training step on the CPU, so that no GPU is opened before a run needs it; return versions and devices."""
    began = time.perf_counter()
    keep_freed_memory()
    layer = torch.nn.Linear(8, 8)
    # These also import what torch loads lazily with its first optimizer.
    for optimizer in (torch.optim.AdamW(layer.parameters(), fused=True), torch.optim.SGD(layer.parameters())):
        loss = torch.nn.functional.cross_entropy(layer(torch.randn(4, 8)), torch.zeros(4, dtype=torch.int64))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    for module in (
        "torchtty.engine.worker.session",
        "torchtty.engine.training.counting",
        "torchtty.engine.training.language",
        "torchtty.engine.models.mlp",
        "torchtty.engine.models.gpt",
    ):
        import_module(module)  # so that a hand-over imports nothing

    gc.collect()
    atexit.register(gc.unfreeze)
    gc.freeze()  # what is here stays: the collector need not walk through torch again in every long loop
    return {
        "pid": os.getpid(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "devices": describe_devices(),
        "device": str(choose_device("auto")),
        "seconds": round(time.perf_counter() - began, 3),
    }
