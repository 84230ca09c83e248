"""Forks as directories: made whole or not at all, ordered as a tree; and checkpoints that are pinned."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.fork import create_fork, fork_point, nearest
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run import pins
from torchtty.engine.contract.run.directory import RunDirectory, create, list_runs
from torchtty.engine.contract.run.lineage import Parent, as_tree, find_parent, parent_of
from torchtty.engine.contract.run.snapshot import Action, RunSnapshot
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse, starting_tree
from torchtty.engine.training.checkpoint import prune


def settings(kind: str = "mlp") -> Any:
    return parse(starting_tree(kind))


@pytest.fixture
def parent() -> RunDirectory:
    """A run with checkpoints at 100, 200 and 300, of which the first is the best."""
    run = create(settings(), name="parent")
    for step in (100, 200, 300):
        add_checkpoint(run, step)
    (run.steps / "best.json").write_text('{"step": 100, "val_loss": 2.5}')
    return run


def add_checkpoint(run: RunDirectory, step: int) -> None:
    folder = run.checkpoint_path(step)
    folder.mkdir()
    for name in ("model.safetensors", "training.pt", "checkpoint.json"):
        (folder / name).write_text(f"{name} of {step}")


# Making a fork.


def test_a_fork_is_a_run_with_the_checkpoint_the_best_one_before_it_and_where_it_comes_from(
    parent: RunDirectory,
) -> None:
    fork = create_fork(fork_point(parent, 200), settings())
    assert fork.name == "parent-fork-1"
    assert fork.checkpoints() == [100, 200]
    assert (fork.checkpoint_path(200) / "training.pt").read_text() == "training.pt of 200"
    assert fork.best_step() == 100
    status = fork.written_status()
    assert (status.state, status.step, status.max_steps) == (RunState.STARTING, 200, 30000)
    found = parent_of(fork.meta())
    assert found == Parent("parent", 200, parent.meta()["created"])
    assert find_parent(fork, found) == parent
    parent.path.rename(parent.path.with_name("renamed"))
    assert find_parent(fork, found) == RunDirectory(parent.path.with_name("renamed"))
    assert create(settings(), name="parent").name == "parent"  # another run of that name is not the parent
    assert find_parent(fork, found).name == "renamed"  # type: ignore[union-attr]


def test_the_best_checkpoint_stays_behind_where_losses_cannot_be_compared(parent: RunDirectory) -> None:
    changed = starting_tree("mlp")
    changed["training"]["seed"] = 5
    assert create_fork(fork_point(parent, 300), parse(changed)).checkpoints() == [300]


def _fork_and_be_killed(folder: Path, at: int) -> None:
    """Fork until the `at`-th file has been synced, then be killed as by kill -9."""
    count, fsync = [0], os.fsync

    def counted(handle: int) -> None:
        count[0] += 1
        if count[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(handle)

    os.fsync = counted
    create_fork(fork_point(RunDirectory(folder), 200), settings())


@pytest.mark.parametrize("at", [1, 2, 3, 5, 7])
def test_a_fork_killed_while_it_is_made_leaves_no_run_and_its_rest_goes_with_the_next(
    parent: RunDirectory, at: int
) -> None:
    child = multiprocessing.get_context("fork").Process(target=_fork_and_be_killed, args=(parent.path, at))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    assert [run.name for run in list_runs()] == ["parent"]
    assert len(list(parent.path.parent.iterdir())) == 2
    fork = create_fork(fork_point(parent, 200), settings())
    assert fork.name == "parent-fork-1"
    assert {path.name for path in parent.path.parent.iterdir()} == {"parent", "parent-fork-1"}


def test_what_is_being_made_by_a_living_process_or_elsewhere_is_left_alone(parent: RunDirectory) -> None:
    root = parent.path.parent
    living = root / f".creating-{os.getpid()}-1-{socket.gethostname()}"
    elsewhere = root / ".creating-999999999-1-another-host"
    for folder in (living, elsewhere):
        folder.mkdir()
    create(settings())
    assert living.is_dir()
    assert elsewhere.is_dir()


def test_a_checkpoint_that_is_removed_meanwhile_is_reported_and_no_run_is_left(
    parent: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = fork_point(parent, 200)
    fsync = os.fsync

    def removing(handle: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        parent.checkpoint_path(200).rename(parent.steps / ".000200.pruned")

    monkeypatch.setattr(os, "fsync", removing)
    with pytest.raises(UserError, match=r"at step 200 was removed just now. There are those at 100, 300."):
        create_fork(point, settings())
    assert [path.name for path in parent.path.parent.iterdir()] == ["parent"]


def test_a_taken_name_and_a_full_disk_leave_no_run(parent: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="There is a run called parent already"):
        create_fork(fork_point(parent), settings(), name="parent")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        create_fork(fork_point(parent), settings())
    assert [path.name for path in parent.path.parent.iterdir()] == ["parent"]


def test_a_run_is_forked_if_it_has_a_checkpoint_and_trains_by_steps(parent: RunDirectory) -> None:
    assert RunSnapshot.of(parent).offers(Action.FORK)
    empty, counted = create(settings(), name="empty"), create(settings("ngram"), name="counted")
    add_checkpoint(counted, 1)
    assert RunSnapshot.of(empty).refusal(Action.FORK) == "empty has no checkpoint to fork from yet."
    assert RunSnapshot.of(empty).refusal(Action.PIN) == "empty has no checkpoint to pin."
    assert "trained in one pass" in RunSnapshot.of(counted).refusal(Action.FORK)
    with pytest.raises(UserError, match="It has none"):
        fork_point(empty)


@pytest.mark.parametrize(("step", "found"), [(None, 300), (0, 100), (149, 100), (150, 100), (151, 200), (9e9, 300)])
def test_the_nearest_checkpoint_is_taken_of_two_as_near_the_earlier(step: float | None, found: int) -> None:
    assert nearest([100, 200, 300], step) == found


@pytest.mark.parametrize(
    "damage", [None, 3, [], {}, {"run": 1, "step": 2}, {"run": "a", "step": True}, {"run": "a", "step": -1}]
)
def test_what_is_no_parent_is_none(damage: Any) -> None:
    assert parent_of({"parent": damage}) is None


def test_a_damaged_list_of_changes_is_left_out() -> None:
    found = parent_of({"parent": {"run": "a", "step": 3, "created": "x", "changed": {"a.b": 3, "c.d": [1, 2]}}})
    assert found == Parent("a", 3, None, {"c.d": (1, 2)})
    assert found.changes() == "d 1 → 2"


# The tree.


def tree(*runs: tuple[str, str | None]) -> list[str]:
    """Order runs, given the newest first as (name, parent), and write them with their depth."""
    made = {name: float(number) for number, (name, _) in enumerate(runs)}
    parents = {name: Parent(of, 1, made.get(of, -1.0)) if of else None for name, of in runs}
    ordered = as_tree([name for name, _ in runs], made.__getitem__, parents.__getitem__)
    return ["." * depth + name for name, depth in ordered]


def test_forks_stand_below_their_parent_and_a_family_where_its_newest_stood() -> None:
    assert tree(("d", None), ("c2", "a"), ("b", None), ("c1", "a"), ("a", None)) == ["d", "a", ".c2", ".c1", "b"]
    assert tree(("g", "f"), ("f", "a"), ("x", None), ("a", None)) == ["a", ".f", "..g", "x"]


def test_a_fork_without_its_parent_stands_at_the_top() -> None:
    assert tree(("g", "f"), ("f", "gone"), ("x", None)) == ["f", ".g", "x"]


def test_runs_that_name_each_other_as_parents_are_all_listed() -> None:
    for runs in [(("a", "b"), ("b", "a")), (("a", "a"),), (("c", "a"), ("a", "b"), ("b", "a"))]:
        assert sorted(name.lstrip(".") for name in tree(*runs)) == sorted(name for name, _ in runs)


def test_thousands_of_generations_are_ordered_without_a_deep_recursion() -> None:
    runs = [(str(number), str(number - 1) if number else None) for number in reversed(range(5000))]
    assert tree(*runs)[-1].count(".") == 4999


# Pins.


def test_retention_keeps_the_latest_two_the_best_and_those_that_are_pinned(parent: RunDirectory) -> None:
    for step in (400, 500, 600):
        add_checkpoint(parent, step)
    pins.pin(parent, 200)
    pins.pin(parent, 400)
    prune(parent)
    assert parent.checkpoints() == [100, 200, 400, 500, 600]
    pins.pin(parent, 400, keep=False)
    add_checkpoint(parent, 700)
    prune(parent)
    assert parent.checkpoints() == [100, 200, 600, 700]
    assert pins.pinned_steps(parent) == {200}


def test_what_is_not_there_is_not_pinned_and_what_is_not_pinned_is_not_let_go(parent: RunDirectory) -> None:
    with pytest.raises(UserError, match=r"no checkpoint at step 150. There are those at 100, 200, 300."):
        pins.pin(parent, 150)
    with pytest.raises(UserError, match=r"at step 100 is not pinned. None is."):
        pins.pin(parent, 100, keep=False)
    assert not (parent.path / "pinned.json").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"steps": 3}', '{"steps": ["x", true, 1.5]}', "[" * 100_000])
def test_damaged_pins_are_none(parent: RunDirectory, content: str) -> None:
    (parent.path / "pinned.json").write_text(content)
    assert pins.pinned_steps(parent) == frozenset()
    pins.pin(parent, 300)
    assert json.loads((parent.path / "pinned.json").read_text()) == {"steps": [300]}


def test_a_checkpoint_that_is_pinned_while_it_is_being_removed_comes_back(
    parent: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (parent.steps / "best.json").unlink()
    rename = Path.rename

    def pinning(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        (parent.path / "pinned.json").write_text('{"steps": [100]}')  # after the worker has read the pins
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", pinning)
    prune(parent)
    assert parent.checkpoints() == [100, 200, 300]
    parent.checkpoint_path(100).rename(parent.steps / ".000100.pruned")  # a worker killed right there
    prune(parent)
    assert parent.checkpoints() == [100, 200, 300]


def test_a_pin_that_came_too_late_says_so_and_is_none(parent: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    write = pins._write

    def removed_first(run: RunDirectory, steps: frozenset[int]) -> None:
        parent.checkpoint_path(200).rename(parent.steps / ".000200.pruned")
        monkeypatch.setattr(pins, "_write", write)
        write(run, steps)

    monkeypatch.setattr(pins, "_write", removed_first)
    with pytest.raises(UserError, match=r"at step 200 was removed just now. There are those at 100, 300."):
        pins.pin(parent, 200)
    assert pins.pinned_steps(parent) == frozenset()


PINNING = """
import random, sys
from pathlib import Path
from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.pins import pin
run, kept = RunDirectory(Path(sys.argv[1])), []
while not (run.path / "over").exists():
    steps = sorted({*run.checkpoints()} - {*kept})
    for step in steps and [random.choice(steps)]:
        try:
            pin(run, step)
            kept.append(step)
        except UserError:
            pass
print(*kept)
"""


def test_no_pin_that_was_granted_is_lost_while_checkpoints_come_and_go(parent: RunDirectory) -> None:
    (parent.steps / "best.json").unlink()
    child = subprocess.Popen([sys.executable, "-c", PINNING, parent.path], stdout=subprocess.PIPE, text=True)
    step, until = 300, time.monotonic() + 60
    while len(pins.pinned_steps(parent)) < 6 and time.monotonic() < until:
        step += 100
        add_checkpoint(parent, step)
        prune(parent)
        time.sleep(0.01)  # about as long as a pin takes
    (parent.path / "over").touch()
    granted = {int(word) for word in child.communicate(timeout=60)[0].split()}
    assert granted
    assert granted <= set(parent.checkpoints())
