"""How many CPU threads a training step is worth."""

import os

import torch

WORTH_A_THREAD = 1e9
"""Floating-point operations a step that keep a thread busy. Threads that wait passively are slow to wake: on two cores a step of
1e9 operations took 22 ms with one thread and 32 ms with two."""
WORTH_EVERY_CORE = 1e10
"""Operations a step below which one core is left to the app and the system. With another program on one of two cores a step of
4e9 operations took 85 to 118 ms with two threads and 75 to 90 ms with one, while one of 5e10 gained even so."""

_WANTED = int(os.environ.get("TORCHTTY_THREADS", "0"))
_CORES = torch.get_num_threads()


def use_threads_for(operations: float) -> None:
    """Let torch use as many threads as a step of so many floating-point operations can feed."""
    available = _WANTED or (_CORES if operations >= WORTH_EVERY_CORE else _CORES - 1)
    torch.set_num_threads(max(1, min(available, round(operations / WORTH_A_THREAD))))
