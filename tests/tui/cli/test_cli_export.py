"""A GPT-2 run becomes a folder that transformers loads, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import PATIENCE, Answer, Shell

from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree

pytestmark = pytest.mark.timeout(240)  # two workers come up one after the other


@pytest.fixture(scope="module")
def run(shell: Shell) -> RunDirectory:
    """A finished run of a small GPT-2, its model still in memory."""
    answer = shell("train", "a5-gpt2-untrained", "--training.max_steps", "2", "--name", "small-gpt2")
    assert answer.code == 0, answer.err
    return RunDirectory(shell.folder / "runs" / "small-gpt2")


def test_the_folder_is_what_transformers_loads_whoever_serves_the_run(
    run: RunDirectory, shell: Shell, wait_until: Callable[..., None]
) -> None:
    from transformers import GPT2LMHeadModel, GPT2Tokenizer

    assert run.status().serving
    first = shell("export", "small-gpt2", "by-the-live-worker")
    assert first.code == 0, first.err
    folder = shell.folder / "by-the-live-worker"
    assert f"small-gpt2 as of step 2 is in {folder}: config.json, merges.txt, model.safetensors" in first.err
    model, tokenizer = GPT2LMHeadModel.from_pretrained(folder), GPT2Tokenizer.from_pretrained(folder)
    assert model.num_parameters() == run.status().parameters
    assert tokenizer.decode(tokenizer.encode("A small lamp")) == "A small lamp"

    shell("stop", "small-gpt2")  # lets the model go, so that a worker has to load the checkpoint
    wait_until(lambda: not run.status().serving, PATIENCE)
    (shell.folder / "empty").mkdir()
    second = shell("export", "small-gpt2", "empty", "--json")
    assert second.code == 0, second.err
    result = json.loads(second.out)
    assert (result["step"], result["path"]) == (2, str(shell.folder / "empty"))
    for name in result["files"]:
        assert (shell.folder / "empty" / name).read_bytes() == (folder / name).read_bytes(), name
    wait_until(lambda: not run.status().serving, PATIENCE)


def test_a_folder_that_cannot_be_written_is_refused_before_a_worker_starts(
    run: RunDirectory, shell: Shell, here: Callable[..., Answer]
) -> None:
    kept = shell.folder / "full" / "kept.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    for folder, said in (
        ("full", f"{kept.parent} is there already, and nothing is overwritten. Name a new or an empty folder."),
        ("full/kept.txt", f"{kept} is there already"),
        ("nowhere/out", f"There is no folder {shell.folder / 'nowhere'} to put out in. Make it first."),
    ):
        answer = here("export", "small-gpt2", folder)
        assert (answer.code, answer.out) == (1, "")
        assert said in answer.err
    assert kept.read_text() == "mine"


def test_what_the_system_refuses_is_told_by_the_worker_and_nothing_stays(run: RunDirectory, shell: Shell) -> None:
    answer = shell("export", "small-gpt2", "/proc/out")  # where nobody, whatever their rights, can make a folder
    assert answer.code == 1
    assert "error: /proc/out cannot be written: " in answer.err
    assert not Path("/proc/out").exists()


def test_a_run_of_another_family_or_without_a_model_is_refused(here: Callable[..., Answer]) -> None:
    another = create(parse(starting_tree("mlp")), name="an-mlp")
    answer = here("export", "an-mlp", "out", "--as", "transformers")
    assert (answer.code, answer.out) == (1, "")
    assert "an-mlp cannot be exported: only GPT-2 has a form that other programs read." in answer.err
    begun = create(parse(starting_tree("gpt2")), name="just-begun")
    assert "just-begun is starting and has no model yet" in here("export", "just-begun", "out").err
    for run in (another, begun):  # nobody will ever train them
        run.write_status(Status(state=RunState.STOPPED))
    assert "just-begun has no checkpoint, so there is no model" in here("export", "just-begun", "out").err
