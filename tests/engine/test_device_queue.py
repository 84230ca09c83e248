"""Runs that wait for a device get it in the order in which they came."""

import subprocess
import sys
from pathlib import Path

import pytest

from torchtty.engine.contract.paths import state_folder
from torchtty.engine.worker.device_queue import DeviceLock


def tickets() -> list[Path]:
    return [path for queue in (state_folder() / "devices").glob("*.queue") for path in queue.iterdir()]


def test_whoever_came_first_is_served_first() -> None:
    holder, first, second = (DeviceLock("cpu") for _ in range(3))
    assert holder.try_acquire("q0")
    assert not first.try_acquire("q1")
    assert not second.try_acquire("q2")
    holder.release()
    assert not second.try_acquire("q2")
    assert first.try_acquire("q1")
    assert second.holder() == "q1"
    first.release()
    assert second.try_acquire("q2")
    second.release()
    assert tickets() == []


def test_whoever_left_the_queue_or_was_killed_in_it_keeps_nobody_waiting() -> None:
    holder, left, last = (DeviceLock("cpu") for _ in range(3))
    assert holder.try_acquire("q0")
    assert not left.try_acquire("q1")
    [ticket] = tickets()
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    ticket.with_name(f"{0:020d}-{killed.pid}-1.0").touch()
    ticket.with_name("no ticket").touch()
    assert not last.try_acquire("q2")
    left.leave_queue()
    holder.release()
    assert last.try_acquire("q2")
    last.release()
    assert not any(path.name.startswith("0000") for path in tickets())


def test_a_device_is_shared_where_no_ticket_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = DeviceLock("cpu")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "touch", full)
    assert lock.try_acquire("q0")
    lock.release()
