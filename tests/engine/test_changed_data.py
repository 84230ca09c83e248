"""A run records what it was trained on, and is not continued with other data unless that is wanted."""

import os
from pathlib import Path
from typing import Any

import pytest

from torchtty.engine.contract.client.deletion import delete
from torchtty.engine.contract.client.piped_text import keep_piped
from torchtty.engine.contract.client.replay import plan
from torchtty.engine.contract.client.trash import empty_trash, move_to_trash
from torchtty.engine.contract.client.workers import Mode
from torchtty.engine.contract.run.directory import RunDirectory, create
from torchtty.engine.contract.run.files import JsonLinesTail
from torchtty.engine.contract.run.log import settings_in_force
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import parse, starting_tree, with_flags, with_value
from torchtty.engine.worker.session import Session
from torchtty.tui.cli.arguments import live_settings, parse_argv


def trained(text: Path) -> RunDirectory:
    """A short run over a text, trained in this very process."""
    flags = {
        "data.dataset": str(text),
        "data.unit": "items",
        "training.log_interval": "1",
        "model.n_hidden": "8",
        "training.device": "cpu",
    }
    flags |= {"training.max_steps": "4", "training.eval_batches": "1", "sampling.interval": "0"}
    flags |= {"training.log_interval": "1", "schedule.kind": "constant"}
    run = create(with_flags(starting_tree("mlp"), flags))
    assert work(run, Mode.TRAIN) == 0
    return run


def work(run: RunDirectory, mode: Mode, **edits: Any) -> int:
    return Session(run, mode, edits, idle_seconds=0.0).work()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("anna\nbea\ncarla\ndora\nemma\nfrida\n" * 8)
    return path


def test_the_hash_of_the_training_text_is_part_of_the_run(text: Path) -> None:
    first, second = trained(text), trained(text)
    assert len(first.meta()["data_sha256"]) == 64
    assert first.meta()["data_sha256"] == second.meta()["data_sha256"]
    text.write_text(text.read_text().replace("bea", "bee"))
    assert trained(text).meta()["data_sha256"] != first.meta()["data_sha256"]


def test_a_run_whose_text_has_changed_is_continued_only_when_that_is_accepted(text: Path) -> None:
    run = trained(text)
    before = run.meta()["data_sha256"]
    text.write_text(text.read_text().replace("bea", "bee"))
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 1
    status = run.status()
    assert (status.state, status.step) == (RunState.FINISHED, 4), "it stays what it was"
    assert "have changed since this run was trained on them" in status.message
    assert f"torchtty resume {run.name} --changed-data" in status.message
    run.accept_changed_data()
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 0
    assert run.status().step == 8
    assert run.meta()["data_sha256"] != before
    assert run.meta()["data_sha256_before"] == [before]


def test_a_text_that_is_the_same_is_continued_without_a_word(text: Path) -> None:
    run = trained(text)
    text.write_text(text.read_text())
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 0
    assert run.status().step == 8


def losses(run: RunDirectory) -> list[tuple[int, float]]:
    return [(row["step"], row["train_loss"]) for row in JsonLinesTail(run.metrics_path).read() if "train_loss" in row]


def test_a_run_goes_on_where_its_text_has_moved_to_and_nowhere_else(text: Path) -> None:
    run, moved = trained(text), text.with_name("moved here.txt")
    text.rename(moved)
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 1
    assert f"are not at {text} any more" in run.status().message
    assert f"torchtty resume {run.name} --data.dataset PATH" in run.status().message
    given = live_settings(settings_in_force(run), parse_argv(["--dataset", f"'{moved}'", "--max_steps", "8"]))
    assert work(run, Mode.RESUME, **given) == 0
    assert work(run, Mode.RESUME, **{"training.max_steps": 10}) == 0, "and it stays there"
    other = text.with_name("other.txt")
    other.write_text("zoe\nyves\n" * 20)
    assert work(run, Mode.RESUME, **{"training.max_steps": 12, "data.dataset": str(other)}) == 1
    assert "have changed since this run was trained on them" in run.status().message
    assert plan(run).settings["data"]["dataset"] == str(moved)


def test_a_text_that_vanishes_while_it_is_learnt_from_does_not_end_the_run(text: Path) -> None:
    run = trained(text)
    session = Session(run, Mode.RESUME, {"training.max_steps": 12}, idle_seconds=0.0)
    train = session._train

    def train_without_text(loop: Any) -> None:
        text.unlink()
        train(loop)

    session._train = train_without_text  # type: ignore[method-assign]
    assert session.work() == 0
    assert run.status().step == 12


def test_a_piped_text_is_kept_so_that_a_resumed_run_equals_one_without_a_break(text: Path) -> None:
    paths = []
    for _ in range(2):
        reader, writer = os.pipe()
        os.write(writer, text.read_bytes())
        os.close(writer)
        paths.append(keep_piped(f"/dev/fd/{reader}"))
        os.close(reader)
    assert paths[0] == paths[1], "the same text is kept once"
    assert paths[0].read_bytes() == text.read_bytes()
    broken, whole = trained(paths[0]), trained(paths[0])
    assert broken.name == "mlp-piped-1"
    assert work(broken, Mode.RESUME, **{"training.max_steps": 8}) == 0
    whole = create(parse(with_value(whole.configuration().tree(), "training.max_steps", 8)))
    assert work(whole, Mode.TRAIN) == 0
    assert losses(broken) == losses(whole)
    assert len(losses(whole)) == 8


def test_a_piped_text_goes_with_the_last_run_that_names_it(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(data: bytes) -> Path:
        reader, writer = os.pipe()
        os.write(writer, data)
        os.close(writer)
        try:
            return keep_piped(f"/dev/fd/{reader}")
        finally:
            os.close(reader)

    needed, other = keep(text.read_bytes()), keep(b"of a run that was never made\n")
    first, second = (create(with_flags(starting_tree("mlp"), {"data.dataset": str(needed)})) for _ in range(2))
    for run in (first, second):
        run.write_status(Status(state=RunState.STOPPED))
    assert delete(first) > 0
    assert needed.is_file()
    assert other.is_file(), "the run that is to learn from it may be in the making"
    for path in (needed, other):
        os.utime(path, (0, 0))
    keep(b"something else\n")
    assert needed.is_file(), "a run learns from it"
    assert not other.parent.exists()
    move_to_trash(second)
    keep(b"something else\n")
    assert needed.is_file(), "a run that is in the trash can be brought back"
    empty_trash()
    assert not needed.parent.exists()


def test_a_folder_in_which_one_file_changed_is_read_again_and_noticed(text: Path) -> None:
    folder = text.parent / "texts"
    folder.mkdir()
    (folder / "a.txt").write_bytes("perché no\n".encode("latin-1") * 30)
    (folder / "b.jsonl").write_text('{"text": "another one"}\n' * 30)
    run = trained(folder)
    assert trained(folder).meta()["data_sha256"] == run.meta()["data_sha256"]
    (folder / "b.jsonl").write_text('{"text": "another two"}\n' * 30)
    assert trained(folder).meta()["data_sha256"] != run.meta()["data_sha256"], "though both were read in one process"
    assert work(run, Mode.RESUME, **{"training.max_steps": 8}) == 1
    assert "have changed since" in run.status().message
