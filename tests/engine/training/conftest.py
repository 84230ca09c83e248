"""Loops that run in the test's own process, over real run directories."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_flags
from torchtty.engine.training.loop import Loop, steps_of
from torchtty.engine.training.run_writer import RunWriter, new_status
from torchtty.engine.training.task import build_task
from torchtty.engine.worker.requests import Dispatcher

NAMES = ["anna", "bea", "carla", "dora", "emma", "frida", "gina", "hanna", "ida", "jana", "karla", "lea", "mia", "nora"]


@pytest.fixture
def names_file(tmp_path: Path) -> Path:
    """A small list of names."""
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES * 3), encoding="utf-8")
    return path


@pytest.fixture
def verse_file(tmp_path: Path) -> Path:
    """A small running text."""
    path = tmp_path / "verse.txt"
    lines = [f"the {name} who saw the sea and said: {other} is the one\n" for name in NAMES for other in NAMES]
    path.write_text("".join(lines), encoding="utf-8")
    return path


TINY = {
    "mlp": {"model.n_hidden": "16", "model.n_embd": "4", "training.eval_batches": "2"},
    "gpt": {
        "model.n_layer": "2",
        "model.n_embd": "16",
        "model.n_head": "2",
        "model.block_size": "8",
        "training.eval_batches": "2",
    },
}


@pytest.fixture
def loop_for(names_file: Path) -> Callable[..., Loop]:
    """Make a loop over a new run, or over one that is there."""

    def make(kind: str = "gpt", *, run: RunDirectory | None = None, data: Path = names_file, **flags: Any) -> Loop:
        settings = TINY.get(kind, {}) | {
            "data.dataset": str(data),
            "training.device": "cpu",
            "training.max_steps": "20",
        }
        settings |= {name.replace("__", "."): str(value) for name, value in flags.items()}
        if kind == "ngram":
            settings = {name: value for name, value in settings.items() if not name.startswith("training.")}
        configuration = parse(settings_in_force(run)) if run else with_flags(starting_tree(kind), settings)
        run = run or create(configuration)
        task = build_task(configuration)
        requests = Dispatcher(RunWriter(run, new_status(20)), lambda: True, lambda: None)
        loop = Loop(task, configuration, requests.writer, requests, max_steps=steps_of(configuration))
        requests.attach(loop)
        return loop

    return make
