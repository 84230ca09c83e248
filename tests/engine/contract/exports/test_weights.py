"""The weights of every family, loaded by the program that was written beside them, in a process that has no torchtty."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.safetensors_header import read_header
from torchtty.engine.contract.exports.weights import checkpoint_of, write_weights_file, write_weights_folder
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.events import Ready
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.contract.settings.families import SHIPPED
from torchtty.engine.training.checkpoint import Saved, write_checkpoint
from torchtty.engine.training.task import CarriesArchitecture, WritesText, build_task

SMALL: dict[str, tuple[str, dict[str, str]]] = {
    "ngram": ("ngram", {"model.n": "3"}),
    "ngram of single tokens": ("ngram", {"model.n": "1"}),
    "mlp": ("mlp", {"model.n_hidden": "16"}),
    "mlp with batch norm": ("mlp", {"model.n_hidden": "16", "model.batch_norm": "yes"}),
    "bigram": ("bigram", {}),
    "wavenet": ("wavenet", {"model.n_hidden": "12"}),
    "rnn": ("rnn", {"model.n_hidden": "12", "model.cell": "rnn"}),
    "lstm with an embedding": ("rnn", {"model.n_hidden": "12", "model.cell": "lstm", "model.n_embd": "5"}),
    "transformer": ("transformer", {"model.n_layer": "2", "model.d_model": "16", "model.d_ff": "20"}),
    "gpt": ("gpt", {"model.n_layer": "2", "model.n_embd": "16"}),
    "gpt with a tied head": ("gpt", {"model.n_layer": "1", "model.n_embd": "16", "model.tie_weights": "yes"}),
    "gpt2": ("gpt2", {"model.weights": "untrained", "tokenizer.kind": "character", "data.dataset": "given-names"}),
    "dcgan": ("dcgan", {"model.n_generator": "4", "model.n_discriminator": "4", "data.dataset": "digits"}),
}

LOAD_ALL = """
import importlib.util, sys, torch
from pathlib import Path
from safetensors.torch import load_file, save_file
sys.modules["torchtty"] = None  # whoever imports it fails
for folder in map(Path, sys.argv[1:]):
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["load"] = module
    spec.loader.exec_module(module)
    model, asked = module.load(), load_file(folder.parent / "asked.safetensors")
    with torch.no_grad():
        answer = model(*asked.values())[0]
    save_file({"answer": answer.contiguous()}, folder.parent / "answer.safetensors")
"""


def exported(name: str, folder: Path) -> tuple[Path, Callable[[], torch.Tensor]]:
    """Train a model for two steps, export its checkpoint; return the folder, and what it gives for `asked.safetensors`."""
    kind, flags = SMALL[name]
    configuration = with_flags(starting_tree(kind), {"training.seed": "7"} | flags)
    run = create(configuration, root=folder / "runs", name="one")
    torch.manual_seed(1)
    task: Any = build_task(configuration)
    for step in range(1 if kind == "ngram" else 2):
        task.train_step(step)
    tokenizer = task.tokenizer_json() if isinstance(task, WritesText) else None
    architecture = task.architecture() if isinstance(task, CarriesArchitecture) else None
    write_checkpoint(run, Saved(2, task.weights(), tokenizer, None, {}, architecture))
    ready = Ready(vocab_size=task.facts.vocab_size).model_dump(mode="json")
    run.events_path.write_bytes(json_line(ready))
    write_weights_folder(RunSnapshot.of(run), 2, folder / "export")

    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(5)
    if kind == "dcgan":
        size = configuration.tree()["model"]
        pictures = torch.randn(3, size["channels"], size["image_size"], size["image_size"], generator=generator)
        asked = {"a": torch.randn(3, size["n_latent"], generator=generator), "b": pictures}
    else:
        asked = {"a": torch.randint(task.facts.vocab_size, (3, task.model.block_size), generator=generator)}
    save_file(asked, folder / "asked.safetensors")

    def answer() -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = task.model.eval()(*asked.values())[0]
        return found

    return folder / "export", answer


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Callable[[], torch.Tensor]]]:
    """Every model, exported and asked once by its own program in one process without torchtty."""
    made = {name: exported(name, tmp_path_factory.mktemp("export")) for name in SMALL}
    command = [sys.executable, "-P", "-c", LOAD_ALL, *(str(folder) for folder, _ in made.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def test_every_family_that_ships_is_tried() -> None:
    assert {kind for kind, _ in SMALL.values()} == set(SHIPPED)


@pytest.mark.parametrize("name", SMALL)
def test_the_program_gives_what_our_model_gives(name: str, exports: Any) -> None:
    folder, answer = exports[name]
    theirs, ours = load_file(folder.parent / "answer.safetensors")["answer"], answer()
    # Float32 in two processes: how tensors lie in memory picks the kernel, and so the order of a sum.
    assert torch.allclose(theirs, ours, rtol=0, atol=1e-6 * float(ours.abs().max())), (theirs - ours).abs().max()
    assert ours.std() > 0, "the same everywhere would be equal for other reasons"


def test_a_program_defines_all_that_it_uses(exports: Any) -> None:
    folders = [str(folder / "load.py") for folder, _ in exports.values()]
    command = ["ruff", "check", "--isolated", "--no-cache", "--select", "F,E9,I", *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_run_as_it_is_a_program_lists_the_weights(exports: Any) -> None:
    folder, _ = exports["gpt with a tied head"]
    done = subprocess.run([sys.executable, "load.py"], cwd=folder, capture_output=True, text=True, check=True)
    assert "token_embedding.weight" in done.stdout
    assert "likeliest after a window of token 0: [" in done.stdout
    listed = [line.split("`")[1] for line in (folder / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert sorted(listed) == sorted(load_file(folder / "model.safetensors"))
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "README.md",
        "load.py",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_weights_of_another_model_are_refused_by_the_program(exports: Any, tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text((exports["mlp"][0] / "load.py").read_text())
    (tmp_path / "model.safetensors").write_bytes((exports["bigram"][0] / "model.safetensors").read_bytes())
    done = subprocess.run([sys.executable, "load.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "the weights are those of another model" in done.stderr


def test_the_header_tells_what_the_file_holds_and_a_damaged_one_is_refused(exports: Any, tmp_path: Path) -> None:
    whole = exports["gpt"][0] / "model.safetensors"
    assert {entry.name: entry.shape for entry in read_header(whole)} == {
        name: tuple(tensor.shape) for name, tensor in load_file(whole).items()
    }
    data, damaged = whole.read_bytes(), tmp_path / "damaged.safetensors"
    for broken in (data[:-1], data + b"0", data[:40], b"", b"\xff" * 8 + data[8:], data.replace(b'"F32"', b'"F64"', 1)):
        damaged.write_bytes(broken)
        with pytest.raises(UserError, match="is no safetensors file"):
            read_header(damaged)


def test_one_file_is_the_checkpoints_own_and_a_step_that_is_not_there_is_refused(exports: Any, tmp_path: Path) -> None:
    run = RunDirectory(exports["mlp"][0].parent / "runs" / "one")
    write_weights_file(run, 2, tmp_path / "mine.safetensors")
    assert (tmp_path / "mine.safetensors").read_bytes() == (run.checkpoint_path(2) / "model.safetensors").read_bytes()
    snapshot = RunSnapshot.of(run)
    assert checkpoint_of(snapshot) == checkpoint_of(snapshot, "2") == 2
    for wanted in ("3", "best", "x"):
        with pytest.raises(UserError, match="Its steps are 2"):
            checkpoint_of(snapshot, wanted)


def test_the_name_of_a_folder_never_becomes_part_of_the_program(exports: Any, tmp_path: Path) -> None:
    run = RunDirectory(exports["bigram"][0].parent / "runs" / "one")
    strange = run.path.with_name('a"""; import os; os.abort() #\\')
    strange.symlink_to(run.path)
    write_weights_folder(RunSnapshot.of(RunDirectory(strange)), 2, tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "load.py"], cwd=tmp_path / "out", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
