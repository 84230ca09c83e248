"""What the tests of the engine share: workers that are forked, where it takes many of them."""

from collections.abc import Iterator

import pytest
from forked_workers import ForkServer


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """The process that workers are forked from."""
    server = ForkServer()
    yield server
    server.close()
