"""Batches of tokens: windows cut out of one stream that lies on the device, drawn at random or read in order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from torchtty.engine.data.draws import DrawnAhead
from torchtty.engine.devices import on_device

PAD = -1  # a position that is not predicted
BLOCK_TOKENS = 2**15  # tokens drawn at once: as much as stays in a core's own cache until it is used


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
    def _each(self) -> Tensor:
        """The windows at all places, (S - width, width + 1), without a copy."""
        return self.stream.unfold(0, self.width + 1, 1)

    def to(self, device: torch.device) -> "Windows":
        """Return the windows with stream and starts on `device`; on a GPU they take half the memory."""
        if device.type == "cpu":
            return replace(self, stream=self.stream.to(device), starts=self.starts.to(device))
        kind = torch.int32 if len(self.stream) < 2**31 else torch.int64
        return replace(self, stream=self.stream.to(device, torch.int32), starts=self.starts.to(device, kind))

    def cut(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """Return (x, y) for the windows numbered `which` (B,)."""
        window = self._each.index_select(0, self.starts.index_select(0, which)).long()  # (B, width + 1)
        x = window[:, : self.width]
        if self.every_position:
            return x.clamp_min(0), window[:, 1:]
        return x, window[:, self.width :]

    def draw(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return (x, y) for windows drawn with replacement by `generator`."""
        return self.cut(on_device(self.numbers(batch_size, generator), self.stream.device))

    def numbers(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw the numbers of `count` windows, with replacement, as (count,) on the generator's device."""
        return torch.randint(len(self), (count,), generator=generator, device=generator.device)

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
        return replace(self, starts=starts)

    def apart(self) -> "Windows":
        """Return windows that do not overlap, so that a pass predicts every token once."""
        if not self.every_position or len(self) < 2:
            return self
        stride = int(self.starts[1] - self.starts[0])
        return self if stride >= self.width else replace(self, starts=self.starts[:: self.width])


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


class DrawnBatches:
    """An endless stream of batches of windows, drawn with replacement by a generator of its own, many batches at a time.

    The batches are those that one draw a batch by a generator of the CPU would give, on every device. A batch as large as the
    split is the split itself, so that small texts can be descended with their whole gradient.
    """

    def __init__(self, windows: Windows, batch_size: int, seed: int, device: torch.device) -> None:
        """Draw for a run on `device`, where the windows lie."""
        self.windows, self.batch_size = windows, batch_size
        self._at_once = max(1, BLOCK_TOKENS // (batch_size * (windows.width + 1)))  # batches cut at once
        self._numbers = DrawnAhead(self._draw, seed, device, at_once=self._at_once)
        self._cut: list[tuple[Tensor, Tensor]] = []  # batches, the last first
        self._whole: tuple[Tensor, Tensor] | None = None

    def _draw(self, steps: int, generator: torch.Generator) -> Tensor:
        return self.windows.numbers(steps * self.batch_size, generator).view(steps, self.batch_size)

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next batch: x (B, T) and y (B, T) or (B, 1)."""
        if self.batch_size >= len(self.windows):
            return self._whole_split()
        if not self._cut:
            x, y = self.windows.cut(self._numbers.peek(self._at_once).flatten())
            batches = x.contiguous().split(self.batch_size), y.contiguous().split(self.batch_size)
            self._cut = list(zip(*batches, strict=True))[::-1]
        self._numbers.skip(1)
        return self._cut.pop()

    def _whole_split(self) -> tuple[Tensor, Tensor]:
        if self._whole is None:
            self._whole = self.windows.cut(torch.arange(len(self.windows), device=self.windows.stream.device))
        return self._whole

    @property
    def exact(self) -> bool:
        """Whether the batches are those that would have come where `state` was called."""
        return self._numbers.exact

    def state(self) -> tuple[Tensor, int]:
        """Return where the stream stands, as `DrawnAhead` does."""
        return self._numbers.state()

    def load_state(self, before: Tensor, taken: int) -> None:
        """Go to where `state` was called, given windows and batch size as they were then."""
        self._cut = []
        self._numbers.load_state(before, taken)


class StackedBatches:
    """The batches of several streams of the same windows, one behind the other: x (M, B, T) and y (M, B, T) or (M, B, 1).

    Each stream draws what it would draw alone, and moves on with every batch that is taken.
    """

    def __init__(self, streams: Sequence[DrawnBatches]) -> None:
        self._streams = streams
        self._cut: list[tuple[Tensor, Tensor]] = []  # batches, the last first
        self._whole: tuple[Tensor, Tensor] | None = None

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next batch of every stream."""
        first, count = self._streams[0], len(self._streams)
        if first.batch_size >= len(first.windows):
            if self._whole is None:
                x, y = first.next()
                self._whole = torch.stack([x] * count), torch.stack([y] * count)
            return self._whole
        if not self._cut:
            ahead = [stream._numbers.peek(stream._at_once) for stream in self._streams]
            numbers = torch.stack(ahead, 1)  # (batches, M, B)
            x, y = first.windows.cut(numbers.flatten())
            cut = [part.contiguous().view(*numbers.shape, -1).unbind(0) for part in (x, y)]
            self._cut = list(zip(*cut, strict=True))[::-1]
        for stream in self._streams:
            stream._numbers.skip(1)
        return self._cut.pop()


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
