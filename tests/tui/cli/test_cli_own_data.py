"""A person's own data on the command line: looked into, piped in, trained on."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import COMMAND, PATIENCE, Answer, Shell

from torchtty.engine.contract.run.directory import RunDirectory

Here = Callable[..., Answer]
NAMES = "anna\nbéa\ncarla\ndora\nemma\nfrida\n" * 20


@pytest.fixture
def folder(shell: Shell) -> Path:
    folder = shell.folder / "own data"
    folder.mkdir(exist_ok=True)
    return folder


def test_a_look_tells_encoding_size_and_first_lines(folder: Path, here: Here) -> None:
    (folder / "città.txt").write_bytes(NAMES.encode("latin-1"))
    answer = here("data", str(folder / "città.txt"))
    assert (answer.code, answer.err) == (0, "")
    for line in ("encoding       cp1252", "items          120, 6 of them distinct", "Read as Windows-1252", "  béa"):
        assert line in answer.out
    found = json.loads(here("data", f"'{folder / 'città.txt'}'", "--json").out)
    assert found["path"] == str(folder / "città.txt")
    assert (found["statistics"]["size"], found["statistics"]["read"], found["statistics"]["files"]) == (620, None, 1)
    other = json.loads(here("data", f"file://{folder}/citt%C3%A0.txt", "--encoding", "cp1251", "--json").out)
    assert other["statistics"]["first"][1] == "bйa"


def test_a_field_is_asked_for_and_taken(folder: Path, here: Here) -> None:
    path = folder / "posts.jsonl"
    path.write_text('{"by": "anna", "body": "one two"}\n{"by": "bea", "body": "three"}\n')
    refused = here("data", str(path))
    assert refused.code == 1
    assert refused.err.count("\n") <= 3
    assert "choose one in --field. They are 'by', 'body'" in " ".join(refused.err.split())
    taken = json.loads(here("data", str(path), "--field", "body", "--json").out)["statistics"]
    assert taken["first"] == ["one two", "three"]
    (folder / "broken.jsonl").write_text('{"text": "one"}\n{"text"\n')
    assert "broken.jsonl, line 2 is no JSON" in " ".join(here("data", str(folder / "broken.jsonl")).err.split())
    assert "--format" in here("data", str(path), "--format", "xml").err


def test_what_cannot_be_read_is_refused_before_there_is_a_run(shell: Shell, folder: Path, here: Here) -> None:
    path, before = folder / "films.csv", sorted(shell.folder.glob("runs/*"))
    path.write_text("title,year\nalien,1979\nheat,1995\n")
    (folder / "empty.txt").touch()
    for command, message in {
        (
            "train",
            "names-mlp",
            "--data.dataset",
            str(path),
            "--field",
            "bogus",
        ): "no field 'bogus'. It has 'title', 'year'",
        ("train", "names-mlp", "--dataset", str(path)): "choose one in --data.field",
        ("train", "names-mlp", "--dataset", str(folder / "empty.txt")): "is empty",
        ("train", "names-mlp", "--field", "title"): "given-names has no fields",
        ("sweep", "names-mlp", "--dataset", str(path), "--seed", "1..2"): "choose one in --data.field",
        ("race", str(path)): "choose one in --data.field",
    }.items():
        answer = here(*command)
        assert answer.code == 2
        assert message in " ".join(answer.err.split())
    assert sorted(shell.folder.glob("runs/*")) == before


def test_only_a_beginning_of_a_large_file_is_looked_at(folder: Path, here: Here) -> None:
    path = folder / "large.txt"
    with path.open("wb") as file:
        file.write(b"some words on a line\n" * 500_000)
        file.truncate(2**31)  # a sparse file takes no room
    answer = here("data", str(path))
    assert "2.1 GB; its first 8.4 MB are looked at" in answer.out
    assert "in what was read" in answer.out


def piped(shell: Shell, text: str, *arguments: str) -> Answer:
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=text.encode(),
        capture_output=True,
        env=shell.environment,
        cwd=shell.folder,
        timeout=PATIENCE,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_what_is_piped_in_is_looked_into_and_learnt_from(shell: Shell) -> None:
    assert "120, 6 of them distinct" in piped(shell, NAMES, "data", "-").out
    assert "Nothing came through the pipe" in piped(shell, "\n", "data", "-").err
    tiny = ("--model.n_hidden", "8", "--max_steps", "2", "--device", "cpu", "--sampling.interval", "0")
    answer = piped(shell, NAMES, "train", "mlp", "--dataset", "-", *tiny, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert (found["run"], found["state"]) == ("mlp-piped-1", "finished")
    kept = RunDirectory(shell.folder / "runs" / "mlp-piped-1").configuration().tree()["data"]["dataset"]
    assert Path(kept).read_text(encoding="utf-8") == NAMES
