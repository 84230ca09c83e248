"""A text read in order by several rows at once, as a recurrent network that carries its state wants it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """A stream of tokens (S,) cut into `count` rows that lie one behind the other, each `length` predictions long.

    Row b begins at b·length; its last prediction is the first token of the next row, so that every token but the stream's
    first and a rest shorter than `count` is predicted once.
    """

    stream: Tensor
    count: int

    @property
    def length(self) -> int:
        return max(0, len(self.stream) - 1) // self.count

    def cut(self, position: int, width: int) -> tuple[Tensor, Tensor]:
        """Return what the rows read from `position` on, x and y = x shifted by one, each (count, width)."""
        assert position + width <= self.length
        starts = torch.arange(self.count, device=self.stream.device) * self.length + position
        window = self.stream[starts[:, None] + torch.arange(width + 1, device=self.stream.device)]  # (B, width + 1)
        return window[:, :-1], window[:, 1:]
