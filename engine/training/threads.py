"""How many CPU threads a training step is worth."""

import os

import torch

WORTH_A_THREAD = 1e8  # floating-point operations a step below which a second thread costs more than it brings

_AVAILABLE = int(os.environ.get("TORCHTTY_THREADS", "0")) or torch.get_num_threads()


def use_threads_for(operations: float) -> None:
    """Let torch use as many threads as a step of so many floating-point operations can feed."""
    torch.set_num_threads(max(1, min(_AVAILABLE, int(operations / WORTH_A_THREAD) + 1)))
