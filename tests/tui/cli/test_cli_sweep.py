"""A sweep outlives its coordinator and its workers: what has finished is kept, the rest goes on with the curves of solo runs."""

import json
import os
import signal
from collections.abc import Callable

from command_line import PATIENCE, Shell

from torchtty.engine.contract.experiments.group import find_group
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.log import RunLog
from torchtty.engine.contract.run.status import RunState

SMALL = [
    *("--training.max_steps", "3000", "--training.checkpoint_interval", "500", "--training.eval_batches", "1"),
    *("--sampling.interval", "0", "--training.device", "cpu", "--training.batch_size", "8"),
]


def curve(run: RunDirectory) -> dict[str, list[tuple[float, float]]]:
    log = RunLog(run)
    log.read()
    return {name: list(log.metrics.points(name)) for name in ("train_loss", "val_loss")}


def test_a_sweep_whose_coordinator_and_worker_are_killed_goes_on_and_loses_nothing(
    shell: Shell, wait_until: Callable[..., None]
) -> None:
    runs = shell.folder / "runs"
    begun = shell(
        "sweep", "mlp", "--model.n_hidden", "16,24,32", *SMALL, "--name", "killed", "--workers", "1", "--detach"
    )
    assert begun.code == 0, begun.err
    group = find_group("killed", runs)
    assert group is not None
    first, second, third = group.runs()
    wait_until(lambda: first.status().state is RunState.FINISHED and second.checkpoints(), PATIENCE, "the second run")
    for directory in (group.directory, second):
        os.kill(directory.written_status().pid, signal.SIGKILL)
    wait_until(lambda: group.status().state is RunState.LOST, PATIENCE, "the end of the coordinator")
    wait_until(
        lambda: not second.status().state.is_live or second.status().state is RunState.LOST,
        PATIENCE,
        "the worker's end",
    )
    finished = first.metrics_path.read_bytes()
    resumed = shell("sweep", "--resume", "killed", "--json")
    assert resumed.code == 0, resumed.err
    assert [run["state"] for run in json.loads(resumed.out)["runs"]] == ["finished"] * 3
    assert first.metrics_path.read_bytes() == finished
    solo = shell("train", "mlp", "--model.n_hidden", "24", *SMALL, "--name", "solo", "--json")
    assert solo.code == 0, solo.err
    assert curve(second) == curve(RunDirectory(runs / "solo"))
    assert curve(third)["val_loss"]
    again = shell("sweep", "--resume", "killed")
    assert again.code == 1
    assert "nothing to go on with" in again.err
