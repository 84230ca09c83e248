"""Batches drawn at random, many at a time: one draw and one gather serve a block of steps."""

import torch
from torch import Tensor

from torchtty.engine.data.batches import Windows

BLOCK_TOKENS = 2**15  # a quarter of a megabyte: as much as stays in a core's own cache until it is used


class DrawnBatches:
    """An endless stream of batches of windows, drawn with replacement by a generator of its own.

    On a CPU the numbers drawn are those that one draw a batch would give. A batch as large as the split is the split itself,
    so that small texts can be descended with their whole gradient.
    """

    def __init__(self, windows: Windows, batch_size: int, generator: torch.Generator) -> None:
        self.windows, self.batch_size = windows, batch_size
        self._generator = generator
        self._block: list[tuple[Tensor, Tensor]] = []  # the block's batches, the last first
        self._taken = 0  # batches taken from the block
        self._before = generator.get_state()  # before the block was drawn
        self._whole: tuple[Tensor, Tensor] | None = None

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next batch: x (B, T) and y (B, T) or (B, 1)."""
        if self.batch_size >= len(self.windows):
            if self._whole is None:
                self._whole = self.windows.cut(torch.arange(len(self.windows), device=self.windows.stream.device))
            return self._whole
        if not self._block:
            self._draw()
        self._taken += 1
        return self._block.pop()

    def _draw(self) -> None:
        self._before, self._taken = self._generator.get_state(), 0
        count = max(1, BLOCK_TOKENS // (self.batch_size * (self.windows.width + 1)))
        x, y = self.windows.draw(count * self.batch_size, self._generator)
        batches = x.contiguous().split(self.batch_size), y.contiguous().split(self.batch_size)
        self._block = list(zip(*batches, strict=True))[::-1]

    def state(self) -> tuple[Tensor, int]:
        """Return where the stream stands: the generator's state before the block, and how many of its batches are taken."""
        return self._before, self._taken

    def load_state(self, before: Tensor, taken: int) -> None:
        """Go to where `state` was called, given windows and batch size as they were then."""
        self._generator.set_state(before)
        self._before, self._taken, self._block = before, 0, []
        for _ in range(taken):
            self.next()
