"""A step gets as many threads as it can feed, and leaves the app a core unless it needs them all."""

from collections.abc import Iterator

import pytest
import torch

from torchtty.engine.training import neural
from torchtty.engine.training.neural import use_threads_for


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cores", "operations", "expected"),
    [
        (1, 5e6, 1),
        (1, 1e12, 1),
        (2, 5e6, 1),
        (2, 4e9, 1),  # the other core is the app's
        (2, 5e10, 2),
        (16, 5e6, 1),
        (16, 1.1e9, 1),
        (16, 4e9, 4),
        (16, 1e12, 16),
    ],
)
def test_threads_follow_the_work_of_a_step(
    cores: int, operations: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neural, "_CORES", cores)
    monkeypatch.setattr(neural, "_WANTED", 0)
    use_threads_for(operations)
    assert torch.get_num_threads() == expected


def test_threads_that_a_person_asks_for_are_the_most_there_are_even_for_a_middling_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neural, "_CORES", 2)
    monkeypatch.setattr(neural, "_WANTED", 2)
    for operations, expected in ((5e6, 1), (4e9, 2), (1e12, 2)):
        use_threads_for(operations)
        assert torch.get_num_threads() == expected
