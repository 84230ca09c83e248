"""Batches drawn a block at a time are those drawn one by one, and the stream can be taken up anywhere."""

import pytest
import torch
from torch import Tensor

from torchtty.engine.data import batches
from torchtty.engine.data.batches import DrawnBatches, Windows, text_windows
from torchtty.engine.data.draws import DrawnAhead


def windows(every_position: bool = True, length: int = 500) -> Windows:
    return text_windows(torch.arange(length), 4, every_position)


def drawn(source: Windows, batch_size: int = 6, seed: int = 3) -> DrawnBatches:
    return DrawnBatches(source, batch_size, seed, torch.device("cpu"))


def same(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BLOCK_TOKENS", 6 * 5 * 4)  # four batches of six windows


@pytest.mark.parametrize("every_position", [True, False])
def test_the_batches_are_those_of_one_draw_each(every_position: bool) -> None:
    source, stream = windows(every_position), drawn(windows(every_position))
    generator = torch.Generator().manual_seed(3)
    for _ in range(11):
        assert same(stream.next(), source.draw(6, generator))


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 5, 8])
def test_a_stream_is_taken_up_where_it_was_left(taken: int) -> None:
    stream = drawn(windows())
    for _ in range(taken):
        stream.next()
    other = drawn(windows(), seed=99)
    other.load_state(*stream.state())
    for _ in range(10):
        assert same(stream.next(), other.next())


@pytest.mark.parametrize("taken", [1, 3, 11])
def test_a_stream_of_another_device_which_draws_more_at_once_is_taken_up_where_it_was_left(taken: int) -> None:
    source = windows()
    large = DrawnAhead(drawn(source)._draw, 3, torch.device("cpu"), at_once=64)
    large.take(taken)
    small = drawn(source, seed=99)
    small.load_state(*large.state())
    for number in large.take(8):
        assert same(small.next(), source.cut(number))
    back = DrawnAhead(drawn(source)._draw, 99, torch.device("cpu"), at_once=64)
    back.load_state(*small.state())
    assert torch.equal(back.take(70), large.take(70))


def test_a_batch_larger_than_a_block_is_drawn_alone() -> None:
    source, stream = windows(), drawn(windows(), batch_size=300)
    generator = torch.Generator().manual_seed(3)
    for _ in range(3):
        assert same(stream.next(), source.draw(300, generator))


def test_a_batch_as_large_as_the_split_is_the_split_in_order() -> None:
    source = windows(length=40)
    stream = drawn(source, batch_size=len(source))
    for _ in range(2):
        x, y = stream.next()
        assert torch.equal(x[:, 0], torch.arange(36))
        assert torch.equal(y, x + 1)
