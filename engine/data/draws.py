"""Random numbers that steps learn from: drawn on the CPU, many steps at a time, so that they are the same on every device."""

from collections.abc import Callable

import torch
from torch import Tensor

from torchtty.engine.devices import on_device, restored_generator

STEPS_AHEAD = 64  # steps that are drawn at once for a device that is not to wait, at least

Draw = Callable[[int, torch.Generator], Tensor]
"""From a number of steps and a generator to what they draw, (steps, ...), on the generator's device."""


class DrawnAhead:
    """An endless stream of what steps draw, `at_once` steps at a time; for a GPU more, copied there without waiting for it.

    What is drawn for several steps at once must be what one draw a step would give. Generators of a GPU, which checkpoints of
    earlier versions hold, go on there.
    """

    def __init__(
        self, draw: Draw, seed: int, device: torch.device, *, at_once: int = 1, target: torch.device | None = None
    ) -> None:
        """Draw for a run on `device` what is wanted on `target`, which is `device` where nothing else is said."""
        self._draw, self._device, self._at_once = draw, device, at_once
        self._target = target or device
        self._generator = torch.Generator().manual_seed(seed)
        self._before = self._generator.get_state()  # before the block was drawn
        self._block: Tensor | None = None  # (steps, ...)
        self._taken = 0  # steps of the block
        self.exact = True  # whether the stream goes on as where `state` was called

    def peek(self, most: int) -> Tensor:
        """Return what the next steps draw, (steps, ...): at least one step and at most `most`."""
        if self._block is None or self._taken == len(self._block):
            self._draw_block()
            assert self._block is not None
        return self._block[self._taken : self._taken + most]

    def skip(self, steps: int) -> None:
        """Go on by so many steps of those that `peek` has returned."""
        self._taken += steps

    def take(self, steps: int) -> Tensor:
        """Return what so many steps draw, (steps, ...), at least one, and go on."""
        parts = []
        while steps:
            parts.append(self.peek(steps))
            self.skip(len(parts[-1]))
            steps -= len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _draw_block(self) -> None:
        self._before, self._taken = self._generator.get_state(), 0
        steps = self._at_once
        if self._generator.device.type == "cpu" != self._target.type:
            steps *= -(-STEPS_AHEAD // steps)
        self._block = on_device(self._draw(steps, self._generator), self._target)

    def state(self) -> tuple[Tensor, int]:
        """Return where the stream stands: the generator's state before the block, and how many steps of it are taken."""
        return self._before, self._taken

    def load_state(self, before: Tensor, taken: int) -> None:
        """Go to where `state` was called, whatever the device was; a GPU's generator begins anew where that is missing."""
        self._generator, self.exact = restored_generator(before, self._device)
        self._before, self._block, self._taken = self._generator.get_state(), None, 0
        if self.exact and taken:
            self.take(taken)
