"""Drawing batches: windows cut out of one stream of tokens that lies on the device."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

PAD = -1  # a position that is not predicted


@dataclass(frozen=True)
class Windows:
    """Windows of `width` + 1 tokens in a flat `stream` (S,), each beginning at one of `starts` (N,).

    A model that predicts every position gets x = the first `width` tokens and y = the same shifted by one, both (B, width);
    one that predicts only what follows gets y (B, 1).
    """

    stream: Tensor
    starts: Tensor
    width: int
    every_position: bool

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def predictions(self) -> int:
        """How many tokens one window predicts, at most."""
        return self.width if self.every_position else 1

    @cached_property
    def _offsets(self) -> Tensor:
        return torch.arange(self.width + 1, device=self.stream.device)

    def cut(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x, y) for the windows numbered `which` (B,)."""
        window = self.stream[self.starts[which][:, None] + self._offsets]  # (B, width + 1)
        x = window[:, : self.width]
        if self.every_position:
            return x.clamp_min(0), window[:, 1:]
        return x, window[:, self.width :]

    def draw(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (x, y) for windows drawn with replacement by `generator`, which lives on the stream's device."""
        which = torch.randint(len(self), (batch_size,), generator=generator, device=self.stream.device)
        return self.cut(which)

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every window once, in order."""
        for first in range(0, len(self), batch_size):
            last = min(first + batch_size, len(self))
            yield self.cut(torch.arange(first, last, device=self.stream.device))

    def thinned(self, most: int) -> "Windows":
        """Return at most about `most` windows, spread evenly; running text is cut short instead."""
        if len(self) <= most:
            return self
        contiguous = bool(self.starts[1] - self.starts[0] == 1) and self.every_position
        starts = self.starts[:most] if contiguous else self.starts[:: -(-len(self) // most)]
        return Windows(self.stream, starts, self.width, self.every_position)

    def apart(self) -> "Windows":
        """Return windows that do not overlap, so that a pass predicts every token once."""
        if not self.every_position or len(self) < 2:
            return self
        stride = int(self.starts[1] - self.starts[0])
        return self if stride >= self.width else Windows(self.stream, self.starts[:: self.width], self.width, True)


def text_windows(ids: Tensor, block_size: int, every_position: bool) -> Windows:
    """Cut running text `ids` (S,) at every position."""
    return Windows(ids, torch.arange(max(0, len(ids) - block_size), device=ids.device), block_size, every_position)


def item_windows(items: list[list[int]], terminator: int, block_size: int, every_position: bool) -> Windows:
    """Cut items, such as names, so that no window reaches from one into another.

    A model that predicts every position reads `. a n n a` and predicts `a n n a .`; items longer than `block_size` go on in
    another window. One that predicts only the next token sees the item's beginning filled up with terminators.
    """
    stream: list[int] = []
    starts: list[int] = []
    if every_position:
        width = min(block_size, max((len(item) + 1 for item in items), default=1))
        for item in items:
            symbols = [terminator, *item, terminator]
            for first in range(0, len(symbols) - 1, width):
                row = symbols[first : first + width + 1]
                starts.append(len(stream))
                stream.extend(row + [PAD] * (width + 1 - len(row)))
    else:
        width = block_size
        for item in items:
            row = [terminator] * block_size + item + [terminator]
            starts.extend(range(len(stream), len(stream) + len(item) + 1))
            stream.extend(row)
    return Windows(
        torch.tensor(stream, dtype=torch.int64), torch.tensor(starts, dtype=torch.int64), width, every_position
    )


def moved(windows: Windows, device: torch.device) -> Windows:
    """Return the windows with stream and starts on `device`."""
    return Windows(windows.stream.to(device), windows.starts.to(device), windows.width, windows.every_position)
