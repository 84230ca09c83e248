"""A coordinator that cannot prepare runs for a worker says so and ends, instead of waiting for it."""

import subprocess
import sys
from pathlib import Path

from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.lifecycle import COORDINATOR, open_runs
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import starting_tree


def test_a_folder_that_refuses_ends_the_sweep_and_leaves_its_runs_to_go_on_with(own_folders: Path) -> None:
    group = create_group(starting_tree("mlp"), Variation({"training.seed": (1, 2)}), root=own_folders, name="seeds")
    (group.path / "batches").write_text("in the way of the folder for batches")
    subprocess.run([sys.executable, "-P", "-m", COORDINATOR, str(group.path)], timeout=120, check=True)
    status = group.status()
    assert status.state is RunState.FAILED
    assert status.message.startswith(
        "Its folders cannot be written: File exists. 'torchtty sweep --resume seeds' goes on"
    )
    assert len(open_runs(group)) == 2
