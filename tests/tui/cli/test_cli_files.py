"""Runs as files, from the command line: export, import, delete, rename."""

import json
import os
import pty
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import COMMAND, Answer, Shell
from written_run import WrittenRun

from torchtty.engine.contract.experiments.group import create_group
from torchtty.engine.contract.experiments.variation import Variation
from torchtty.engine.contract.exports.metrics import metric_rows
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import json_line
from torchtty.engine.contract.run.status import RunState, Status
from torchtty.engine.contract.settings.configuration import starting_tree

pytestmark = pytest.mark.timeout(240)

Here = Callable[..., Answer]
FLAGS = (
    "--data.dataset", "three-ifs.txt", "--training.log_interval", "1", "--training.eval_interval", "20", "--batch_size", "4",
    "--training.eval_batches", "1", "--training.device", "cpu", "--schedule.kind", "constant", "--dropout", "0.2",
    "--n_layer", "1", "--n_embd", "8", "--block_size", "8", "--data.unit", "text", "--sampling.interval", "0",
)  # fmt: skip
TEXT = "if the loop is whole then the loop goes on and on until it ends, or so they say of loops\n" * 20


@pytest.fixture
def written(write_run: Callable[..., WrittenRun], shell: Shell, monkeypatch: pytest.MonkeyPatch) -> WrittenRun:
    """A run of a process that is gone, in the shell's folder."""
    monkeypatch.setenv("TORCHTTY_RUNS", shell.environment["TORCHTTY_RUNS"])
    name = f"written-{len(list((shell.folder / 'runs').glob('*')))}"
    written = write_run(name)
    written.curve(300)
    written.sample("a", "karina", "anna")
    written.status(RunState.FINISHED, step=300)
    return written


def test_a_run_that_went_out_and_came_back_goes_on_as_if_it_had_never_left(
    shell: Shell, here: Here, wait_until: Callable[..., None]
) -> None:
    (shell.folder / "three-ifs.txt").write_text(TEXT)
    whole = shell("train", "gpt", *FLAGS, "--max_steps", "60", "--name", "whole")
    assert whole.code == 0, whole.err
    part = shell("train", "gpt", *FLAGS, "--max_steps", "30", "--name", "part", "--training.checkpoint_interval", "25")
    assert part.code == 0, part.err
    part_run = RunDirectory(shell.folder / "runs" / "part")
    assert part_run.status().serving

    refused = here("rename", "part", "whole")
    assert (refused.code, "There is a run called whole already" in refused.err) == (1, True)
    renamed = here("rename", "part", "half")  # its worker, which still holds the model, is let go
    assert renamed.err == "part is called half now.\n"
    half = RunDirectory(shell.folder / "runs" / "half")
    assert not part_run.path.exists()
    assert not half.status().serving

    exported = here("export", "half", "half.tar.gz")
    assert exported.err == f"Written: {shell.folder / 'half.tar.gz'}\n"
    assert "half is deleted: " in here("delete", "half", "--yes").err
    assert not half.path.exists()

    imported = here("import", "half.tar.gz")
    assert (imported.code, imported.out) == (0, "half\n")
    assert "half is finished at step 30." in imported.err
    resumed = shell("resume", "half", "--training.max_steps", "60", "--json")
    assert resumed.code == 0, resumed.err
    clock = ("time", "steps_per_second")
    curves = [
        [
            {name: value for name, value in row.items() if name not in clock}
            for row in metric_rows(RunDirectory(run.path))
        ]
        for run in (half, RunDirectory(shell.folder / "runs" / "whole"))
    ]
    at_30 = curves[0][30]  # where the part ended, it was evaluated once more than the whole
    assert [row for row in curves[0] if row is not at_30] == [row for row in curves[1] if row["step"] != 30]
    assert {name: at_30[name] for name in curves[1][30]} == curves[1][30]
    drawn = shell("sample", "half", "--prompt", "if", "--seed", "1")
    assert drawn.out.startswith("if")
    weights = here("export", "half", "w", "--as", "weights", "--json", "--checkpoint", "best")
    assert json.loads(weights.out)["files"] == ["README.md", "load.py", "model.safetensors", "tokenizer.json"]


def test_each_kind_of_file_is_written_once_and_replaced_only_with_force(
    written: WrittenRun, shell: Shell, here: Here
) -> None:
    for name in ("a.csv", "a.jsonl", "a.svg", "a.png", "a.txt", "a.tgz", "a.zip"):
        answer = here("export", written.run.name, name, "--json")
        assert answer.code == 0, answer.err
        assert json.loads(answer.out)["path"] == str(shell.folder / name)
        content = (shell.folder / name).read_bytes()
        assert len(content) > 20
        again = here("export", written.run.name, name)
        assert (again.code, "is there already, and was left as it is" in again.err) == (1, True)
        if name == "a.csv":
            written.metrics({"step": 999, "train_loss": 1.0})
            assert here("export", written.run.name, name, "--force").code == 0
            assert (shell.folder / name).read_bytes() != content
    assert (shell.folder / "a.txt").read_text() == "step 100\nkarina\nanna\n"


def test_text_goes_to_stdout_and_nothing_else_does(written: WrittenRun, here: Here) -> None:
    for kind, begins in (("metrics-csv", "step,time,tokens"), ("metrics-jsonl", '{"step":0'), ("samples", "step 100\n"),
                         ("chart-svg", "<svg ")):  # fmt: skip
        answer = here("export", written.run.name, "-", "--as", kind)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out.startswith(begins)
    answer = here("export", written.run.name, "-", "--as", "chart-png")
    assert (answer.code, answer.out) == (2, "")
    assert "chart-png cannot go to stdout: name a file." in answer.err


def test_another_chart_is_named_and_an_unknown_one_is_refused(written: WrittenRun, here: Here) -> None:
    answer = here("export", written.run.name, "-", "--as", "chart-svg", "--chart", "gradient")
    assert "<title>gradient norm</title>" in answer.out
    answer = here("export", written.run.name, "-", "--as", "chart-svg", "--chart", "x")
    assert "has no chart 'x'. It has loss, learning-rate, gradient, speed." in answer.err


def test_what_is_not_clear_or_not_there_is_wrong_usage_or_refused(written: WrittenRun, here: Here) -> None:
    name = written.run.name
    for arguments, code, said in (
        (("folder",), 2, "Say with --as what is to be written to folder"),
        (("a.b", "--as", "csv"), 2, "There is no kind of export called 'csv'. The kinds are metrics-csv"),
        (("a.csv", "--as", "samples"), 2, "a.csv ends like metrics-csv, but --as says samples"),
        (("a.safetensors",), 1, "has no checkpoint, so there are no weights on the disk"),
        (("a", "--as", "transformers"), 1, "only GPT-2 has a form that other programs read"),
        (("nowhere/a.csv",), 1, "There is no folder"),
    ):
        answer = here("export", name, *arguments)
        assert (answer.code, answer.out) == (code, ""), answer.err
        assert said in answer.err


def test_deleting_asks_on_a_terminal_and_never_follows_a_link(
    written: WrittenRun, write_run: Any, shell: Shell, here: Here, tmp_path: Path
) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    (written.run.path / "media" / "link").symlink_to(tmp_path)
    live = write_run("alive")
    live.status(RunState.RUNNING)
    answer = here("delete", written.run.name, "alive", "--yes")
    assert (answer.code, "alive is running: stop it before you delete it." in answer.err) == (1, True)
    answer = here("delete", written.run.name)
    assert (answer.code, "add --yes to delete it" in answer.err) == (2, True)
    assert written.run.path.exists(), "one that is refused keeps the others"

    for typed, code, said in ((b"n\n", 1, "Nothing was deleted."), (b"y\n", 0, f"{written.run.name} is deleted: ")):
        seen, ended = in_terminal(shell, typed, "delete", written.run.name)
        assert "Delete it? [y/N]" in seen
        assert (ended, said in seen) == (code, True), seen
    assert not written.run.path.exists()
    assert (tmp_path / "kept.txt").read_text() == "mine"
    live.status(RunState.FINISHED)
    other = write_run("other-one")
    other.status(RunState.STOPPED)
    assert here("delete", "alive", "other-one", "alive", "--yes").err.count("is deleted") == 2


def in_terminal(shell: Shell, typed: bytes, *arguments: str) -> tuple[str, int]:
    """Run a command in a terminal, type an answer, and return what was seen and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shell.folder)
        os.execve(COMMAND[0], [*COMMAND, *arguments], shell.environment)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, typed)
    while True:
        try:
            seen += os.read(terminal, 1000)
        except OSError:  # the other side is closed
            break
    return seen.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_run_is_renamed_its_forks_with_it_and_not_while_it_is_live(
    written: WrittenRun, write_run: Any, here: Here
) -> None:
    fork = write_run("a-fork")
    fork.status(RunState.FINISHED)
    fork.run.meta_path.write_bytes(json_line(fork.run.meta() | {"parent": {"run": written.run.name, "step": 10}}))
    assert here("rename", written.run.name, "a new name").code == 1
    assert here("rename", written.run.name, "latest").code == 1
    assert here("rename", written.run.name, "newer").code == 0
    assert fork.run.meta()["parent"] == {"run": "newer", "step": 10}
    assert RunDirectory(written.run.path.with_name("newer")).configuration().kind == "mlp"
    fork.status(RunState.PAUSED)
    answer = here("rename", "a-fork", "other")
    assert "a-fork is paused, and its worker writes into its folder: stop it before you rename it." in answer.err
    fork.status(RunState.FINISHED)  # nobody will ever stop it


def test_a_run_that_is_renamed_stays_in_its_group_and_not_while_that_trains(
    here: Here, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHTTY_RUNS", str(own_folders))
    group = create_group(starting_tree("mlp"), Variation({"training.seed": (1, 2)}), root=own_folders, name="seeds")
    first, second = group.runs()
    for run in (first, second):
        run.write_status(Status(state=RunState.FINISHED))
    group.directory.write_status(Status(state=RunState.RUNNING, host="elsewhere", heartbeat=time.time()))
    assert "is part of seeds, which still trains" in here("rename", first.name, "best-seed").err
    group.directory.write_status(Status(state=RunState.FINISHED))
    assert here("rename", first.name, "best-seed").code == 0
    assert [run.name for run in group.runs()] == ["best-seed", second.name]
    assert "best-seed" in here("show", "seeds", columns=200).out


def test_an_archive_that_cannot_be_imported_says_why(here: Here, shell: Shell) -> None:
    (shell.folder / "bad.zip").write_text("x")
    answer = here("import", "bad.zip")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: bad.zip was not imported: it is damaged, or no .tar.gz or .zip.\n"


def test_log_is_a_flag_of_its_own_and_a_mirror_that_is_missing_is_refused_before_there_is_a_run(
    here: Here, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = here("train", "mlp", "--log", "x")
    assert (answer.code, "--training.log" in answer.err) == (2, True)
    assert "one of none, tensorboard, trackio, wandb" in answer.err
    monkeypatch.setattr("torchtty.engine.contract.settings.mirrors.find_spec", lambda name: None)
    answer = here("train", "mlp", "--log", "trackio", "--name", "never")
    assert (answer.code, "trackio is not installed: 'pip install trackio' adds it" in answer.err) == (1, True)
    assert not (shell.folder / "runs" / "never").exists()
