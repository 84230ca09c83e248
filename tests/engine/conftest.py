"""What the tests of the engine share: workers that are forked, where it takes many of them."""

import signal
from collections.abc import Iterator

import pytest
from forked_workers import ForkServer


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """The process that workers are forked from."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def gpu_forks(noop_gpu: dict[str, str]) -> Iterator[ForkServer]:
    """The process that workers are forked from which see two GPUs whose kernels do nothing."""
    server = ForkServer(noop_gpu | {"NOOP_GPUS": "2"})
    yield server
    server.close()


@pytest.fixture
def signals_of_their_own() -> Iterator[None]:
    """The handlers of SIGTERM and SIGINT as they were, afterwards: a session in this process takes them over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
