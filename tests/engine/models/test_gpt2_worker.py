"""A GPT-2 in a real worker: fine-tuned, sampled, exported, and gone on with when the folder it came from is gone."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gpt2_folders import write_folder
from safetensors.torch import load_file

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run import requests as commands
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.status import RunState
from torchtty.engine.contract.settings.configuration import parse, starting_tree


def _of(run: RunDirectory, event: str, id: str) -> list[dict[str, Any]]:
    rows = JsonLinesTail(run.events_path).read()
    return [row for row in rows if (row["event"], row.get("id")) == (event, id)]


@pytest.mark.timeout(240)  # two workers come up one after the other
def test_fine_tuned_sampled_exported_and_resumed_without_the_folder(
    tmp_path: Path, workers: Any, wait_until: Callable[..., None]
) -> None:
    folder = write_folder(tmp_path / "tiny")
    text = tmp_path / "text.txt"
    text.write_text("the lower the newer, the wider the lowest " * 3)
    tree = starting_tree("gpt2")
    tree["model"] |= {"weights": str(folder), "block_size": 8}
    tree["data"] |= {"dataset": str(text), "unit": "text", "val_fraction": 0.0}
    tree["training"] |= {"device": "cpu", "max_steps": 4}
    run = create(parse(tree))

    workers.start(run)
    wait_until(lambda: run.status().serving, 60, "a finished run that serves")
    shutil.rmtree(folder)
    run.send(commands.Export(id="e", path=str(tmp_path / "out")))
    wait_until(lambda: bool(_of(run, "answered", "e")), 20, "the export")
    assert _of(run, "answered", "e")[0]["result"]["path"] == str(tmp_path / "out")
    assert "transformer.wte.weight" in load_file(tmp_path / "out" / "model.safetensors")
    run.send(commands.Export(id="e2", path=str(tmp_path / "out")))
    wait_until(lambda: bool(_of(run, "failed", "e2")), 20, "the refusal")
    assert "is there already" in _of(run, "failed", "e2")[0]["message"]
    run.send(commands.Release())

    workers.start(run, Mode.RESUME, **{"training.max_steps": 6})
    wait_until(lambda: run.status().step == 6 and run.status().serving, 60, "two more steps")
    assert run.status().state is RunState.FINISHED
    run.send(commands.Sample(id="s", prompt="the", max_tokens=5, seed=1))
    wait_until(lambda: bool(_of(run, "answered", "s")), 20, "a sample")
    assert _of(run, "answered", "s")[-1]["sample"]["texts"][0].startswith("the")
    run.send(commands.Release())
