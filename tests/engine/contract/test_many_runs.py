"""A thousand runs are listed at once."""

import shutil
import time

from torchtty.engine.contract.run.directory import create, list_runs
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree


def test_a_thousand_finished_runs_are_listed_with_their_states_in_a_second() -> None:
    first = create(parse(starting_tree("gpt")))
    first.write_status(Status(state=RunState.FINISHED, step=1000, max_steps=1000, pid=3, metrics={"val_loss": 2.0}))
    for number in range(999):
        path = first.path.with_name(f"copy-{number}")
        path.mkdir()
        for file in (first.config_path, first.status_path):
            shutil.copyfile(file, path / file.name)
    began = time.process_time()
    states = [run.status().state for run in list_runs()]
    assert time.process_time() - began < 1.0
    assert states == [RunState.FINISHED] * 1000
