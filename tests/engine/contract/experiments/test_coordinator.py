"""A coordinator: how it cuts batches for its workers, and that it says so and ends where it cannot prepare runs for one."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from torchtty.engine.contract.experiments.group import RunGroup, create_group
from torchtty.engine.contract.experiments.lifecycle import COORDINATOR, open_runs
from torchtty.engine.contract.experiments.members import cut
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree, with_value

SMALL = {"model.n_hidden": 8, "training.max_steps": 20, "training.eval_batches": 1, "sampling.interval": 0}


def coordinate(group: RunGroup, *more: str) -> None:
    subprocess.run([sys.executable, "-P", "-m", COORDINATOR, str(group.path), *more], timeout=120, check=True)


def test_batches_are_cut_until_every_hand_has_one() -> None:
    assert cut([10], 1) == [[10]]
    assert cut([10], 2) == [[5, 5]]
    assert cut([10], 3) == [[3, 3, 4]]
    assert cut([3], 16) == [[1, 1, 1]]
    assert cut([9, 2, 1], 5) == [[3, 3, 3], [2], [1]]
    assert cut([100], 1) == [[50, 50]]  # 64 at most
    assert cut([], 4) == []


def test_each_of_two_workers_trains_a_batch_and_one_worker_trains_them_all(own_folders: Path) -> None:
    tree = starting_tree("mlp")
    for path, value in SMALL.items():
        tree = with_value(tree, path, value)
    for workers, sizes in (("2", [2, 3]), ("1", [5])):
        group = create_group(
            tree, Variation({"training.seed": (1, 2, 3, 4, 5)}), root=own_folders, name=f"by-{workers}"
        )
        coordinate(group, "--workers", workers)
        assert group.status().state is RunState.FINISHED
        started = [run.written_status().pid for run in group.runs()]
        assert sorted(Counter(started).values()) == sizes
        assert len(list((group.path / "batches").iterdir())) == len(sizes)


def test_a_folder_that_refuses_ends_the_sweep_and_leaves_its_runs_to_go_on_with(own_folders: Path) -> None:
    group = create_group(starting_tree("mlp"), Variation({"training.seed": (1, 2)}), root=own_folders, name="seeds")
    (group.path / "batches").write_text("in the way of the folder for batches")
    coordinate(group, "--workers", "1")
    status = group.status()
    assert status.state is RunState.FAILED
    assert status.message.startswith(
        "Its folders cannot be written: File exists. 'torchtty sweep --resume seeds' goes on"
    )
    assert len(open_runs(group)) == 2
