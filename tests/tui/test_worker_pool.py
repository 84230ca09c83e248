"""The pool of workers: whose model is loaded already is not handed to a second process."""

import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.status import RunState
from torchtty.tui.workers import WorkerPool

PATIENCE = 0.5  # seconds: well below what a worker needs to import torch


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    before = set(psutil.Process().children())
    pool = WorkerPool()
    yield pool
    pool.close()
    for process in set(psutil.Process().children()) - before:
        process.kill()
        process.wait(5)


@pytest.fixture
def ended_run(live_run: Callable[..., RunDirectory]) -> RunDirectory:
    return live_run(state=RunState.FINISHED)


def test_a_model_that_is_being_loaded_is_loaded_once(pool: WorkerPool, ended_run: RunDirectory) -> None:
    run, other = ended_run, set(psutil.Process().children())
    pool.hand_over(run, Mode.SERVE)
    (loading,) = set(psutil.Process().children()) - other
    again = threading.Thread(target=pool.hand_over, args=(run, Mode.SERVE))
    again.start()
    again.join(PATIENCE)
    assert again.is_alive(), "it waits for the model that is being loaded"
    assert set(psutil.Process().children()) - other == {loading}
    loading.kill()
    again.join(10)
    assert not again.is_alive(), "it has ended, and another process is to load it"
    (instead,) = {process for process in psutil.Process().children() if process.is_running()} - other - {loading}
    assert instead.pid != loading.pid


def test_who_resumes_a_run_does_not_wait_for_its_model(pool: WorkerPool, ended_run: RunDirectory) -> None:
    other = set(psutil.Process().children())
    pool.hand_over(ended_run, Mode.SERVE)
    pool.hand_over(ended_run, Mode.RESUME)
    assert len(set(psutil.Process().children()) - other) == 2
