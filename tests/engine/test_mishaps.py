"""What goes wrong outside of torchtty is one clear sentence in the run's status, and leaves nothing half-written.

The sessions are real ones, without the process around them.
"""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.paths import data_folder
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree, with_flags
from torchtty.engine.data.tokenizers import CharacterTokenizer
from torchtty.engine.worker.session import Session

NAMES = ["anna", "bea", "carla", "dora", "eva", "fede", "gaia", "ida"] * 3


pytestmark = pytest.mark.usefixtures("signals_of_their_own")


@pytest.fixture(autouse=True)
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for downloads of its own."""
    monkeypatch.setenv("TORCHTTY_DATA", str(tmp_path / "data"))


@pytest.fixture
def names(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES))
    return path


def worked(run: RunDirectory, mode: Mode = Mode.TRAIN, **edits: Any) -> Status:
    """See a run through, as a worker does, and return its status. Nothing half-written may remain."""
    Session(run, mode, edits, idle_seconds=0).work()
    left = [path for folder in (run.path, data_folder()) for path in folder.rglob("*")]
    torn = [path.name for path in left if path.name.endswith((".part", ".tmp")) or ".writing" in path.name]
    assert torn == []
    status = run.written_status()
    assert "\n" not in status.message
    return status


def failed(run: RunDirectory, mode: Mode = Mode.TRAIN, **edits: Any) -> str:
    """Return the sentence with which a run fails, or with which one that is finished cannot go on."""
    status = worked(run, mode, **edits)
    assert status.state is (RunState.FINISHED if mode is Mode.RESUME else RunState.FAILED)
    return status.message


def new_run(kind: str, dataset: str | Path, **flags: Any) -> RunDirectory:
    settings = {"data.dataset": str(dataset)}
    if kind != "ngram":
        settings |= {"training.device": "cpu", "training.max_steps": "2", "sampling.interval": "0"}
    return create(with_flags(starting_tree(kind), settings | {k.replace("__", "."): str(v) for k, v in flags.items()}))


def trained(kind: str, names: Path, **flags: Any) -> RunDirectory:
    """A finished run of two steps, with its checkpoint."""
    run = new_run(kind, names, **flags)
    assert worked(run).state is RunState.FINISHED
    return run


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("broken", ["cut short", "overwritten"])
def test_a_corrupt_weight_file_of_a_checkpoint_is_named_and_the_checkpoint_left_alone(names: Path, broken: str) -> None:
    run = trained("mlp", names)
    weights = run.checkpoint_path(2) / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-100] if broken == "cut short" else bytes(100) + content[100:])
    before = files(run.steps)
    sentence = failed(run, Mode.RESUME, **{"training.max_steps": 4})
    assert sentence.startswith(f"The checkpoint of {run.name} at step 2 cannot be read: ")
    assert sentence.endswith(". There is no other one.")
    assert files(run.steps) == before


def test_a_corrupt_weight_file_of_a_published_folder_is_named(names: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gpt2"
    folder.mkdir()
    shape = {"vocab_size": 300, "n_positions": 16, "n_embd": 8, "n_layer": 1, "n_head": 1}
    (folder / "config.json").write_text(json.dumps(shape | {"model_type": "gpt2"}))
    (folder / "model.safetensors").write_bytes(b"\x40\x00\x00\x00\x00\x00\x00\x00{" + bytes(40))
    run = new_run(
        "gpt2",
        names,
        model__weights=folder,
        model__block_size=8,
        tokenizer__kind="byte-pair",
        tokenizer__vocab_size=260,
    )
    sentence = failed(run)
    assert sentence.startswith(f"model.weights: {folder / 'model.safetensors'} is damaged or no safetensors file (")
    assert sentence.endswith("). Fetch it again.")
    assert run.checkpoints() == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves a names.txt that is not the one promised."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "names.txt").write_bytes(b"mallory\n" * 28_518 + b"\n")
    handler = partial(_Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as socket:
        thread = threading.Thread(target=socket.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{socket.server_port}"
        socket.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_a_wrong_hash_is_told_and_nothing_of_the_download_kept(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", server)
    run = new_run("mlp", "names")
    assert failed(run) == (
        "names.txt could not be downloaded from 127.0.0.1: what came is not the file expected (its SHA-256 differs). "
        "Choose given-names, which needs no network, or set TORCHTTY_MIRROR to a folder that holds names.txt."
    )
    assert list(data_folder().iterdir()) == []
    assert run.written_status().unreachable


@pytest.mark.parametrize(
    ("kind", "dataset", "missing", "instead"),
    [
        ("mlp", "names", "names.txt", "Choose given-names, which needs no network"),
        ("gpt2", "lamp", "gpt2-vocab.bpe", "or choose the tokenizer byte-pair, which learns from your own text."),
        ("dcgan", "celeba", "celeba/img_align_celeba.zip", "Choose digits, which needs no network"),
    ],
)
def test_a_lost_network_is_told_with_what_does_without_one(
    kind: str, dataset: str, missing: str, instead: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCHTTY_MIRROR", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "nothing"))
    run = new_run(kind, dataset)
    sentence = failed(run)
    assert f"{missing} could not be downloaded from 127.0.0.1: no connection. " in sentence
    assert instead in sentence
    assert run.written_status().unreachable
    assert [path for path in data_folder().rglob("*") if path.is_file()] == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures and one that is cut short."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, colour in enumerate(("red", "green", "blue", "white")):
        Image.new("RGB", (40, 40), colour).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    return folder


def test_a_folder_with_a_broken_picture_trains_on_the_others_and_says_which_was_left_out(pictures: Path) -> None:
    run = new_run("dcgan", pictures, training__batch_size=2, sampling__count=2)
    assert worked(run).state is RunState.FINISHED
    [ready] = [event for event in JsonLinesTail(run.events_path).read() if event["event"] == "ready"]
    note = next(note for note in ready["notes"] if "broken" in note)
    assert note.startswith("1 broken picture was left out: 3.png (")


def test_a_folder_of_nothing_but_broken_pictures_fails_with_the_reason(pictures: Path) -> None:
    for number in range(3):
        (pictures / f"{number}.png").unlink()
    run = new_run("dcgan", pictures)
    assert "its only picture cannot be read: 3.png" in failed(run)


@pytest.mark.parametrize("letters", ["xyz", ""])
@pytest.mark.parametrize(("kind", "mode"), [("gpt", Mode.RESUME), ("mlp", Mode.SERVE), ("ngram", Mode.SERVE)])
def test_a_vocabulary_that_does_not_match_the_checkpoint_is_told(
    kind: str, mode: Mode, letters: str, names: Path
) -> None:
    run = trained(kind, names)
    step = run.checkpoints()[-1]
    # Of another size, or of the same size with other letters, which no shape would tell.
    other = CharacterTokenizer.from_items([name.replace("a", "q") + letters for name in NAMES])
    (run.checkpoint_path(step) / "tokenizer.json").write_text(json.dumps(other.to_json()))
    before = files(run.steps)
    if mode is Mode.RESUME:
        sentence = failed(run, mode, **{"training.max_steps": 4})
    else:
        assert worked(run, mode).state is RunState.FINISHED, "the run itself is as good as it was"
        events = JsonLinesTail(run.events_path).read()
        [sentence] = [event["message"] for event in events if event["event"] == "warning"]
    assert sentence == (
        f"The checkpoint of {run.name} at step {step} cannot be read: its tokenizer.json does not match its weights: "
        "it was changed after they were saved. There is no other one."
    )
    assert files(run.steps) == before


def test_weights_of_another_vocabulary_are_told_where_nothing_else_tells(names: Path) -> None:
    """As in checkpoints that say nothing of their tokenizer."""
    run = trained("gpt", names)
    folder = run.checkpoint_path(2)
    (folder / "checkpoint.json").write_text('{"step": 2, "losses": {}}')
    (folder / "tokenizer.json").write_text(json.dumps(CharacterTokenizer.from_items([*NAMES, "xyz"]).to_json()))
    assert failed(run, Mode.RESUME, **{"training.max_steps": 4}) == (
        "These weights belong to another model: 'head.bias' is (14,), and (17,) is needed. "
        "Use the configuration and tokenizer they were trained with."
    )
