"""Runs that wait for a device get it in the order in which they came, on a GPU those of all users of the machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from forked_workers import ForkServer

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import locks_folder, state_folder
from torchtty.engine.contract.run.directory import create
from torchtty.engine.contract.run.events import Answered, Failed
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.requests import Advance, Release, Stop
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.worker.device_queue import DeviceLock

UUID = "GPU-01000000-0000-0000-0000-000000000000"
SOMEBODY = 65534  # the user's number that nobody owns files with
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def tickets() -> list[Path]:
    return sorted(path for folder in (state_folder() / "devices", locks_folder()) for path in folder.glob("*.wait.*"))


@pytest.fixture(params=["cpu", "cuda:0"])
def lock(request: pytest.FixtureRequest) -> Iterator[Callable[[], DeviceLock]]:
    """Makes locks on one device, of this user's or of the machine."""
    made: list[DeviceLock] = []

    def make() -> DeviceLock:
        made.append(DeviceLock(request.param, UUID if request.param != "cpu" else ""))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_whoever_came_first_is_served_first(lock: Callable[[], DeviceLock]) -> None:
    holder, first, second = lock(), lock(), lock()
    assert holder.is_free()
    assert holder.try_acquire("q0")
    assert not first.is_free()
    assert not first.try_acquire("q1")
    assert not second.try_acquire("q2")
    assert (first.place(), second.place(), holder.place()) == (1, 2, 0)
    holder.release()
    assert not second.try_acquire("q2")
    assert first.try_acquire("q1")
    assert str(second.holder()) == "q1"
    first.release()
    assert second.try_acquire("q2")
    second.release()
    assert tickets() == []
    assert second.holder() is None


def test_whoever_left_the_queue_or_was_killed_in_it_keeps_nobody_waiting(lock: Callable[[], DeviceLock]) -> None:
    holder, left, last = lock(), lock(), lock()
    assert holder.try_acquire("q0")
    assert not left.try_acquire("q1")
    [ticket] = tickets()
    start = ticket.name.partition(".wait.")[0]
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    ticket.with_name(f"{start}.wait.{0:020d}-{killed.pid}-1.0-1").touch()
    ticket.with_name(f"{start}.wait.no ticket").touch()
    assert not last.try_acquire("q2")
    left.leave_queue()
    holder.release()
    assert last.try_acquire("q2")
    last.release()
    assert tickets() == []


def test_a_device_is_shared_where_no_ticket_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = DeviceLock("cpu")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeviceLock, "_write", full)
    assert lock.try_acquire("q0")
    lock.close()


def test_a_run_goes_ahead_of_those_of_its_user_that_wait(lock: Callable[[], DeviceLock]) -> None:
    holder, first, second, third = (lock() for _ in range(4))
    assert holder.try_acquire("q0")
    assert not holder.advance()
    for number, waiting in enumerate((first, second, third), 1):
        assert not waiting.try_acquire(f"q{number}")
    assert not first.advance()
    assert third.advance()
    assert [each.place() for each in (first, second, third)] == [2, 3, 1]
    holder.release()
    assert not first.try_acquire("q1")
    assert third.try_acquire("q3")
    third.release()
    assert first.try_acquire("q1")


def test_a_queued_run_that_is_asked_to_goes_ahead(
    forks: ForkServer, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["anna", "bea", "carla", "dora", "eva"] * 4))
    settings = {"data.dataset": str(names), "training.device": "cpu", "training.max_steps": "1000000"}
    runs = [create(with_flags(starting_tree("mlp"), settings | {"sampling.interval": "0"})) for _ in range(3)]
    for run, state in zip(runs, (RunState.RUNNING, RunState.QUEUED, RunState.QUEUED), strict=True):
        forks.start(run)
        wait_until(lambda run=run, state=state: run.status().state is state, 20, state)
    holder, first, last = runs
    wait_until(lambda: last.status().place == 2, 5, "its place")
    last.send(Advance(id="ahead"))
    wait_until(lambda: (first.status().place, last.status().place) == (2, 1), 5, "the other order")
    last.send(Advance(id="again"))
    wait_until(lambda: any(isinstance(event, Failed) for event in RunLog(last).read().events), 5, "the answer")
    holder.send(Stop())
    wait_until(lambda: last.status().state is RunState.RUNNING, 10, "its turn")
    wait_until(lambda: first.status().waiting_for == last.name, 10, "the new holder's name")
    for run in (first, last):
        run.send(Stop())
        wait_until(lambda run=run: run.status().state is RunState.STOPPED, 10, "the stop")
    events = [event for event in RunLog(last).read().events if isinstance(event, Answered | Failed)]
    assert [(event.id, getattr(event, "message", "")) for event in events] == [
        ("ahead", ""),
        ("again", "No other run of yours waits before this one."),
    ]
    for run in runs:
        run.send(Release())


# -- users of one machine ---------------------------------------------------------------------------------------------


@contextmanager
def another_user() -> Iterator[None]:
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_to_all(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/tmp"):
            folder.chmod(0o755)


@needs_root
@pytest.mark.usefixtures("open_to_all")
def test_users_of_a_machine_share_its_gpus_and_see_who_has_one() -> None:
    mine = DeviceLock("cuda:0", UUID)
    assert locks_folder().stat().st_mode & 0o7777 == 0o1777
    with another_user():
        theirs = DeviceLock("cuda:5", UUID)
        assert theirs.try_acquire("gpt\x1b[2J")
    assert not mine.try_acquire("mlp")
    assert str(mine.holder()) == "gpt␛[2J of nobody"
    with another_user():
        theirs.release()
        assert theirs.is_free() is False  # somebody waits
    assert mine.try_acquire("mlp")  # by a lock that is a file of the other user
    with another_user():
        assert not theirs.try_acquire("gpt")
        assert str(theirs.holder()) == "mlp of root"
        theirs.close()
    mine.close()


@needs_root
@pytest.mark.usefixtures("open_to_all")
def test_a_run_that_goes_ahead_keeps_no_other_user_waiting_longer() -> None:
    holder = DeviceLock("cuda:0", UUID)
    assert holder.try_acquire("q0")
    waiting: list[Any] = []
    for number, who in enumerate((0, SOMEBODY, 0, SOMEBODY, 0)):
        os.seteuid(who)
        waiting.append(DeviceLock("cuda:0", UUID))
        if who:  # a ticket counts as long as its process is its user's: a child's is
            child = subprocess.Popen(["sleep", "60"], user=SOMEBODY)
            waiting[-1]._process = f"{child.pid}-{_started(child.pid)}"
        assert not waiting[-1].try_acquire(f"q{number}")
    os.seteuid(0)
    assert [each.place() for each in waiting] == [1, 2, 3, 4, 5]
    assert waiting[4].advance()
    assert [each.place() for each in waiting] == [3, 2, 5, 4, 1]
    for each in (holder, *waiting):
        each.close()


def _started(pid: int) -> float:
    import psutil

    return psutil.Process(pid).create_time()


@needs_root
@pytest.mark.usefixtures("open_to_all")
def test_no_file_of_another_user_is_followed_or_believed(tmp_path: Path) -> None:
    DeviceLock("cuda:0", UUID).close()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    with another_user():
        (locks_folder() / f"{UUID}.lock").symlink_to(precious)
        (locks_folder() / f"{UUID}.holder.0").symlink_to(precious)
        (locks_folder() / f"{UUID}.wait.{1:020d}-1-{_started(1)}-0").touch()  # as if process 1 had come long ago
    mine = DeviceLock("cuda:0", UUID)
    with pytest.raises(UserError, match="cannot be opened"):
        mine.try_acquire("q0")
    (locks_folder() / f"{UUID}.lock").unlink()
    assert mine.try_acquire("q0")
    assert precious.read_text() == "mine"
    assert str(mine.holder()) == "q0"
    mine.close()


@needs_root
@pytest.mark.usefixtures("open_to_all")
def test_a_folder_of_locks_that_is_closed_to_others_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    monkeypatch.setenv("TORCHTTY_LOCKS", str(folder))
    os.chown(folder, SOMEBODY, SOMEBODY)
    with pytest.raises(UserError, match="belongs to nobody and is closed to others"):
        DeviceLock("cuda:0", UUID)
    link = tmp_path / "link"
    link.symlink_to(folder)
    monkeypatch.setenv("TORCHTTY_LOCKS", str(link))
    with pytest.raises(UserError, match="cannot be used: Not a directory"):
        DeviceLock("cuda:0", UUID)


# -- what the driver tells --------------------------------------------------------------------------------------------

IN_A_PROCESS_OF_ITS_OWN = """
from torchtty.engine.contract.gpus import *
print([(gpu.device, gpu.uuid[:6]) for gpu in visible_gpus()])
print([gpu.device for gpu in roomiest(visible_gpus())])
print([(load.memory_used >> 30, load.use, load.temperature, load.watts) for gpu in visible_gpus() if (load := load_of(gpu.uuid))])
from torchtty.tui.shell.gauges import *
here = Reading(12.0, GIB, 8 * GIB)
print(with_gpu(here, None).text())
print(with_gpu(here, Watched("cuda:0", "GPU-02000000-0000-0000-0000-000000000000")).text(30))
print([(process.pid, process.memory >> 30) for gpu in visible_gpus() for process in processes_on(gpu.uuid)])
"""


@pytest.mark.parametrize(
    ("variables", "answer"),
    [
        (
            {"NOOP_GPU_FREE": f"{10 << 30},{70 << 30},{30 << 30}", "NOOP_GPU_BUSY": "90,0,5", "NOOP_GPU_PROCESS": "1"},
            [
                "[('cuda:0', 'GPU-01'), ('cuda:1', 'GPU-02'), ('cuda:2', 'GPU-03')]",
                "['cuda:1', 'cuda:2', 'cuda:0']",
                "[(70, 90.0, 41, 71.4), (10, 0.0, 42, 71.4), (50, 5.0, 43, 71.4)]",
                "cuda:1 0 % 10.0/80 GB 42 °C 71 W  cpu 12 %  mem 1.0/8 GB",
                "cuda:0 0 % 10.0/80 GB 42 °C",
                "[(1, 3)]",
            ],
        ),
        (
            {"CUDA_VISIBLE_DEVICES": "2,0", "NOOP_GPU_FREE": f"{10 << 30},{70 << 30},{30 << 30}"},
            ["[('cuda:0', 'GPU-03'), ('cuda:1', 'GPU-01')]", "['cuda:0', 'cuda:1']"],
        ),
        (
            {"CUDA_VISIBLE_DEVICES": "MIG-f1,GPU-02,9,0", "NOOP_GPU_MIG": "1"},
            ["[('cuda:0', 'MIG-f1'), ('cuda:1', 'GPU-02')]", "['cuda:0', 'cuda:1']", "[(0, None, 41, 71.4), (0, 0.0, 42, 71.4)]",
                "cuda:0 0.0/80 GB 41 °C 71 W  cpu 12 %  mem 1.0/8 GB"],
        ),
        ({"CUDA_VISIBLE_DEVICES": ""}, ["[]", "[]"]),
    ],
)  # fmt: skip
def test_gpus_are_known_by_their_uuids_whatever_numbers_they_have(
    variables: dict[str, str], answer: list[str], noop_gpu: dict[str, str]
) -> None:
    environment = os.environ | noop_gpu | {"NOOP_GPUS": "3"} | variables
    ran = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_OF_ITS_OWN], env=environment, capture_output=True, text=True
    )
    assert ran.stdout.splitlines()[: len(answer)] == answer, ran.stderr


def test_the_runs_of_one_sweep_share_the_processor_and_nobody_else_does() -> None:
    ours = [DeviceLock("cpu", sweep="/runs/ours") for _ in range(3)]
    other, single = DeviceLock("cpu", sweep="/runs/other"), DeviceLock("cpu")
    assert ours[0].try_acquire("one")
    assert ours[1].try_acquire("two")
    assert not other.try_acquire("other")
    assert not single.try_acquire("single")
    assert not ours[2].try_acquire("three")  # the others came earlier
    ours[0].release()
    assert not other.try_acquire("other")
    ours[1].release()
    assert other.try_acquire("other")
    other.release()
    assert single.try_acquire("single")
    single.release()
    assert ours[2].try_acquire("three")
    for lock in (*ours, other, single):
        lock.close()


def test_no_two_runs_of_a_sweep_share_a_gpu() -> None:
    first, second = (DeviceLock("cuda:0", UUID, "/runs/ours") for _ in range(2))
    assert first.try_acquire("one")
    assert not second.try_acquire("two")
    first.close()
    second.close()
